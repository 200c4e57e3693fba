package reports

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

// patience is how many ms a page may take until its first screen acts. A machine of
// two cores does it in less than 2 s with nothing else to do, which `make page-speed`
// holds it to; tests share theirs.
func patience(t *testing.T) float64 {
	t.Helper()
	text := os.Getenv("KMON_PATIENCE_MS")
	if text == "" {
		return 10_000
	}
	ms, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return ms
}

// timing is when a page acts and all of it is made, and the task that blocked input
// the longest until then, in ms.
type timing struct{ acts, whole, longest, longestAt float64 }

func (m timing) String() string {
	return fmt.Sprintf("the first screen acts after %.0f ms, all is made after %.0f ms, the longest task blocks for %.0f ms, at %.0f ms", m.acts, m.whole, m.longest, m.longestAt)
}

// within says whether a page was as quick as it has to be.
func (m timing) within(limit float64) bool {
	return m.acts <= limit && m.whole <= 2*limit && m.longest <= 0.25*limit
}

// timingOf measures a page that is ready.
func timingOf(b *tab) timing {
	b.t.Helper()
	mark := func(name string) float64 {
		return run[float64](b, fmt.Sprintf("performance.getEntriesByName(%q)[0].startTime", name))
	}
	m := timing{acts: mark("kmon-acts"), whole: mark("kmon")}
	for _, task := range run[[][2]float64](b, longTasks) {
		if task[0] < m.whole && task[1] > m.longest {
			m.longestAt, m.longest = task[0], task[1]
		}
	}
	return m
}

// longTasks gives when tasks that blocked input for 50 ms or more began, and how long
// each took, in ms.
const longTasks = `new Promise(done => {
	const all = [], take = (list) => { for (const e of list) all.push([e.startTime, e.duration]); };
	const o = new PerformanceObserver((list) => take(list.getEntries()));
	o.observe({type: "longtask", buffered: true});
	setTimeout(() => { take(o.takeRecords()); o.disconnect(); done(all); }, 200);
})`

// shownWithin shows a page, which has to be quick. Where a machine of which others
// took most was slow instead, it is shown again, twice; a page that is slow is so each
// time. Who sets a patience has a machine that does nothing else.
func shownWithin(t *testing.T, page []byte, limit float64) *tab {
	t.Helper()
	for more := 2; ; more-- {
		b := show(t, page, 1300, 900)
		b.ready()
		m := timingOf(b)
		t.Log(m)
		if m.within(limit) {
			return b
		}
		if more == 0 || os.Getenv("KMON_PATIENCE_MS") != "" {
			t.Errorf("limits are %.0f, %.0f and %.0f ms", limit, 2*limit, 0.25*limit)
			return b
		}
	}
}

// TestBigPage: ten minutes of a busy node (4 million samples of 20,000 stacks, about
// as small as the analysis makes it, 60 services and 150 edges) give a page of at
// most 5 MB that acts soon: a mark is set once every control of the first screen (the
// timeline, findings, links, folds, buttons of what is in the page) is connected and a
// picked range narrows the tables, another once every part below is made, too. No task
// may keep input waiting for long, from the first byte on.
func TestBigPage(t *testing.T) {
	browser(t) // before the work
	a := busyNode(60, 150)
	cells, nodes := len(a.Profile.OnCPU)+len(a.Profile.OffCPU), len(a.Profile.Nodes)
	begin := time.Now()
	page := render(t, a, HTML, options)
	t.Logf("%d nodes, %d cells: %.2f MB, written in %v", nodes, cells, float64(len(page))/1e6, time.Since(begin).Round(time.Millisecond))
	if len(page) > 4_700_000 {
		t.Errorf("the page has %d bytes", len(page))
	}
	limit := patience(t)
	b := shownWithin(t, page, limit)
	pick := run[float64](b, `(() => { const t = performance.now(); const s = document.getElementById("flame-service"); s.selectedIndex = 1; s.dispatchEvent(new Event("change")); document.body.offsetHeight; return performance.now() - t; })()`)
	all := run[float64](b, `(() => { const t = performance.now(); const s = document.getElementById("flame-service"); s.selectedIndex = 0; s.dispatchEvent(new Event("change")); document.body.offsetHeight; return performance.now() - t; })()`)
	search := run[float64](b, `(() => { const t = performance.now(); const s = document.getElementById("flame-search"); s.value = "Function7"; s.dispatchEvent(new Event("input")); document.body.offsetHeight; return performance.now() - t; })()`)
	picked := run[float64](b, fmt.Sprintf(`(() => { const t = performance.now(); kmonView.pick(%d, %d); document.body.offsetHeight; return performance.now() - t; })()`, start/millisecond+200_000, start/millisecond+260_000))
	run[any](b, "kmonView.pick()")
	t.Logf("a picked minute in %.0f ms", picked)
	t.Logf("one service in %.0f ms, all in %.0f ms, search in %.0f ms, %d frames drawn", pick, all, search, run[int](b, `document.querySelectorAll("#flame-graph g").length`))
	if got, want := graphTotal(b), sumOf(a.Profile, a.Profile.OnCPU, "", 0, 1<<30); got != want {
		t.Errorf("%d samples in the graph, %d in the profile", got, want)
	}
	b.quiet()
}
