package reports

import (
	"strconv"
	"strings"
)

// rect is a rectangle of a drawing. Class says how it looks, Title is its
// tooltip.
type rect struct {
	X, Y, W, H string
	Class      string
	Title      string
}

// label is a text in a drawing.
type label struct {
	X, Y   string
	Class  string
	Anchor string // start, middle, end
	Text   string
}

// stroke is a line or curve.
type stroke struct {
	D     string // path data
	Class string
	Width string // in pixels; "" leaves it to the class
	Title string
}

// px gives a coordinate with one decimal.
func px(x float64) string {
	s := strconv.FormatFloat(x, 'f', 1, 64)
	s = strings.TrimSuffix(s, ".0")
	if s == "-0" {
		return "0"
	}
	return s
}

// box is a rectangle from its numbers.
func box(x, y, w, h float64, class, title string) rect {
	return rect{px(x), px(y), px(w), px(h), class, title}
}
