package reports

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"kmon/analyze"
)

// command finds a program that tests check reports with. Without it the test is
// skipped, except in CI.
func command(t *testing.T, name, debian string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: it is no Go code")
	}
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("no %s, which CI must have: apt-get install %s", name, debian)
	}
	t.Skipf("no %s: apt-get install %s", name, debian)
	return ""
}

// hostileTickets are reports in Markdown with hostile names, of a recording and of a
// comparison.
func hostileTickets(t *testing.T) map[string]string {
	t.Helper()
	o := Options{Command: strings.Join(hostileNames, " ")}
	tickets := map[string]string{"compare": string(renderComparison(t, hostileComparison(), Markdown, o))}
	for name, a := range map[string]func() *analyze.Analysis{"hostile": hostile, "huge": huge, "limping": limping} {
		tickets[name] = string(render(t, a(), Markdown, o))
	}
	return tickets
}

// ticketTags are what a ticket may have.
var ticketTags = strings.Fields("h1 h2 h3 p strong em ul ol li code pre table thead tbody tr th td details summary hr br page")

// TestMarkdownRendered: GitHub's own renderer, with its extensions, makes of a
// ticket with hostile names nothing but text, tables and folds: no link, no image,
// no other tag, tables of even rows, and folds that end.
func TestMarkdownRendered(t *testing.T) {
	tool := command(t, "cmark-gfm", "cmark-gfm")
	for name, text := range hostileTickets(t) {
		c := exec.Command(tool, "--unsafe", "--to", "html", "-e", "table", "-e", "strikethrough", "-e", "autolink", "-e", "tasklist")
		c.Stdin = strings.NewReader(text)
		output, err := c.Output()
		if err != nil {
			t.Fatal(err)
		}
		checkRendered(t, name, string(output))
	}
}

// checkRendered reads what was rendered as XML, which ends what it begins.
func checkRendered(t *testing.T, name, page string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader("<page>" + page + "</page>"))
	d.Strict, d.AutoClose, d.Entity = true, []string{"hr", "br"}, xml.HTMLEntity
	seen, cells, columns := map[string]int{}, 0, 0
	code := false
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v: %.300s", name, err, page[max(0, int(d.InputOffset())-200):])
		}
		switch e := token.(type) {
		case xml.StartElement:
			tag := e.Name.Local
			seen[tag]++
			if !slices.Contains(ticketTags, tag) {
				t.Errorf("%s: a tag %s %v", name, tag, e.Attr)
			}
			for _, a := range e.Attr {
				if a.Name.Local != "align" && (tag != "pre" && tag != "code" || a.Value != "mermaid" && a.Value != "language-mermaid") && (tag != "ol" || a.Name.Local != "start") {
					t.Errorf("%s: %s has %s=%q", name, tag, a.Name.Local, a.Value)
				}
			}
			switch tag {
			case "code":
				code = true
			case "tr":
				cells = 0
			case "th", "td":
				cells++
			}
		case xml.EndElement:
			switch e.Name.Local {
			case "code":
				code = false
			case "thead":
				columns = cells
			case "tr":
				if columns > 0 && cells != columns {
					t.Errorf("%s: a row of %d cells in a table of %d", name, cells, columns)
				}
			case "table":
				columns = 0
			}
		case xml.CharData:
			for _, live := range []string{"@everyone", "#123", "GH-7", "https://", "www."} { // which GitHub links later
				if !code && strings.Contains(string(e), live) {
					t.Errorf("%s: %s outside of code: %.200q", name, live, e)
				}
			}
		}
	}
	if seen["table"] == 0 || seen["details"] == 0 || seen["code"] == 0 {
		t.Errorf("%s: rendered without a table, a fold or code: %v", name, seen)
	}
}

// TestMermaidParsed: mermaid itself draws the topology of tickets, whatever the
// services are called, with every service and nothing that is live.
func TestMermaidParsed(t *testing.T) {
	script, err := os.ReadFile(webTool(t, "@mermaid-js", "tiny", "dist", "mermaid.tiny.js"))
	if err != nil {
		t.Fatal(err)
	}
	b := show(t, []byte("<!doctype html><html><body></body></html>"), 800, 600)
	run[any](b, string(script)+"\n;mermaid.initialize({startOnLoad: false, securityLevel: 'strict'}); true")
	drawings := 0
	for name, text := range hostileTickets(t) {
		for _, part := range strings.Split(text, "```mermaid\n")[1:] {
			drawing, _, _ := strings.Cut(part, "```")
			drawings++
			quoted, _ := json.Marshal(drawing)
			type drawn struct {
				Fault              string
				Nodes, Edges, Live int
			}
			got := run[drawn](b, `(async () => {
				try {
					const {svg} = await mermaid.render("drawing", `+string(quoted)+`);
					document.body.innerHTML = svg;
					return {Nodes: document.querySelectorAll("g.node").length, Edges: document.querySelectorAll("path.flowchart-link").length,
						Live: document.querySelectorAll("body script, body a, body img, body iframe, [onclick], [onerror]").length};
				} catch (e) { return {Fault: String(e)}; }
			})()`)
			want := drawn{Nodes: strings.Count(drawing, `["`), Edges: strings.Count(drawing, ` -->|"`)}
			if got != want {
				t.Errorf("%s: mermaid draws %+v, want %+v of\n%.600s", name, got, want, drawing)
			}
		}
	}
	if drawings < 2 {
		t.Errorf("%d drawings", drawings)
	}
	if fault := run[string](b, `mermaid.parse("flowchart LR\n  n0[\"a\"]; ]").then(() => "", e => "refused")`); fault != "refused" {
		t.Error("mermaid takes what is wrong, so that it takes ours proves nothing")
	}
}
