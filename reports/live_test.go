package reports

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"kmon/analyze"
)

// sumOf is the exact value of a profile's cells in buckets [from, to), of one
// service or of all ("").
func sumOf(p *analyze.Profile, cells []analyze.ProfileCell, service string, from, to int32) (sum int64) {
	roots := make([]string, len(p.Nodes))
	for i, n := range p.Nodes {
		if n.Parent < 0 {
			roots[i] = p.Frames[n.Frame].Name
		} else {
			roots[i] = roots[n.Parent]
		}
	}
	for _, c := range cells {
		if c.Bucket >= from && c.Bucket < to && (service == "" || roots[c.Node] == service) {
			sum += c.Value
		}
	}
	return sum
}

// graphTotal is what the flame graph says it shows.
func graphTotal(b *tab) int64 {
	b.t.Helper()
	return int64(run[float64](b, `Number(document.getElementById("flame-graph").dataset.total)`))
}

// frameOf is a script that finds the rectangle of a drawn frame.
func frameOf(name string) string {
	return fmt.Sprintf(`[...document.querySelectorAll("#flame-graph g")].find(g => d3.select(g).datum().data.name === %s).querySelector("rect")`, strconv.Quote(name))
}

// choose picks an option of a list by its text.
func choose(b *tab, id, text string) {
	b.t.Helper()
	run[bool](b, fmt.Sprintf(`(() => { const l = document.getElementById(%q); l.value = [...l.options].find(o => o.text === %q).value; l.dispatchEvent(new Event("change")); return true; })()`, id, text))
}

// TestFlameGraph: the graph shows the exact sum, a click zooms, search says the
// share of what it found, the keyboard walks.
func TestFlameGraph(t *testing.T) {
	a := busyShop()
	p := a.Profile
	b := show(t, render(t, a, HTML, options), 1300, 900)
	b.ready()
	if got, want := graphTotal(b), sumOf(p, p.OnCPU, "", 0, 3000); got != want {
		t.Errorf("%d samples in the graph, %d in the profile", got, want)
	}
	if shown := run[bool](b, `[...document.querySelectorAll("[data-still]")].some(e => e.getBoundingClientRect().height > 0)`); shown {
		t.Error("the drawings for browsers without scripts still show")
	}

	// The library sets widths in the next frames: until ten in a row are alike.
	wide := func(name string) float64 {
		return run[float64](b, `new Promise(done => {
			let last = -1, alike = 0;
			const look = () => {
				const width = `+frameOf(name)+`.getBoundingClientRect().width;
				alike = width === last ? alike + 1 : 0;
				last = width;
				if (alike < 10) requestAnimationFrame(look); else done(width);
			};
			look();
		})`)
	}
	before := wide("encoding/json.Marshal")
	b.click(b.at(frameOf("encoding/json.Marshal"), 0.5, 0.5))
	zoomed := func() string { return run[string](b, `document.getElementById("flame-graph").dataset.zoomed || ""`) }
	if after := wide("encoding/json.Marshal"); zoomed() != "encoding/json.Marshal" || after < 4*before || after < 1000 {
		t.Errorf("a click zooms to %q, from %g to %g pixels", zoomed(), before, after)
	}
	b.click(b.at(`document.getElementById("flame-reset")`, 0.5, 0.5))
	if after := wide("encoding/json.Marshal"); zoomed() != "" || after != before {
		t.Errorf("the reset leaves %q at %g pixels of %g", zoomed(), after, before)
	}

	run[bool](b, `document.getElementById("flame-search").focus() || true`)
	b.ask("Input.insertText", map[string]any{"text": "SHA256"}, nil)
	sums := inclusive(p, p.OnCPU)
	want := int64(0)
	for i, n := range p.Nodes {
		if p.Frames[n.Frame].Name == "crypto/sha256.block" {
			want += sums[i]
		}
	}
	if got := run[string](b, `document.getElementById("flame-graph").dataset.matched`); got != strconv.FormatInt(want, 10) {
		t.Errorf("the search finds %s samples of %d", got, want)
	}
	share := percentText(float64(want) / float64(graphTotal(b)))
	if text := run[string](b, `document.getElementById("flame-details").textContent`); !strings.Contains(text, share) {
		t.Errorf("%q does not say %s", text, share)
	}
	if n := run[int](b, `[...document.querySelectorAll("#flame-graph rect")].filter(r => r.getAttribute("fill") === "#ff5fd2").length`); n != 1 {
		t.Errorf("%d frames are highlighted", n)
	}

	b.press(false, "Tab", "Tab") // the reset, the graph
	if id := run[string](b, "document.activeElement.id"); id != "flame-graph" {
		t.Fatalf("tab leads to %q", id)
	}
	b.press(false, "ArrowDown", "ArrowRight", "ArrowDown", "Enter")
	if zoomed() != "PostgresMain" {
		t.Errorf("the keyboard zooms to %q", zoomed())
	}
	if text := run[string](b, `document.getElementById("flame-details").textContent`); !strings.Contains(text, "PostgresMain") {
		t.Errorf("the keyboard's frame is told as %q", text)
	}
	if b.press(false, "Escape"); zoomed() != "" {
		t.Errorf("Escape leaves %q", zoomed())
	}
	b.quiet()
}

// TestPickedRange: a range of either heat map narrows the graph to exactly the
// sum of its moments, for each kind of time and service.
func TestPickedRange(t *testing.T) {
	a := busyShop()
	p := a.Profile
	b := show(t, render(t, a, HTML, options), 1300, 900)
	b.ready()
	// place is the middle of a cell of a map, as a share of its canvas.
	place := func(id string, columns, rows, column, row, height float64) spot {
		wide := run[float64](b, fmt.Sprintf("document.getElementById(%q).getBoundingClientRect().width", id))
		x := 64 + (wide-64-4)*(column+0.5)/columns
		y := height - 18 - (height-18-4)*(row+0.5)/rows
		return b.at(fmt.Sprintf("document.getElementById(%q)", id), x/wide, y/height)
	}
	cell := func(column, row float64) spot { return place("flame-heat", 60, 50, column, row, 200) }
	for _, c := range []struct {
		name     string
		from, to spot
		first    int32
		past     int32
	}{
		{"one cell", cell(3, 7), cell(3, 7), 157, 158},
		{"within a second", cell(3, 7), cell(3, 30), 157, 181},
		{"seconds", cell(22, 45), cell(31, 3), 22*50 + 45, 31*50 + 4},
		{"backwards", cell(31, 3), cell(22, 45), 22*50 + 45, 31*50 + 4},
	} {
		b.drag(c.from, c.to)
		if got, want := graphTotal(b), sumOf(p, p.OnCPU, "", c.first, c.past); got != want || want == 0 {
			t.Errorf("%s: the graph shows %d samples, the cells have %d", c.name, got, want)
		}
	}
	choose(b, "flame-service", "postgres")
	if got, want := graphTotal(b), sumOf(p, p.OnCPU, "postgres", 22*50+45, 31*50+4); got != want || want == 0 {
		t.Errorf("postgres: the graph shows %d samples, the cells have %d", got, want)
	}
	choose(b, "flame-kind", "off-CPU")
	if got, want := graphTotal(b), sumOf(p, p.OffCPU, "postgres", 20*50, 35*50); got != want || want == 0 {
		t.Errorf("off-CPU: the graph shows %d ns, the cells have %d", got, want)
	}
	b.click(place("flame-heat", 12, 1, 4, 0, 200))
	if got, want := graphTotal(b), sumOf(p, p.OffCPU, "postgres", 20*50, 25*50); got != want || want == 0 {
		t.Errorf("an interval off the CPU: the graph shows %d ns, its cell has %d", got, want)
	}
	choose(b, "flame-kind", "on-CPU")
	choose(b, "flame-service", "all services")

	rows := float64(len(a.HeatMaps[1].RowBounds) - 1)
	b.drag(place("latency-heat", 60, rows, 20, 3, 160), place("latency-heat", 60, rows, 29, 9, 160))
	if got, want := graphTotal(b), sumOf(p, p.OnCPU, "", 20*50, 30*50); got != want || want == 0 {
		t.Errorf("latency: the graph shows %d samples, the seconds have %d", got, want)
	}
	b.click(b.at(`document.getElementById("range-reset")`, 0.5, 0.5))
	if got, want := graphTotal(b), sumOf(p, p.OnCPU, "", 0, 3000); got != want {
		t.Errorf("after the reset the graph shows %d samples of %d", got, want)
	}

	run[bool](b, `document.getElementById("flame-heat").focus() || true`)
	b.click(cell(5, 10)) // the cursor stands where the pointer was
	b.press(false, "ArrowRight", "ArrowUp")
	b.press(true, "ArrowRight", "ArrowUp")
	b.press(false, "Enter")
	if got, want := graphTotal(b), sumOf(p, p.OnCPU, "", 6*50+11, 7*50+13); got != want || want == 0 {
		t.Errorf("keyboard: the graph shows %d samples, the cells have %d", got, want)
	}
	if b.press(false, "Escape"); graphTotal(b) != sumOf(p, p.OnCPU, "", 0, 3000) {
		t.Error("Escape does not show all")
	}
	b.quiet()
}

// TestDetailOfARange: where the moments are pruned more than the tree, whole
// buckets of the detail show it, the rest of a range its moments, and the sum is
// exact.
func TestDetailOfARange(t *testing.T) {
	a := busyShop()
	p := newProfiler(20 * millisecond)
	rare, other := p.node("cart", user("walk"), user("rare")), p.node("cart", user("(other)"))
	detail := map[[2]int32]int64{}
	for bucket := range int32(10 * 50) {
		n := int64(1 + bucket%7)
		p.on[[2]int32{bucket, other}] = n
		detail[[2]int32{bucket / 50, rare}] += n
	}
	a.Profile = p.profile()
	a.Profile.DetailNs, a.Profile.Detail = second, cellsOf(detail)
	a.Profile.OtherOnCPU = 0.25
	b := show(t, render(t, a, HTML, options), 1300, 900)
	b.ready()
	values := func() string {
		return run[string](b, `[...document.querySelectorAll("#flame-graph g")].map(g => d3.select(g).datum().data).filter(d => !d.children.length).map(d => d.name + " " + d.value).sort().join(", ")`)
	}
	sum := func(from, to int32) int64 { return sumOf(a.Profile, a.Profile.OnCPU, "", from, to) }
	if got, want := values(), fmt.Sprintf("rare %d", sum(0, 500)); got != want {
		t.Errorf("the whole recording shows %q, want %q", got, want)
	}
	run[bool](b, `document.getElementById("flame-heat").focus() || true`)
	b.press(false, "ArrowRight", "ArrowUp") // from the second cell of the second second
	b.press(true, "ArrowRight", "ArrowRight", "ArrowUp")
	b.press(false, "Enter")
	if got, want := values(), fmt.Sprintf("(other) %d, rare %d", sum(51, 100)+sum(150, 153), sum(100, 150)); got != want {
		t.Errorf("a range over one whole second shows %q, want %q", got, want)
	}
	if text := run[string](b, `document.querySelector("#flame [data-live] p").textContent`); !strings.Contains(text, "25% of those in moments within 1 s") {
		t.Errorf("the page says %q of what was cut", text)
	}
	b.quiet()
}

// TestChartsOfTheNode: the charts of CPUs and network faults are there, with the
// numbers of the analysis, in place of the drawings for browsers without scripts.
func TestChartsOfTheNode(t *testing.T) {
	a := shots()
	b := show(t, render(t, a, HTML, options), 1300, 900)
	b.ready()
	if got := run[[]int](b, `["#cpus", "#storage", "#faults"].map(s => document.querySelectorAll(s + " .uplot").length)`); got[0] != 2 || got[1] != 3 || got[2] != 2 {
		t.Errorf("charts of CPUs, disks and faults: %v", got)
	}
	if n := run[int](b, `[...document.querySelectorAll("#cpus [data-still], #faults [data-still]")].filter(e => e.getBoundingClientRect().height > 0).length`); n != 0 {
		t.Errorf("%d drawings still show", n)
	}
	chart := func(section, series string, place int) float64 {
		return run[float64](b, fmt.Sprintf(`(async () => { const all = kmonCharts.read(await kmonData.load("data-series"));
			const chart = all[Number(document.querySelector("%s [data-chart]").dataset.chart)];
			return chart.series.find(s => s.name === "%s").values[%d]; })()`, section, series, place))
	}
	cores := 0.0
	for _, s := range a.Services {
		if len(s.CPUSeries) > 0 {
			cores += float64(s.CPUSeries[7].OnCPUNs) / float64(second)
		}
	}
	if got := chart("#cpus", "all services", 7); math.Abs(got-cores) > 1e-6 {
		t.Errorf("the chart has %g CPUs in use, the analysis %g", got, cores)
	}
	if got := chart("#faults", "turned away", 25); got != 300 {
		t.Errorf("the chart has %g connections turned away a second, want 300", got)
	}
	b.quiet()
}

// TestFunctionsOfTheMoment: the table below the graph is that of the picked
// range, and counts a function that calls itself once.
func TestFunctionsOfTheMoment(t *testing.T) {
	a := busyShop()
	p := newProfiler(20 * millisecond)
	p.on[[2]int32{0, p.node("cart", user("walk"), user("walk"), user("leaf"))}] = 3
	p.on[[2]int32{0, p.node("cart", user("walk"))}] = 1
	p.on[[2]int32{70, p.node("cart", user("later"))}] = 4
	a.Profile = p.profile()
	b := show(t, render(t, a, HTML, options), 1300, 900)
	b.ready()
	rows := func() string {
		return run[string](b, `[...document.querySelectorAll("#flame-top tr")].map(r => [0, 3, 5].map(i => r.children[i].textContent).join(" ")).join("; ")`)
	}
	if got, want := rows(), "later 50% 50%; leaf 37.5% 37.5%; walk 12.5% 50%"; got != want {
		t.Errorf("functions %q, want %q", got, want)
	}
	run[bool](b, `document.getElementById("flame-heat").focus() || true`)
	if b.press(false, "Enter"); rows() != "leaf 75% 75%; walk 25% 100%" {
		t.Errorf("functions of the first moment %q", rows())
	}
	b.quiet()
}

// TestLongRecording: a day of seconds has a heat map that a browser can draw,
// and a column of it picks what it stands for.
func TestLongRecording(t *testing.T) {
	a := busyShop()
	p := newProfiler(second)
	node := p.node("cart", user("main"))
	for bucket := range int32(86400) {
		p.on[[2]int32{bucket, node}] = int64(1 + bucket%7)
	}
	a.Profile = p.profile()
	b := show(t, render(t, a, HTML, options), 1300, 900)
	b.ready()
	if wide := run[int](b, `document.getElementById("flame-heat").width`); wide > 4000 {
		t.Errorf("the canvas is %d pixels wide", wide)
	}
	run[bool](b, `document.getElementById("flame-heat").focus() || true`)
	b.press(false, "ArrowRight", "Enter")
	if got, want := graphTotal(b), sumOf(a.Profile, a.Profile.OnCPU, "", 29, 58); got != want {
		t.Errorf("the second of 2980 columns, 29 s each, shows %d samples of %d", got, want)
	}
	b.quiet()
}

// TestScriptNumbers: the page words numbers as the rest of the report does.
func TestScriptNumbers(t *testing.T) {
	b := show(t, render(t, shop(), HTML, options), 1300, 900)
	b.ready()
	numbers := []int64{0, 1, 7, 999, 1000, 1023, 1024, 9994, 9995, 9996, 99949, 99950, 123456, 999499, 999500, 1 << 20, 12345678, 999499999, 999500000, 59949999999, 999e9, 7199e9, 7200e9, 5e14, 1 << 50}
	for _, f := range []struct {
		script string
		want   func(int64) string
	}{{"duration", DurationText}, {"count", CountText}, {"bytes", BytesText},
		{"rate", func(n int64) string { return rateText(float64(n)) }},
	} {
		text, _ := json.Marshal(numbers)
		got := run[[]string](b, fmt.Sprintf("%s.map(kmonNumber.%s)", text, f.script))
		for i, n := range numbers {
			if got[i] != f.want(n) {
				t.Errorf("%s of %d is %q in the page, %q elsewhere", f.script, n, got[i], f.want(n))
			}
		}
	}
	ratios := []float64{0, 0.00001, 0.0001, 0.001, 0.12345, 0.5, 0.9999, 0.99999, 1, 1.2}
	text, _ := json.Marshal(ratios)
	for i, got := range run[[]string](b, fmt.Sprintf("%s.map(kmonNumber.percent)", text)) {
		if want := percentText(ratios[i]); got != want {
			t.Errorf("percent of %g is %q in the page, %q elsewhere", ratios[i], got, want)
		}
	}
	b.quiet()
}

// TestHostilePage: names that are scripts, markup, overlong or turn the text
// do nothing, wherever the scripts put them.
func TestHostilePage(t *testing.T) {
	a := hostileShop()
	b := show(t, render(t, a, HTML, options), 1300, 900)
	b.ready()
	elements := func() map[string]int {
		return run[map[string]int](b, `(() => { const n = {}; for (const e of document.querySelectorAll("script,img,iframe,a,form,object,embed,link,style")) n[e.localName] = (n[e.localName] || 0) + 1; return n; })()`)
	}
	before := elements()
	for _, kind := range []string{"off-CPU", "on-CPU"} {
		choose(b, "flame-kind", kind)
		for i := range hostileNames {
			run[bool](b, fmt.Sprintf(`(() => { for (const id of ["flame-service", "latency-edge"]) { const l = document.getElementById(id); l.selectedIndex = %d; l.dispatchEvent(new Event("change")); } return true; })()`, i))
		}
		choose(b, "flame-service", "all services")
	}
	for _, n := range hostileNames {
		quoted, _ := json.Marshal(n)
		run[bool](b, fmt.Sprintf(`(() => { const s = document.getElementById("flame-search"); s.value = %s; s.dispatchEvent(new Event("input")); return true; })()`, quoted))
	}
	b.click(b.at(`document.querySelectorAll("#flame-graph g rect")[3]`, 0.5, 0.5))
	if after := elements(); fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("elements %v became %v", before, after)
	}
	if text := run[string](b, "document.body.innerText + [...document.querySelectorAll('option,title')].map(e => e.textContent).join()"); strings.ContainsAny(text, "\u202e\u2066\u200b\x1b") {
		t.Error("a name turns or hides text")
	}
	if wide := run[int](b, "document.documentElement.scrollWidth - innerWidth"); wide > 0 {
		t.Errorf("a long name makes the page %d pixels too wide", wide)
	}
	b.quiet()
}
