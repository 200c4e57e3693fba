package reports

import "strings"

// Sizes of the two lines on an edge, in pixels.
const (
	labelWidth  = 88.0
	labelHeight = 28.0
)

// rectangle is a region of a drawing.
type rectangle struct{ left, top, right, bottom float64 }

// around is the rectangle of a size about p.
func around(p point, w, h float64) rectangle {
	return rectangle{p.x - w/2, p.y - h/2, p.x + w/2, p.y + h/2}
}

// meets says that two rectangles share a place.
func (r rectangle) meets(o rectangle) bool {
	return r.left < o.right && o.left < r.right && r.top < o.bottom && o.top < r.bottom
}

// route gives the control points of an edge that visits ids: one start, then
// three points for each cubic curve.
func route(path []int, at map[int]point) []point {
	if len(path) < 2 {
		return nil
	}
	side := 1.0
	switch first, second := at[path[0]], at[path[1]]; {
	case first.x == second.x: // within a layer, around its right
		x, reach := first.x+nodeWidth/2, nodeWidth/6
		return []point{{x, first.y + 8}, {x + reach, first.y + 8}, {x + reach, second.y - 8}, {x + arrowRoom, second.y - 8}}
	case first.x > second.x:
		side = -1
	}
	curve := []point{{at[path[0]].x + side*nodeWidth/2, at[path[0]].y}}
	for i, id := range path[1:] {
		p := at[id]
		last := i == len(path)-2
		if last {
			p.x -= side * (nodeWidth/2 + arrowRoom)
		} else {
			p.x -= side * nodeWidth / 2
		}
		from := curve[len(curve)-1]
		half := (p.x - from.x) / 2
		curve = append(curve, point{from.x + half, from.y}, point{p.x - half, p.y}, p)
		if !last { // straight past the nodes of this layer
			q := point{p.x + side*nodeWidth, p.y}
			curve = append(curve, p, q, q)
		}
	}
	return curve
}

// arrowRoom is what an arrowhead takes before a node.
const arrowRoom = 6.0

// loop is the curve of a service that calls itself.
func loop(p point) []point {
	x, y := p.x+nodeWidth/2, p.y
	return []point{{x, y - 10}, {x + 34, y - 26}, {x + 34, y + 26}, {x + arrowRoom, y + 10}}
}

// bezier is the path data of a curve.
func bezier(curve []point) string {
	var b strings.Builder
	for i, p := range curve {
		switch {
		case i == 0:
			b.WriteString("M")
		case i%3 == 1:
			b.WriteString(" C")
		default:
			b.WriteString(" ")
		}
		b.WriteString(px(p.x) + "," + px(p.y))
	}
	return b.String()
}

// room finds a place on curve i where a label meets nothing that is taken: if
// it can, one that the other curves keep clear of as well. passed are points
// along each curve.
func room(curves [][]point, i int, taken []rectangle, passed [][]point) (best point, ok bool) {
	curve := curves[i]
	for start := 0; start+3 < len(curve); start += 3 {
		for _, t := range []float64{0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8} {
			p := along(curve[start:start+4], t)
			r := around(p, labelWidth, labelHeight)
			if r.meetsAny(taken) {
				continue
			}
			if !r.crossed(i, passed) {
				return p, true
			}
			if !ok {
				best, ok = p, true
			}
		}
	}
	return best, ok
}

// samples are points along a curve, close enough that none slips through a
// label.
func samples(curve []point) []point {
	const steps = 24
	points := []point{}
	for start := 0; start+3 < len(curve); start += 3 {
		for i := range steps + 1 {
			points = append(points, along(curve[start:start+4], float64(i)/steps))
		}
	}
	return points
}

// crossed says that a curve other than the i-th passes through r.
func (r rectangle) crossed(i int, passed [][]point) bool {
	for j, points := range passed {
		for _, p := range points {
			if j != i && p.x > r.left && p.x < r.right && p.y > r.top && p.y < r.bottom {
				return true
			}
		}
	}
	return false
}

// meetsAny says that r meets any of taken.
func (r rectangle) meetsAny(taken []rectangle) bool {
	for _, o := range taken {
		if r.meets(o) {
			return true
		}
	}
	return false
}

// along is the point of a cubic curve at t of 0 to 1.
func along(c []point, t float64) point {
	u := 1 - t
	a, b, d, e := u*u*u, 3*u*u*t, 3*u*t*t, t*t*t
	return point{
		a*c[0].x + b*c[1].x + d*c[2].x + e*c[3].x,
		a*c[0].y + b*c[1].y + d*c[2].y + e*c[3].y,
	}
}
