package reports

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"kmon/analyze/compare"
)

// comparisons are the results every format is tried on.
var comparisons = []struct {
	name string
	c    func() *compare.Result
	gold bool
}{
	{"compare-worse", worse, true},
	{"compare-calm", calm, true},
	{"compare-unsure", unsure, true},
	{"compare-hostile", hostileComparison, false},
	{"compare-nothing", func() *compare.Result { return &compare.Result{} }, true},
}

// comparisonEndings are the formats with the ending of their golden.
var comparisonEndings = []struct {
	format Format
	ending string
}{{Text, "txt"}, {Markdown, "md"}, {HTML, "html"}, {JUnit, "xml"}, {SARIF, "sarif"}, {JSON, "json"}}

// compareOptions are those of the goldens.
var compareOptions = Options{Width: 120, Command: "kmon compare before.kmon after.kmon --threshold 'p99(service=cart):+10%'"}

func renderComparison(t *testing.T, c *compare.Result, f Format, o Options) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteComparison(&b, c, f, o); err != nil {
		t.Fatalf("%s: %v", f, err)
	}
	return b.Bytes()
}

// reviewableComparison is reviewable for a page that has a style more.
func reviewableComparison(t *testing.T, page []byte) []byte {
	t.Helper()
	style, err := compareFiles.ReadFile("assets/compare.css")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(page, style) {
		t.Error("the page lacks the style of a comparison")
	}
	return reviewable(t, bytes.Replace(page, style, nil, 1))
}

func TestComparisonGolden(t *testing.T) {
	for _, c := range comparisons {
		for _, e := range comparisonEndings {
			got := renderComparison(t, c.c(), e.format, compareOptions)
			if again := renderComparison(t, c.c(), e.format, compareOptions); !bytes.Equal(got, again) {
				t.Errorf("%s.%s differs from run to run", c.name, e.ending)
			}
			if !c.gold || e.format == JSON && c.name != "compare-nothing" {
				continue
			}
			if e.format == HTML {
				got = reviewableComparison(t, got)
			}
			path := filepath.Join("testdata", c.name+"."+e.ending+".golden")
			checkGolden(t, path, got)
		}
	}
}

// TestComparisonJSON: what is written is what there was.
func TestComparisonJSON(t *testing.T) {
	want := worse()
	var got compare.Result
	if err := json.Unmarshal(renderComparison(t, want, JSON, Options{}), &got); err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(normalComparison(want))
	b, _ := json.Marshal(&got)
	if !bytes.Equal(a, b) {
		t.Errorf("the JSON lost something:\n%s\nwant\n%s", b, a)
	}
	if strings.Contains(string(a), "null") {
		t.Error("a list is null in the JSON")
	}
}

// TestComparisonSaysWhatIsWhat: every report says which side is base, and what
// matters first.
func TestComparisonSaysWhatIsWhat(t *testing.T) {
	for _, f := range []Format{Text, Markdown, HTML} {
		for _, c := range comparisons[:3] {
			text := string(renderComparison(t, c.c(), f, Options{}))
			for _, want := range []string{"BASE is ", "NEW is "} {
				if !strings.Contains(text, want) {
					t.Errorf("%s as %s lacks %q", c.name, f, want)
				}
			}
		}
		text := html.UnescapeString(string(renderComparison(t, worse(), f, Options{})))
		_, text, _ = strings.Cut(text, "<body>")
		if f != HTML {
			text = string(renderComparison(t, worse(), f, Options{}))
		}
		at := -1
		for _, want := range []string{"Regression", "p99 latency of cart grew by 18.3%", "Thresholds of the change", "Regressions: NEW is worse", "+18.3%",
			"Improvements: NEW is better", "−21%", "Inconclusive: NEW may be worse", "only 7 windows"} {
			next := strings.Index(strings.ToLower(text), strings.ToLower(want))
			if next < 0 {
				t.Errorf("%s lacks %q", f, want)
			} else if next < at {
				t.Errorf("%s has %q too early", f, want)
			}
			at = max(at, next)
		}
	}
	text := string(renderComparison(t, unsure(), Text, Options{}))
	if !strings.HasPrefix(text, "! Not the same load") {
		t.Errorf("another load is not said first:\n%.200s", text)
	}
	if strings.Contains(text, "No change") {
		t.Errorf("an inconclusive comparison speaks of no change:\n%s", text)
	}
}

// TestComparisonMarkdown: ten rows a table stand open, the rest is folded, and
// nothing of a name is live.
func TestComparisonMarkdown(t *testing.T) {
	c := worse()
	for i := range 30 {
		c.Changes = append(c.Changes, judgedChange(service2(fmt.Sprintf("shard-%02d", i)), compare.P99, "p99 latency", compare.Regression, 1e6, 0.3))
	}
	text := string(renderComparison(t, c, Markdown, Options{}))
	if !strings.Contains(text, "<summary>22 more</summary>") {
		t.Error("the rows over ten are not folded")
	}
	if !strings.HasPrefix(text, "## ❌ kmon compare: Regression\n") {
		t.Errorf("the verdict is not first: %.80s", text)
	}
	hostile := string(renderComparison(t, hostileComparison(), Markdown, Options{Command: strings.Join(hostileNames, " ")}))
	if len(hostile) > MarkdownLimit {
		t.Errorf("%d bytes", len(hostile))
	}
	outside := ""
	for line := range strings.Lines(hostile) {
		for i, part := range strings.Split(line, "`") {
			if i%2 == 0 {
				outside += part
			}
		}
	}
	for _, live := range []string{"<script", "<img", "](", "@everyone", "#123", "GH-7", "https:", "www.", "\x1b", "\u202e"} {
		if strings.Contains(outside, live) {
			t.Errorf("%q is live", live)
		}
	}
}

// TestComparisonText: a terminal gets no control character of a name.
func TestComparisonText(t *testing.T) {
	for _, width := range []int{0, 60, 120} {
		for line := range strings.Lines(string(renderComparison(t, hostileComparison(), Text, Options{Width: width}))) {
			for _, r := range strings.TrimSuffix(line, "\n") {
				if unicode.IsControl(r) || r == '\u202e' {
					t.Fatalf("width %d: %q in %q", width, r, line)
				}
			}
		}
	}
	if text := string(renderComparison(t, worse(), Text, Options{Color: true, Width: 100})); !strings.Contains(text, colors[toneBad]+"Regression"+colorsOff) {
		t.Error("a regression has no colour")
	}
}

// TestComparisonHTMLIsSafe reads every page as strict XML.
func TestComparisonHTMLIsSafe(t *testing.T) {
	for _, c := range comparisons {
		text := string(reviewableComparison(t, renderComparison(t, c.c(), HTML, compareOptions)))
		if c.name == "compare-hostile" && !strings.Contains(text, "&lt;script&gt;alert(1)") {
			t.Error("the hostile name is not in the page at all")
		}
		checkPage(t, c.name, text, func(e xml.StartElement) {
			if e.Name.Local == "script" {
				t.Errorf("%s has a script", c.name)
			}
		})
	}
}

// junitRules are the rules of the common JUnit schema (Ant's, windyroad's XSD):
// required attributes, allowed ones, and children in their order.
var junitRules = map[string]struct {
	required, allowed, children []string
}{
	"testsuites": {nil, nil, []string{"testsuite"}},
	"testsuite": {strings.Fields("name timestamp hostname tests failures errors time package id"), []string{"skipped"},
		[]string{"properties", "testcase", "system-out", "system-err"}},
	"properties": {nil, nil, []string{"property"}},
	"property":   {strings.Fields("name value"), nil, nil},
	"testcase":   {strings.Fields("name classname time"), nil, []string{"skipped", "error", "failure"}},
	"failure":    {[]string{"type"}, []string{"message"}, nil},
	"skipped":    {nil, strings.Fields("type message"), nil},
	"system-out": {}, "system-err": {},
}

// TestJUnit holds the report against the schema's rules, and its counts against
// what it has.
func TestJUnit(t *testing.T) {
	for _, c := range comparisons {
		text := renderComparison(t, c.c(), JUnit, Options{})
		checkJUnit(t, c.name, text)
		var got junitReport
		if err := xml.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		names := map[string]bool{}
		for _, s := range got.Suites {
			failures, skipped := 0, 0
			for _, x := range s.Cases {
				if x.Failure != nil {
					failures++
				}
				if x.Skipped != nil {
					skipped++
				}
				if names[s.Name+x.Name] {
					t.Errorf("%s: test case %q twice", c.name, x.Name)
				}
				names[s.Name+x.Name] = true
			}
			if s.Tests != len(s.Cases) || s.Failures != failures || s.Skipped != skipped {
				t.Errorf("%s: suite %s counts %d tests, %d failures, %d skipped; it has %d, %d, %d", c.name, s.Name, s.Tests, s.Failures, s.Skipped, len(s.Cases), failures, skipped)
			}
		}
	}
	var got junitReport
	if err := xml.Unmarshal(renderComparison(t, unsure(), JUnit, Options{}), &got); err != nil {
		t.Fatal(err)
	}
	if outcome := got.Suites[0].Cases[0]; outcome.Skipped == nil || !strings.Contains(outcome.Skipped.Text, "after.kmon is cut") {
		t.Errorf("an inconclusive outcome is not skipped with its reason: %+v", outcome)
	}
}

// checkJUnit walks the elements.
func checkJUnit(t *testing.T, name string, text []byte) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(text))
	var open []string
	places := map[int]int{} // depth → place of the last child in its parent's order
	for {
		token, err := d.Token()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatalf("%s is not well-formed: %v", name, err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			rule, known := junitRules[e.Name.Local]
			if !known {
				t.Fatalf("%s: element <%s>", name, e.Name.Local)
			}
			if len(open) > 0 {
				place := slices.Index(junitRules[open[len(open)-1]].children, e.Name.Local)
				if place < 0 || place < places[len(open)] {
					t.Errorf("%s: <%s> in <%s> at a wrong place", name, e.Name.Local, open[len(open)-1])
				}
				places[len(open)] = place
			}
			has := []string{}
			for _, a := range e.Attr {
				has = append(has, a.Name.Local)
				if !slices.Contains(rule.required, a.Name.Local) && !slices.Contains(rule.allowed, a.Name.Local) {
					t.Errorf("%s: <%s %s>", name, e.Name.Local, a.Name.Local)
				}
				if a.Value == "" && a.Name.Local == "name" {
					t.Errorf("%s: <%s> has no name", name, e.Name.Local)
				}
			}
			for _, want := range rule.required {
				if !slices.Contains(has, want) {
					t.Errorf("%s: <%s> lacks %s", name, e.Name.Local, want)
				}
			}
			open = append(open, e.Name.Local)
			places[len(open)] = 0
		case xml.EndElement:
			open = open[:len(open)-1]
		}
	}
}

// TestSARIF holds the log against what the schema of SARIF 2.1.0 requires, and
// what GitHub wants beyond that.
func TestSARIF(t *testing.T) {
	for _, c := range comparisons {
		var log sarifLog
		d := json.NewDecoder(bytes.NewReader(renderComparison(t, c.c(), SARIF, Options{})))
		d.DisallowUnknownFields()
		if err := d.Decode(&log); err != nil {
			t.Fatal(err)
		}
		if log.Version != "2.1.0" || len(log.Runs) != 1 || log.Runs[0].Tool.Driver.Name != "kmon" {
			t.Errorf("%s: version %q, %d runs", c.name, log.Version, len(log.Runs))
		}
		run := log.Runs[0]
		seen := map[string]bool{}
		for _, r := range run.Results {
			rules := run.Tool.Driver.Rules
			if r.RuleIndex >= len(rules) || rules[r.RuleIndex].ID != r.RuleID || r.Message.Text == "" || r.Level != "error" {
				t.Errorf("%s: result %+v", c.name, r)
			}
			if len(r.Locations) != 1 || r.Locations[0].Physical.Artifact.URI == "" || r.Locations[0].Physical.Region.StartLine < 1 {
				t.Errorf("%s: no location: %+v", c.name, r)
			}
			for name, f := range r.Fingerprints {
				if f = name + " " + f; seen[f] {
					t.Errorf("%s: two results with one fingerprint: %+v", c.name, r)
				}
				seen[f] = true
			}
			if strings.ContainsAny(r.Locations[0].Physical.Artifact.URI, " <>\"\\^`{|}\n\x1b") {
				t.Errorf("%s: no URI: %q", c.name, r.Locations[0].Physical.Artifact.URI)
			}
		}
		want := len(withOutcome(c.c(), compare.Regression))
		failed, _ := failedThresholds(c.c())
		if len(run.Results) != want+failed {
			t.Errorf("%s: %d results, want %d regressions and %d thresholds", c.name, len(run.Results), want, failed)
		}
		if _, loud := comparisonState(c.c()); loud == toneWarn && (len(run.Invocations[0].Notifications) == 0 || run.Invocations[0].Notifications[0].Level != "warning") {
			t.Errorf("%s: inconclusive is not told", c.name)
		}
	}
}

func TestMetricText(t *testing.T) {
	for _, c := range []struct {
		unit  string
		value float64
		want  string
	}{
		{"ns", 12.34e6, "12.3 ms"}, {"ns", -1500, "−1.50 µs"}, {"bytes", 2048, "2.00 KiB"}, {"ratio", 0.0042, "0.42%"},
		{"per_s", 1234.5, "1,235/s"}, {"count", 0.0421, "0.042"}, {"count", 0, "0"}, {"count", -2, "−2.00"},
	} {
		if got := metricText(c.unit, c.value); got != c.want {
			t.Errorf("%s %g: got %q, want %q", c.unit, c.value, got, c.want)
		}
	}
	for _, c := range []struct {
		x    float64
		want string
	}{{0.183, "+18.3%"}, {-0.21, "−21%"}, {0, "0%"}, {0.00001, "+<0.01%"}, {12.5, "+1,250%"}, {0.0042, "+0.42%"}} {
		if got := relativeText(c.x); got != c.want {
			t.Errorf("%g: got %q, want %q", c.x, got, c.want)
		}
	}
}
