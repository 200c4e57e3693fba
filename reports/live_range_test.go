package reports

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"kmon/analyze"
	"kmon/analyze/stat"
)

// knownSeries is a series with latencies that the test knows, 20 a window.
func knownSeries(windows int, of func(window, i int) int64) (points []analyze.Point, all [][]int64) {
	for w := range windows {
		p := analyze.Point{StartNs: start + int64(w)*second, Requests: 20, Count: 20, Partial: w == 0}
		var list []int64
		for i := range 20 {
			list = append(list, of(w, i))
		}
		slices.Sort(list)
		for _, ns := range list {
			p.Classes = mergedClasses(p.Classes, []analyze.ClassCount{{Class: stat.ClassOf(ns), Count: 1}})
		}
		p.P50, p.P95, p.P99, p.Max = list[9], list[18], list[19], list[19]
		points, all = append(points, p), append(all, list)
	}
	return points, all
}

// rangeShop is a shop of a minute whose cart is slow for ten seconds.
func rangeShop() (*analyze.Analysis, [][]int64) {
	a := shots()
	cart := slices.IndexFunc(a.Services, func(s service) bool { return s.Name == "cart" })
	points, all := knownSeries(60, func(w, i int) int64 {
		ns := int64(1+i) * 150 * microsecond
		if w >= 20 && w < 30 {
			ns *= int64(10 + w)
		}
		return ns
	})
	points[22].Errors, points[22].Lost = 7, 11
	a.Services[cart].Series = points
	a.Services[cart].Requests = 20 * 60
	a.Series = served(a.Services)
	return a, all
}

// exact is the nearest-rank quantile of the windows [from, to).
func exact(all [][]int64, from, to int, q float64) int64 {
	list := slices.Concat(all[from:to]...)
	slices.Sort(list)
	return list[int(math.Ceil(q*float64(len(list))))-1]
}

// stepAt is the place of a window on the timeline.
func stepAt(b *tab, window float64) spot {
	b.t.Helper()
	share := run[float64](b, fmt.Sprintf(`(() => { const e = document.querySelector("[data-timeline]"), d = e.dataset;
		return (Number(d.left) + (Number(d.right) - Number(d.left)) * (%g + 0.5) * Number(d.step) / (Number(d.to) - Number(d.from))) / e.viewBox.baseVal.width; })()`, window))
	return b.at(`document.querySelector("[data-timeline]")`, share, 0.9)
}

// rowOfTable gives the cells of a row of the table that takes another's place; ""
// when there is none.
func rowOfTable(b *tab, id, name string) string {
	b.t.Helper()
	return run[string](b, fmt.Sprintf(`(() => { const r = [...document.querySelectorAll('[data-panel=%q] > .windowed tbody tr')].find(r => r.cells[0].textContent === %q);
		return r ? [...r.cells].map(c => c.textContent).join(" | ") : ""; })()`, id, name))
}

// cartOf is what the table must say of the cart in the windows [from, to): sums are
// exact, quantiles within the width of a class.
func cartOf(t *testing.T, b *tab, all [][]int64, from, to int) {
	t.Helper()
	cells := strings.Split(rowOfTable(b, "services", "cart"), " | ")
	if len(cells) != 11 {
		t.Fatalf("windows %d to %d: the cart's row is %q", from, to, cells)
	}
	n := int64(20 * (to - from))
	errors := int64(0)
	if from <= 22 && to > 22 {
		errors = 7
	}
	for i, want := range map[int]string{1: CountText(n), 2: "20.0/s", 3: "20.0/s", 4: CountText(errors), 10: DurationText(exact(all, from, to, 1))} {
		if cells[i] != want {
			t.Errorf("windows %d to %d: column %d says %q, want %q", from, to, i, cells[i], want)
		}
	}
	for i, q := range map[int]float64{5: 0.5, 6: 0.95, 7: 0.99} {
		want := float64(exact(all, from, to, q))
		low, high := int64(want*(1-stat.ClassError)), int64(want*(1+stat.ClassError))
		if got := cells[i]; got != DurationText(int64(want)) && !between(t, got, low, high) {
			t.Errorf("windows %d to %d: p%g is %s, exact %s", from, to, q*100, got, DurationText(int64(want)))
		}
	}
}

// between says that a worded duration lies between two, as far as its digits tell.
func between(t *testing.T, text string, low, high int64) bool {
	t.Helper()
	var n float64
	var unit string
	if _, err := fmt.Sscanf(text, "%g %s", &n, &unit); err != nil {
		t.Errorf("%q is no duration", text)
		return false
	}
	n *= map[string]float64{"ns": 1, "µs": 1e3, "ms": 1e6, "s": 1e9}[unit]
	return n >= float64(low)*0.995 && n <= float64(high)*1.005
}

// TestRange: a range picked on the timeline narrows every panel to exactly its
// windows, stands in the fragment, and goes again; so does one picked with the
// keyboard, by a finding, or named by a link.
func TestRange(t *testing.T) {
	a, all := rangeShop()
	page := render(t, a, HTML, options)
	b := show(t, page, 1280, 800)
	b.ready()
	fragment := func() string { return run[string](b, "location.hash") }
	shown := func() string { return run[string](b, `document.getElementById("range-shown").textContent`) }
	if rowOfTable(b, "services", "cart") != "" || !strings.Contains(shown(), "whole recording") {
		t.Errorf("before anything is picked: %q", shown())
	}

	b.drag(stepAt(b, 20), stepAt(b, 29))
	cartOf(t, b, all, 20, 30)
	if got, want := fragment(), "#t=2026-03-14T02:59:20Z..2026-03-14T02:59:30Z"; got != want {
		t.Errorf("the fragment is %q, want %q", got, want)
	}
	if got, want := graphTotal(b), sumOf(a.Profile, a.Profile.OnCPU, "", 20*50, 30*50); got != want || want == 0 {
		t.Errorf("the flame graph shows %d samples of %d", got, want)
	}
	if got := run[[]float64](b, `(() => { const u = kmonCharts.of(document.querySelector("[data-chart]")); return [u.times.length] })()`); got[0] != 60 {
		t.Errorf("the chart lost windows: %v", got)
	}
	if text := run[string](b, `document.querySelector("[data-panel=services] .windowed").textContent`); !strings.Contains(text, "11 exchanges were lost") {
		t.Errorf("the table does not tell of losses: %q", text)
	}
	if n := run[int](b, `[...document.querySelectorAll("#chart-1 tbody tr")].filter(r => !r.hidden).length`); n != 10 {
		t.Errorf("the first chart lists %d windows", n)
	}
	if mark := run[string](b, `getComputedStyle(document.querySelector("[data-panel=captures] caption"), "::after").content`); !strings.Contains(mark, "whole recording") {
		t.Errorf("what is not narrowed says %q", mark)
	}

	b.drag(stepAt(b, 40), stepAt(b, 35)) // backwards
	cartOf(t, b, all, 35, 41)
	run[any](b, "history.back()")
	b.until(`document.getElementById("range-shown").textContent.includes("02:59:20 to 02:59:30")`)
	cartOf(t, b, all, 20, 30)
	b.click(b.at(`document.getElementById("range-all")`, 0.5, 0.5))
	if rowOfTable(b, "services", "cart") != "" || strings.Contains(fragment(), "t=") || graphTotal(b) != sumOf(a.Profile, a.Profile.OnCPU, "", 0, 3000) {
		t.Errorf("after the reset: %q", fragment())
	}

	run[bool](b, `document.querySelector("[data-timeline]").focus() || true`)
	b.press(false, "Home", "ArrowRight", "ArrowRight")
	b.press(true, "ArrowRight", "ArrowRight")
	b.press(false, "Enter")
	cartOf(t, b, all, 2, 5)
	if b.press(false, "Escape"); rowOfTable(b, "services", "cart") != "" {
		t.Error("Escape does not show all")
	}

	f := a.Findings[0]
	b.click(b.at(`document.querySelector("[data-timeline] a rect")`, 0.5, 0.5))
	from, to := int((f.StartNs-start)/second), int((f.EndNs-start)/second)
	cartOf(t, b, all, from, to)
	b.quiet()

	other := show(t, page, 1280, 800)
	other.ready()
	run[bool](other, `(() => { location.hash = "#t=2026-03-14T02:59:20Z..2026-03-14T02:59:30Z&at=talk&service=postgres"; return true; })()`)
	other.until(`document.getElementById("range-shown").textContent.includes("02:59:20 to 02:59:30")`)
	cartOf(t, other, all, 20, 30)
	if got := run[string](other, `document.getElementById("flame-service").selectedOptions[0].text`); got != "postgres" {
		t.Errorf("the link chooses %q", got)
	}
	if y := run[float64](other, `document.getElementById("talk").getBoundingClientRect().top`); y < -60 || y > 400 {
		t.Errorf("the link leads to %g", y)
	}
	other.quiet()
}

// TestHostileFragment: a fragment that is no view, or wants to be more, does nothing.
func TestHostileFragment(t *testing.T) {
	b := show(t, render(t, shop(), HTML, options), 1280, 800)
	b.ready()
	for _, text := range []string{"t=x..y", "t=2026-03-14T02:59:30Z..2026-03-14T02:59:20Z", "%", "at=%E0%A4%A", "q=<img src=x onerror=alert(1)>", "__proto__=1",
		"service=%22%5D%3Cscript%3E", "t=0001-01-01T00:00:00Z..9999-01-01T00:00:00Z", "edge=a&zoom=zz&kind=off", "=", "&&&"} {
		run[bool](b, fmt.Sprintf("(() => { location.hash = %q; return true; })()", text))
		run[int](b, "new Promise(done => setTimeout(() => done(1), 20))")
	}
	if n := run[int](b, "document.querySelectorAll('img').length"); n != 0 {
		t.Errorf("%d images", n)
	}
	b.quiet()
}

// TestCopy: what a button copies is the numbers of its table or chart, within the
// picked range.
func TestCopy(t *testing.T) {
	a, _ := rangeShop()
	b := show(t, render(t, a, HTML, options), 1280, 800)
	b.ready()
	copied := func(button string) string {
		b.t.Helper()
		run[bool](b, `(() => { window.copied = null; Object.defineProperty(navigator, "clipboard", {configurable: true, value: {writeText: async (text) => { window.copied = text; }}}); return true; })()`)
		b.click(b.at(button, 0.5, 0.5))
		return run[string](b, "window.copied || ''")
	}
	whole := copied(`document.querySelector("[data-panel=services] > .copy")`)
	if lines := strings.Split(strings.TrimSpace(whole), "\n"); len(lines) != len(connected(a))+1 || !strings.HasPrefix(lines[0], "Service\tRequests\t") {
		t.Errorf("the services are copied as %q", whole)
	}
	chart := copied(`document.querySelector("#time .chart > .copy")`)
	if lines := strings.Split(strings.TrimSpace(chart), "\n"); len(lines) != 61 || !strings.HasPrefix(lines[0], "UTC\trequests (1/s)\t") || !strings.HasPrefix(lines[1], "2026-03-14T02:59:00.000Z\t") {
		t.Errorf("the chart is copied as %.300q", chart)
	}
	run[any](b, fmt.Sprintf("kmonView.pick(%d, %d)", start/millisecond+20_000, start/millisecond+30_000))
	if lines := strings.Split(strings.TrimSpace(copied(`document.querySelector("#time .chart > .copy")`)), "\n"); len(lines) != 11 {
		t.Errorf("the narrowed chart is copied as %d lines", len(lines))
	}
	if text := copied(`document.querySelector("[data-panel=services] > .copy")`); !strings.Contains(text, "p99 outside") {
		t.Errorf("the narrowed services are copied as %q", text)
	}
	if text := copied(`document.querySelector("#flame-graph + .copy")`); !strings.HasPrefix(text, "path\tvalue\n") || strings.Count(text, "\n") < 3 {
		t.Errorf("the flame graph is copied as %q", text)
	}
	b.quiet()
}
