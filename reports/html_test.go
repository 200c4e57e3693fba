package reports

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"html"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kmon/analyze"
)

// allowed are the elements of a report. None of them loads anything, and what
// runs is an asset.
var allowed = strings.Fields(`script figure figcaption label select button input canvas html head meta title style body a header h1 h2 h3 p strong ul li nav main section div
	table caption thead tbody tr th td span details summary dl dt dd footer code svg g defs marker path rect text ol br`)

// links are the attributes that can hold an address.
var links = strings.Fields("href src srcset action formaction background poster data cite ping manifest xlink:href from to values")

// checkPage reads a page as strict XML: its elements, which each sees too, and its
// anchors.
func checkPage(t *testing.T, name, text string, each func(xml.StartElement)) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	ids := map[string]bool{}
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%s is not well-formed: %v", name, err)
		}
		if e, ok := token.(xml.StartElement); ok {
			checkElement(t, name, e, ids)
			each(e)
		}
	}
	checkAnchors(t, name, text, ids)
}

// TestHTMLIsSafe reads every page as strict XML, which the templates are
// written for: what does not close, or is not escaped, does not parse.
func TestHTMLIsSafe(t *testing.T) {
	for _, c := range cases {
		text := string(reviewable(t, render(t, c.a(), HTML, options)))
		if strings.HasPrefix(c.name, "hostile") && !strings.Contains(text, "&lt;script&gt;alert(1)") {
			t.Error("the hostile name is not in the page at all")
		}
		checkPage(t, c.name, text, func(xml.StartElement) {})
	}
}

// checkElement fails on elements and attributes that could load or run.
func checkElement(t *testing.T, name string, e xml.StartElement, ids map[string]bool) {
	t.Helper()
	if !slices.Contains(allowed, e.Name.Local) {
		t.Errorf("%s: element <%s>", name, e.Name.Local)
	}
	for _, a := range e.Attr {
		key := strings.ToLower(a.Name.Local)
		switch {
		case strings.HasPrefix(key, "on"), key == "style":
			t.Errorf("%s: <%s %s=%q>", name, e.Name.Local, key, a.Value)
		case slices.Contains(links, key) && !strings.HasPrefix(a.Value, "#"):
			t.Errorf("%s: address <%s %s=%q>", name, e.Name.Local, key, a.Value)
		case key == "id":
			if ids[a.Value] {
				t.Errorf("%s: id %q twice", name, a.Value)
			}
			ids[a.Value] = true
		case key != "title" && key != "aria-label" && key != "content" && strings.Contains(a.Value, "//"):
			t.Errorf("%s: <%s %s=%q> holds an address", name, e.Name.Local, key, a.Value)
		}
	}
}

// checkAnchors fails on a link within the page that leads nowhere.
func checkAnchors(t *testing.T, name, text string, ids map[string]bool) {
	t.Helper()
	for _, m := range regexp.MustCompile(`(?:href="|url\()#([\w-]+)`).FindAllStringSubmatch(text, -1) {
		if !ids[m[1]] {
			t.Errorf("%s: #%s leads nowhere", name, m[1])
		}
	}
}

// TestHTMLNamesNoAddress: a page of tame names holds no address at all.
func TestHTMLNamesNoAddress(t *testing.T) {
	for _, f := range []string{"shop", "lossy", "empty", "nothing", "many", "busy"} {
		for _, c := range cases {
			if c.name != f {
				continue
			}
			text := string(reviewable(t, render(t, c.a(), HTML, options)))
			for _, address := range []string{"http:", "https:", "//", "@import", "javascript:"} {
				if strings.Contains(text, address) {
					t.Errorf("%s holds %q", f, address)
				}
			}
		}
	}
}

// TestHTMLPolicy: the policy forbids all but the page's own style and scripts,
// whose hashes it names rightly.
func TestHTMLPolicy(t *testing.T) {
	for _, a := range []*analyze.Analysis{empty(), shop(), busyShop()} {
		text := string(render(t, a, HTML, options))
		m := regexp.MustCompile(`<meta http-equiv="Content-Security-Policy" content="([^"]*)"/>`).FindStringSubmatch(text)
		if m == nil {
			t.Fatal("no content security policy")
		}
		policy := html.UnescapeString(m[1])
		style := text[strings.Index(text, "<style>")+len("<style>") : strings.Index(text, "</style>")]
		want := "default-src 'none'; style-src '" + hashOf(style) + "'"
		for i, s := range script.FindAllStringSubmatch(text, -1) {
			if i == 0 {
				want += "; script-src"
			}
			if s[1] == "" {
				want += " '" + hashOf(s[2]) + "'"
			}
		}
		want += "; img-src data:; base-uri 'none'; form-action 'none'"
		if policy != want {
			t.Errorf("policy\n%s\nwant\n%s", policy, want)
		}
		if at := strings.Index(text, "<style>"); strings.Index(text, m[0]) > at {
			t.Error("the policy comes after the style it covers")
		}
	}
}

// hashOf names a text as a policy does.
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// TestHTMLTables: every table has a caption, heads with a scope, and rows as
// wide as its head.
func TestHTMLTables(t *testing.T) {
	text := string(render(t, lossy(), HTML, options))
	tables := regexp.MustCompile(`(?s)<table.*?</table>`).FindAllString(text, -1)
	if len(tables) < 12 {
		t.Errorf("%d tables, want the captures, services, edges, details and one a chart", len(tables))
	}
	for _, x := range tables {
		if !regexp.MustCompile(`^<table[^>]*><caption>[^<]+</caption>`).MatchString(x) {
			t.Errorf("no caption: %.80s", x)
		}
		if strings.Count(x, "<th ") != strings.Count(x, `<th scope="`) {
			t.Errorf("a head without scope: %.80s", x)
		}
		heads := strings.Count(x, `scope="col"`)
		rows := strings.Count(x, `scope="row"`)
		if cells := strings.Count(x, "<td"); cells != rows*(heads-1) {
			t.Errorf("%d cells in %d rows of %d columns: %.80s", cells, rows, heads, x)
		}
	}
}

// TestHTMLShowsAll: a small analysis is wholly in the page.
func TestHTMLShowsAll(t *testing.T) {
	a := lossy()
	text := html.UnescapeString(string(render(t, a, HTML, options)))
	first, rest, _ := strings.Cut(a.Verdict, "; ")
	want := []string{first, rest, "lang=\"en\"", options.Command, "tp_btf:sock_send_length", "retransmit: tracepoint not supported",
		a.Captures[0].SHA256, a.Captures[0].Problems[0], a.Warnings[1], "ring full", "18,000", "87.5%", "deploy of cart 1.8.2",
		"10.96.0.14:80", "Upload p99", "Network p99", "unanswered (37)", "How to read this", "DDSketch", "cut short", "cart-7d9f"}
	for _, s := range want {
		if !strings.Contains(text, s) {
			t.Errorf("the page lacks %q", s)
		}
	}
	if strings.Contains(string(render(t, shop(), HTML, Options{})), "<code>") {
		t.Error("without a command the foot still quotes one")
	}
}

// TestHTMLOfAnHour: an hour of windows is thinned, not piled up.
func TestHTMLOfAnHour(t *testing.T) {
	a := many(30, 60)
	for i := range a.Services {
		a.Services[i].Series = waves(3599, 100, millisecond)
	}
	a.Series, a.EndNs = served(a.Services), start+3599*second
	text := render(t, a, HTML, options)
	if len(text) > 3_000_000 {
		t.Errorf("%d KiB", len(text)>>10)
	}
	if !strings.Contains(string(text), "Each row of the table is 72 windows") {
		t.Error("the charts do not say that they merge windows")
	}
}

// TestHTMLBounds: a large fleet gives a page a browser opens, and says what
// it leaves out.
func TestHTMLBounds(t *testing.T) {
	text := string(render(t, many(300, 2000), HTML, options))
	if len(text) > 6<<20 {
		t.Errorf("%d MiB", len(text)>>20)
	}
	for _, s := range []string{"300 services are drawn in 11 places, 10 of them groups", "And 276 more services with less traffic", "275 more", "1,975 more"} {
		if !strings.Contains(text, s) {
			t.Errorf("the page does not say %q", s)
		}
	}
}

// TestHTMLWithoutDetail: a page that is too large leaves the detail of the
// profile out, and says how much more is cut then.
func TestHTMLWithoutDetail(t *testing.T) {
	a := busyShop()
	detail := map[[2]int32]int64{}
	for _, c := range a.Profile.OnCPU {
		detail[[2]int32{c.Bucket / 50, c.Node}] += c.Value
	}
	a.Profile.DetailNs, a.Profile.Detail, a.Profile.OtherDetail, a.Profile.OtherOnCPU = second, cellsOf(detail), 0.5, 0.9
	whole := string(render(t, a, HTML, options))
	defer func(was int) { pageLimit = was }(pageLimit)
	pageLimit = len(whole) - 1
	cut := string(render(t, a, HTML, options))
	if len(cut) >= len(whole) {
		t.Errorf("the page has %d bytes without the detail, %d with it", len(cut), len(whole))
	}
	if !strings.Contains(whole, "50% of the samples on the CPU; 90% of those in moments within 1 s") || !strings.Contains(cut, ": 90% of the samples on the CPU. ") {
		t.Error("the pages do not say what was cut")
	}
	if a.Profile.DetailNs != second || a.Profile.Detail == nil {
		t.Error("the analysis was changed")
	}
}
