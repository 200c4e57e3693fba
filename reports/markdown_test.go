package reports

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"kmon/analyze"
)

// huge is more of everything, with names that are all long and hostile.
func huge() *analyze.Analysis {
	a := hostile()
	name := func(i int) string {
		return fmt.Sprintf("%04d %s", i, strings.Repeat(hostileNames[i%len(hostileNames)]+"\u202e", 3))
	}
	for i := range 60 {
		c := hostile().Captures[0]
		c.File = name(i)
		a.Captures = append(a.Captures, c)
	}
	for i := range 800 {
		s := shopService(name(i), 3, millisecond)
		s.Series = nil
		s.Source = name(i)
		a.Services = append(a.Services, s)
		e := shopEdge(name(i), name((i+1)%800), 1, 1, 1)
		e.Kind, e.Ends, e.Via = name(i), name(i), name(i)
		a.Edges = append(a.Edges, e)
		a.Losses = append(a.Losses, analyze.Loss{Capture: name(i), Cause: name(i), Count: 1})
		a.Marks = append(a.Marks, analyze.Mark{Capture: name(i), Text: name(i)})
		a.Warnings = append(a.Warnings, name(i))
	}
	found := hostileFindings(300)
	a.Findings, a.Checks = found.Findings, found.Checks
	work, threads := hostileNode(), hostileThreads()
	a.Disks, a.Drops, a.Network, a.AcceptQueues = work.Disks, work.Drops, work.Network, work.AcceptQueues
	a.Services = append(a.Services, threads.Services...)
	a.Threads, a.Wakes, a.Syscalls = threads.Threads, threads.Wakes, threads.Syscalls
	a.Verdict = strings.Repeat(name(3), 100)
	return a
}

func TestMarkdownFits(t *testing.T) {
	for _, c := range append(cases, struct {
		name string
		a    func() *analyze.Analysis
		gold bool
	}{"huge", huge, false}) {
		got := string(render(t, c.a(), Markdown, Options{Command: strings.Repeat("kmon analyze `x` ", 5000)}))
		if len(got) > 65536 {
			t.Errorf("%s: %d bytes, want at most 65536", c.name, len(got))
		}
		if !strings.HasPrefix(got, "# kmon report\n\n**Verdict:** ") {
			t.Errorf("%s does not start with the verdict: %.80q", c.name, got)
		}
		checkMarkdown(t, c.name, got)
	}
}

// TestMarkdownSaysWhatIsLeftOut: rows that are missing are counted, and they
// add up.
func TestMarkdownSaysWhatIsLeftOut(t *testing.T) {
	a := many(300, 2000)
	got := string(render(t, a, Markdown, options))
	left := regexp.MustCompile(`([\d,]+) rows of “Edges”`).FindStringSubmatch(got)
	if left == nil {
		t.Fatalf("nothing is said of edges left out:\n%s", got[len(got)-800:])
	}
	section := got[strings.Index(got, "## Edges"):]
	section = section[:strings.Index(section, "\n## Captures")]
	shown := strings.Count(section, "\n| `")
	if want := CountText(int64(2000 - shown)); left[1] != want {
		t.Errorf("%s rows of edges are said to be left out, but %d of 2000 are shown", left[1], shown)
	}
	if !strings.Contains(got, "more services and") {
		t.Error("the drawing does not say what it lacks")
	}
	if whole := string(render(t, shop(), Markdown, options)); strings.Contains(whole, "Left out") {
		t.Error("a report that fits says that it leaves something out")
	}
}

var (
	codeSpan    = regexp.MustCompile("`[^`]*`")
	mermaidLine = regexp.MustCompile(`^  (n\d+(\["[^"]+"\]|\(\["[^"]+"\]\))|n\d+ -->\|"[^"]+"\| n\d+)$`)
	ownTag      = regexp.MustCompile(`^(</?details>|<summary>|</summary>)`)
)

// checkMarkdown fails when text outside of code spans is live: tags other
// than ours, links, mentions, numbers, or tables with uneven rows.
func checkMarkdown(t *testing.T, name, text string) {
	t.Helper()
	mermaid, bars, open := false, 0, 0
	for i, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "```") {
			mermaid = line == "```mermaid"
			continue
		}
		if mermaid {
			if line != "flowchart LR" && !mermaidLine.MatchString(line) {
				t.Errorf("%s line %d: not of our mermaid: %.200q", name, i+1, line)
			}
			continue
		}
		if strings.Count(line, "`")%2 != 0 || visible(strings.ReplaceAll(line, "\ufe0f", "")) != strings.ReplaceAll(line, "\ufe0f", "") {
			t.Errorf("%s line %d: an open code span or a control: %.200q", name, i+1, line)
		}
		rest := codeSpan.ReplaceAllString(line, "")
		open += strings.Count(rest, "<details>") - strings.Count(rest, "</details>")
		for at, r := range rest {
			if r == '<' && !ownTag.MatchString(rest[at:]) {
				t.Errorf("%s line %d: a tag outside of code: %.200q", name, i+1, rest[at:])
			}
		}
		for _, live := range []string{"@", "#1", "http", "www.", "](", "![", "GH-7", "javascript"} {
			if strings.Contains(rest, live) {
				t.Errorf("%s line %d: %q outside of code: %.300q", name, i+1, live, rest)
			}
		}
		if !strings.HasPrefix(line, "|") {
			bars = 0
			continue
		}
		if n := strings.Count(line, "|"); bars != 0 && n != bars {
			t.Errorf("%s line %d: %d bars in a table of %d", name, i+1, n, bars)
		} else {
			bars = n
		}
	}
	if mermaid || open != 0 {
		t.Errorf("%s: a fence or %d details stay open", name, open)
	}
}

func TestMarkdownText(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"p99 of cart is 12.3 ms (87.5%).", "p99 of cart is 12.3 ms (87.5%)."},
		{"ask @ops now", "ask `@ops` now"}, {"see #12 or GH-12", "see `#12` or `GH-12`"},
		{"run `top -H`, then `ss -ti` (retrans)", "run `top -H`, then `ss -ti` (retrans)"}, {"`a``<b>` x|y`z`", "`a` `<b>` `x\\x7cy` `z`"}, {"`` @x", "`@x`"}, {"@ops`x", "`@ops\\x60x`"},
		{"see`#1`2", "see`#1`2"}, {"of node-1, GH-2: x", "of `node-1`, `GH-2`: x"}, {"<b>x</b> y", "`<b>x</b>` y"}, {"a|b", "`a\\x7cb`"}, {"a`b", "`a\\x60b`"},
		{"https://x.example/a_b", "`https://x.example/a_b`"}, {"(www.x.example)", "`(www.x.example)`"},
		{"2026-03-14 was", "2026-03-14 was"}, {"my_svc *b*", "`my_svc *b*`"}, {"- item", "`-` item"}, {"", ""},
		{"x//y", "`x//y`"}, {"all it needs? Yes", "all it needs? Yes"}, {"a/b 1/s", "a/b 1/s"},
	} {
		if got := markdownText(c.in); got != c.want {
			t.Errorf("markdownText(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestMermaidLabel(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"cart", "cart"}, {`"]; click`, "#34;#93;#59; click"}, {"#quot;", "#35;quot#59;"}, {"a`b", "a#96;b"}, {"1/s · µs", "1/s · µs"}, {"1. cart", "1#46; cart"}, {"- cart", "#45; cart"}, {"10.0.0.1", "10.0.0.1"},
	} {
		if got := mermaidLabel(c.in); got != c.want {
			t.Errorf("mermaidLabel(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

// The ticket is read by somebody who was not there.
func TestMarkdownInShort(t *testing.T) {
	a := limping()
	got := string(render(t, a, Markdown, options))
	short, _, _ := strings.Cut(got, "## Findings")
	for _, want := range []string{"| **What** | ", "| **Who** | ", "| **Since** | 20", "| **How sure** | confidence 0.", "| **Next** | ", "| **Lost** | ", "| **Recording** | ", "sha256:"} {
		if !strings.Contains(short, want) {
			t.Errorf("it does not say %s:\n%s", want, short)
		}
	}
	f := &analyze.Finding{StartNs: 30e9, EndNs: 60e9, Subject: analyze.Subject{Type: "disk", Name: "vdb"}}
	b := &analyze.Analysis{StartNs: 10e9, EndNs: 64e9, Disks: []analyze.Disk{
		{Name: "vdb", Users: []analyze.DiskUser{{Service: "store", IOs: 7}, {Service: "log", IOs: 9}}}, {Name: "vdc", Users: []analyze.DiskUser{{Service: "web", IOs: 5}}}}}
	for _, c := range []struct{ got, want string }{
		{sinceText(b, f), "1970-01-01 00:00:30 UTC, 20.0 s into the recording, until 00:01:00 UTC: the last 5 s that were judged have it"},
		{sinceText(&analyze.Analysis{StartNs: 30e9, EndNs: 90e9}, f), "1970-01-01 00:00:30 UTC, or before: the recording begins with it, until 00:01:00 UTC, 30.0 s before the recording ended"},
		{sinceText(&analyze.Analysis{StartNs: 30e9, EndNs: 66e9}, f), "1970-01-01 00:00:30 UTC, or before: the recording begins with it, until 00:01:00 UTC, 6.00 s before the recording ended"},
		{subjectText(&analyze.Finding{Subject: analyze.Subject{Type: "edge", Name: "web → cart → db", Service: "db"}}), "edge web → cart → db"},
		{subjectText(&analyze.Finding{Subject: analyze.Subject{Type: "edge", Name: "vm:1 → vm:2", Service: "db"}}), "edge vm:1 → vm:2 of db"},
		{affectedText(b, f), "log (9 IOs on it), store (7 IOs on it)"},
		{affectedText(b, &analyze.Finding{Subject: analyze.Subject{Type: "node", Name: "n"}}), ""},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

// What is looked up goes before what is read.
func TestMarkdownDropsTheTailFirst(t *testing.T) {
	got := string(render(t, many(80, 120), Markdown, options))
	if n := strings.Count(got[strings.Index(got, "## Edges"):strings.Index(got, "## Captures")], "\n| `"); n != 120 {
		t.Errorf("%d of 120 edges are left", n)
	}
	if !strings.Contains(got, "Left out to fit a ticket: ") || !strings.Contains(got, "“Services over time”") {
		t.Errorf("it does not say that the series are missing: %s", got[len(got)-600:])
	}
}
