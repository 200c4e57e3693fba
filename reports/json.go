package reports

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"kmon/analyze"
)

// jsonLevels is how deep JSON is indented. What lies deeper, a point of a
// series, a cell of a heat map, the nodes below a flame tree's root, is one
// line: indented, a deep tree is mostly blanks.
const jsonLevels = 4

// writeJSON writes the analysis as it is, indented, with a line end.
func writeJSON(w io.Writer, a *analyze.Analysis) error {
	text, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("analysis as JSON: %w", err)
	}
	return writeIndented(w, text, "analysis")
}

// writeIndented writes compact JSON of what, indented.
func writeIndented(w io.Writer, text []byte, what string) error {
	out := bufio.NewWriter(w)
	indent(out, text)
	if err := out.Flush(); err != nil {
		return fmt.Errorf("%s as JSON: %w", what, err)
	}
	return nil
}

// indent writes compact JSON with line breaks down to jsonLevels.
func indent(w *bufio.Writer, text []byte) {
	depth, quoted := 0, false
	line := func() {
		if depth <= jsonLevels {
			w.WriteString("\n" + strings.Repeat("  ", depth))
		}
	}
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quoted && c == '\\':
			w.WriteByte(c)
			i++
			w.WriteByte(text[i])
			continue
		case c == '"':
			quoted = !quoted
		case quoted:
		case (c == '{' || c == '[') && text[i+1] == c+2: // empty
			w.Write(text[i : i+2])
			i++
			continue
		case c == '{' || c == '[':
			w.WriteByte(c)
			depth++
			line()
			continue
		case c == '}' || c == ']':
			inner := depth <= jsonLevels
			depth--
			if inner {
				line()
			}
		case c == ',':
			w.WriteByte(c)
			line()
			continue
		case c == ':' && depth <= jsonLevels:
			w.WriteString(": ")
			continue
		}
		w.WriteByte(c)
	}
	w.WriteByte('\n')
}
