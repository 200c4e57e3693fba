package reports

import (
	"testing"
	"time"
)

// patience is how long a page may take to act. A machine of two cores does it
// in less than 2 s with nothing else to do; tests share theirs.
const patience = 10_000 // ms

// TestBigPage: the profile of ten minutes of a busy node (4 million samples of
// 20,000 stacks, about as small as the analysis makes it) gives a page of at
// most 5 MB that acts soon.
func TestBigPage(t *testing.T) {
	browser(t) // before the work
	a := bigProfile(4_000_000, 20_000, 0.001)
	cells, nodes := len(a.Profile.OnCPU)+len(a.Profile.OffCPU), len(a.Profile.Nodes)
	begin := time.Now()
	page := render(t, a, HTML, options)
	t.Logf("%d nodes, %d cells: %.2f MB, written in %v", nodes, cells, float64(len(page))/1e6, time.Since(begin).Round(time.Millisecond))
	if len(page) > 5_000_000 {
		t.Errorf("the page has %d bytes", len(page))
	}
	b := show(t, page, 1300, 900)
	b.ready()
	acts := run[float64](b, `performance.getEntriesByName("kmon")[0].startTime`)
	pick := run[float64](b, `(() => { const t = performance.now(); const s = document.getElementById("flame-service"); s.selectedIndex = 1; s.dispatchEvent(new Event("change")); document.body.offsetHeight; return performance.now() - t; })()`)
	all := run[float64](b, `(() => { const t = performance.now(); const s = document.getElementById("flame-service"); s.selectedIndex = 0; s.dispatchEvent(new Event("change")); document.body.offsetHeight; return performance.now() - t; })()`)
	search := run[float64](b, `(() => { const t = performance.now(); const s = document.getElementById("flame-search"); s.value = "Function7"; s.dispatchEvent(new Event("input")); document.body.offsetHeight; return performance.now() - t; })()`)
	t.Logf("acts after %.0f ms, one service in %.0f ms, all in %.0f ms, search in %.0f ms, %d frames drawn", acts, pick, all, search, run[int](b, `document.querySelectorAll("#flame-graph g").length`))
	if acts > patience {
		t.Errorf("the page acts after %.0f ms", acts)
	}
	if got, want := graphTotal(b), sumOf(a.Profile, a.Profile.OnCPU, "", 0, 1<<30); got != want {
		t.Errorf("%d samples in the graph, %d in the profile", got, want)
	}
	b.quiet()
}
