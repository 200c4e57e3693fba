package reports

import (
	"strings"
	"testing"

	"kmon/analyze"
)

func TestTextHasNoControls(t *testing.T) {
	for _, c := range cases {
		for _, color := range []bool{false, true} {
			got := string(render(t, c.a(), Text, Options{Color: color, Width: 100}))
			if color {
				got = unpainted(got)
			}
			for i, line := range strings.Split(got, "\n") {
				if visible(line) != line {
					t.Errorf("%s, color %v, line %d holds a control: %q", c.name, color, i+1, line)
				}
			}
		}
	}
}

func TestTextColors(t *testing.T) {
	if got := string(render(t, lossy(), Text, Options{})); strings.Contains(got, "\x1b") {
		t.Error("colours without Color")
	}
	got := string(render(t, lossy(), Text, Options{Color: true}))
	if !strings.Contains(got, colors[toneBad]+"18,401 lost"+colorsOff) {
		t.Errorf("losses are not coloured:\n%q", got)
	}
	if got := string(render(t, shop(), Text, Options{Color: true})); strings.Contains(got, colors[toneBad]+"0 lost"+colorsOff) {
		t.Error("no loss is coloured as a loss")
	}
}

// TestTextVerdictFirst: the first line is the verdict.
func TestTextVerdictFirst(t *testing.T) {
	for _, c := range cases {
		a := c.a()
		first := strings.SplitN(string(render(t, a, Text, Options{})), "\n", 2)[0]
		want := "● " + visible(a.Verdict)
		if a.Verdict == "" {
			want = "● No verdict."
		}
		if first != want {
			t.Errorf("%s: first line %q, want %q", c.name, first, want)
		}
	}
}

func TestTextFitsWidth(t *testing.T) {
	for _, c := range cases {
		for _, width := range []int{80, 100, 120, 200} {
			for i, line := range strings.Split(string(render(t, c.a(), Text, Options{Width: width})), "\n") {
				if n := columns(line); n > width && strings.Contains(strings.TrimSpace(line), " ") {
					t.Errorf("%s at %d: line %d takes %d columns: %s", c.name, width, i+1, n, cut(line, 200))
				}
			}
		}
	}
}

// TestTextCutsNothing: without a terminal every row and name is whole.
func TestTextCutsNothing(t *testing.T) {
	a := many(300, 2000)
	got := string(render(t, a, Text, Options{}))
	for i := range a.Services {
		if !strings.Contains(got, a.Services[i].Name+" ") {
			t.Errorf("service %s is missing", a.Services[i].Name)
		}
	}
	if n := strings.Count(got, "\n"); n < 2300 {
		t.Errorf("%d lines, want a line for each of 300 services and 2000 edges", n)
	}
	short := string(render(t, a, Text, Options{Width: 100}))
	if !strings.Contains(short, "260 more") || !strings.Contains(short, "1,960 more") {
		t.Errorf("a terminal is not told what was left out:\n%s", short)
	}
}

func TestTextAligned(t *testing.T) {
	x := build("x", "X", []int64{1, 22, 333}, []spec[int64]{
		{column{Head: "Name", Kind: kindName}, func(n *int64) cell { return named(strings.Repeat("服", int(*n%10))) }},
		number("N", "", 0, func(n *int64) cell { return counted(*n) }),
	})
	_, widths := fit(x, 0)
	if widths[0] != 6 || widths[1] != 3 {
		t.Errorf("widths %v, want 6 and 3", widths)
	}
}

func TestFitDropsByRank(t *testing.T) {
	x := servicesTable(shop())
	narrow, widths := fit(x, 60)
	heads := ""
	total := 0
	for i, c := range narrow.Columns {
		heads += " " + c.Head
		total += widths[i] + 2
	}
	for _, must := range []string{"Service", "Requests", "p50", "p99"} {
		if !strings.Contains(heads, must) {
			t.Errorf("at 60 columns %s is gone:%s", must, heads)
		}
	}
	if total > 60 || strings.Contains(heads, "Bytes") {
		t.Errorf("%d columns:%s", total, heads)
	}
}

// TestNotMeasuredIsNotZero: a service without timed requests shows no number.
func TestNotMeasuredIsNotZero(t *testing.T) {
	a := shop()
	a.Services = []analyze.Service{{Name: "quiet", Instances: []analyze.Instance{{Name: "q"}}, Series: []analyze.Point{{StartNs: start}}}}
	a.Edges = []analyze.Edge{{Client: "a", Server: "quiet"}}
	for _, f := range []Format{Text, Markdown, HTML} {
		if got := string(render(t, a, f, options)); strings.Contains(got, "0 ns") {
			t.Errorf("%s shows what was not measured as 0", f)
		}
	}
}

func TestOptionalColumns(t *testing.T) {
	a := shop()
	for i := range a.Services {
		a.Services[i].Unanswered = 0
	}
	for _, c := range servicesTable(a).Columns {
		if c.Head == "Unanswered" {
			t.Error("Unanswered is shown though there are none")
		}
	}
	for _, x := range []table{servicesTable(shop()), edgesTable(shop()), connectionsTable(hostile()), hooksTable(shop())} {
		for i, row := range x.Rows {
			if len(row) != len(x.Columns) {
				t.Errorf("%s row %d: %d cells under %d heads", x.Title, i, len(row), len(x.Columns))
			}
		}
	}
}
