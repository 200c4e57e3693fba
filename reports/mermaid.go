package reports

import (
	"strconv"
	"strings"
)

// mermaidText draws g as a mermaid flowchart. Ids are generated, labels are
// quoted and hold no character that mermaid gives a meaning to.
func mermaidText(g graph, nameLength int) string {
	var b strings.Builder
	b.WriteString("```mermaid\nflowchart LR\n")
	for i, n := range g.Nodes {
		left, right := `["`, `"]`
		if n.External {
			left, right = `(["`, `"])`
		}
		b.WriteString("  n" + strconv.Itoa(i) + left + mermaidLabel(cut(nameText(n.Name), nameLength)) + right + "\n")
	}
	for i := range g.Edges {
		e := &g.Edges[i]
		b.WriteString("  n" + strconv.Itoa(e.From) + ` -->|"` + mermaidLabel(e.label()) + `"| n` + strconv.Itoa(e.To) + "\n")
	}
	b.WriteString("```\n")
	return b.String()
}

// mermaidLabel writes every ASCII character other than letters, digits,
// blanks and a few signs as mermaid's entity code, so that a name ends
// neither its quotes nor the fence, and is not read as Markdown or HTML: "1. cart"
// would be a list, which mermaid refuses to draw.
func mermaidLabel(s string) string {
	var b strings.Builder
	for i, r := range s {
		listed := (r == '.' || r == '-') && strings.HasPrefix(s[i+1:], " ")
		switch {
		case !listed && (r > '~' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(" .,_-:/", r)):
			b.WriteRune(r)
		default:
			b.WriteString("#" + strconv.Itoa(int(r)) + ";")
		}
	}
	return b.String()
}
