package reports

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// pickSeconds picks a range as a link would.
func pickSeconds(b *tab, from, to int64) {
	b.t.Helper()
	run[any](b, fmt.Sprintf("kmonView.pick(%d, %d)", (start+from*second)/millisecond, (start+to*second)/millisecond))
}

// edgeDrawn is the class of a line of the topology, and what its label says.
func edgeDrawn(b *tab, client, server string) string {
	b.t.Helper()
	return run[string](b, fmt.Sprintf(`(() => { const place = (name) => [...document.querySelectorAll("#topology-parts a")].find(a => a.querySelector(".name").textContent === name).dataset.place;
		const ends = '[data-from="' + place(%q) + '"][data-to="' + place(%q) + '"]', all = (kind) => document.querySelector("#topology-parts " + kind + ends);
		return all("path").getAttribute("class") + " | " + [...all("g").querySelectorAll("text")].map(t => t.textContent).join(" | "); })()`, client, server))
}

// TestTopologyFollows: the drawing shows a picked range in the same places: rates, p99
// and colours of this time, what did nothing faded, and what is not known said.
func TestTopologyFollows(t *testing.T) {
	b := show(t, render(t, followShop(), HTML, options), 1400, 900)
	b.ready()
	spots := func() string {
		return run[string](b, `[...document.querySelectorAll("#topology-parts a")].map(a => [a.querySelector(".name").textContent, ...["x", "y"].map(k => Number(a.querySelector("rect").getAttribute(k)).toFixed(1))].join(" ")).sort().join("\n")`)
	}
	marked := func() bool { return run[bool](b, `document.getElementById("topology").hasAttribute("data-whole")`) }
	note := func() string { return run[string](b, `document.getElementById("topology-colours").textContent`) }
	before, whole, compared := spots(), edgeDrawn(b, "frontend", "cart"), note()
	if marked() {
		t.Error("the drawing is marked as of the whole recording")
	}

	pickSeconds(b, 20, 30)
	if got := spots(); got != before {
		t.Errorf("places moved:\n%s\nto\n%s", before, got)
	}
	for _, c := range []struct{ client, server, want string }{
		{"frontend", "cart", "edge slowest | ▲▲ 20.0/s | p99 20.0 ms"},
		{"cart", "redis", "edge quiet idle | no request"},
		{"checkout", "10.0.9.9", "edge quiet | not by window"},
		{"checkout", "postgres", "edge steady | 20.0/s | p99 2.0"},
	} {
		if got := edgeDrawn(b, c.client, c.server); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s → %s is drawn as %q, want %q", c.client, c.server, got, c.want)
		}
	}
	if got := note(); !strings.Contains(got, "02:59:20 to 02:59:30 UTC") || !strings.Contains(got, "1 of 7 edges had no request: faded") || !strings.Contains(got, "kept of 1 of 7 edges") {
		t.Errorf("the note says %q", got)
	}

	pickSeconds(b, 50, 55)
	if got := edgeDrawn(b, "frontend", "cart"); got != "edge bad | ✕ 20.0/s | p99 2.00 ms" {
		t.Errorf("with faults it is drawn as %q", got)
	}
	pickSeconds(b, 40, 50)
	if got := edgeDrawn(b, "cart", "redis"); !strings.HasPrefix(got, "edge | 20.0/s | p99 2.0") { // with nothing outside to compare with
		t.Errorf("cart → redis in its time: %q", got)
	}
	run[any](b, "kmonView.pick()")
	if got := edgeDrawn(b, "frontend", "cart"); got != whole || note() != compared || spots() != before {
		t.Errorf("after the reset it is drawn as %q, was %q; %q", got, whole, note())
	}
	b.quiet()
}

// TestSlowRequestsFollow: bars and table of where the time went are of the requests
// that began in the range, and add up.
func TestSlowRequestsFollow(t *testing.T) {
	a := followShop()
	b := show(t, render(t, a, HTML, options), 1400, 900)
	b.ready()
	bars := func() string {
		return run[string](b, `(() => { const f = [...document.querySelectorAll("#slow-requests figure")].find(f => f.querySelector("h3").textContent === "checkout");
			const shown = [...f.querySelectorAll("svg")].filter(s => s.getClientRects().length); return shown.length + " drawn: " + [...shown[0].querySelectorAll("title")].map(t => t.textContent).join("; ") +
			" | " + [...shown[0].querySelectorAll(".bar-name")].map(t => t.textContent).join("; "); })()`)
	}
	whole := bars()
	pickSeconds(b, 20, 30)
	slow := a.Services[serviceAt(a, "checkout")].Breakdown.Slow
	got := bars()
	for _, want := range []string{"1 drawn: ", "Lock 42.0 ms, 70%", "redis 4.80 ms, 8%", "cart 2.40 ms, 4%", "around p99; " + DurationText(slow.MeanNs), "around p50; no such request in this time"} {
		if !strings.Contains(got, want) {
			t.Errorf("the bars say %q, want %q in it", got, want)
		}
	}
	row := rowOfTable(b, "breakdown", "checkout")
	if !strings.HasPrefix(row, "checkout | around p99: from 54.0 ms on | 510 | 60.0 ms | 3.00 ms | ") {
		t.Errorf("the table says %q", row)
	}
	if text := run[string](b, `document.querySelector("[data-panel=breakdown] .windowed").textContent`); !strings.Contains(text, "2 more of the whole recording are not kept by window") || !strings.Contains(text, "02:59:20 to 02:59:30 UTC") {
		t.Errorf("the table says %q", text)
	}
	if run[string](b, `getComputedStyle([...document.querySelectorAll("#slow-requests figure h3")].find(h => h.textContent === "cart"), "::after").content`) == "none" {
		t.Error("bars that are not kept by window are not marked")
	}
	pickSeconds(b, 30, 40)
	if row := rowOfTable(b, "breakdown", "checkout"); !strings.HasPrefix(row, "checkout | around p99: from 54.0 ms on | 0 | – |") {
		t.Errorf("without a slow request the table says %q", row)
	}
	run[any](b, "kmonView.pick()")
	if got := bars(); got != whole {
		t.Errorf("after the reset: %q, was %q", got, whole)
	}
	b.quiet()
}

// TestDetailsFollow: connections that were not open and requests that were not under
// way in the range are hidden, heads say what a service did in it.
func TestDetailsFollow(t *testing.T) {
	b := show(t, render(t, followShop(), HTML, options), 1400, 900)
	b.ready()
	pickSeconds(b, 20, 30)
	for _, c := range []struct{ service, instance, want string }{
		// quantiles are the middles of classes
		{"cart", "cart-7d9f", "cart-7d9f | node-1 | 200 | 20.0/s | 20.0/s | 0 | 999 µs | 1.87 ms | 2.00 ms | 2.00 ms | 1.0× | 2.00 ms"},
		{"cart", "cart-slow", "cart-slow | node-1 | 200 | 20.0/s | 20.0/s | 0 | 10.2 ms | 19.4 ms | 20.0 ms | 2.00 ms | 10× | 20.0 ms"},
		{"frontend", "frontend-7d9f", "frontend-7d9f | node-1 | 200 | "}, // the only one: as its service
	} {
		if got := rowOfTable(b, "service-"+c.service+"-instances", c.instance); !strings.HasPrefix(got, c.want) {
			t.Errorf("instances of %s: %q, want %q", c.service, got, c.want)
		}
	}
	pickSeconds(b, 51, 60)
	left := func(panel string) string {
		return run[string](b, fmt.Sprintf(`(() => { const p = document.querySelector("[data-panel=%s]"), r = [...p.querySelectorAll("tr[data-t]")]; return r.filter(r => !r.hidden).length + " of " + r.length + ": " +
			p.querySelector(".narrowed").textContent + " " + getComputedStyle(p.querySelector("caption"), "::after").content; })()`, panel))
	}
	if got := left("service-cart-connections"); !strings.HasPrefix(got, "3 of 6: 3 of 6 rows are within") || !strings.Contains(got, "their numbers of the whole recording") {
		t.Errorf("connections: %q", got)
	}
	pickSeconds(b, 25, 27)
	if got := left("service-cart-requests"); !strings.HasPrefix(got, "2 of 9: ") || !strings.HasSuffix(got, " none") {
		t.Errorf("requests: %q", got)
	}
	head := func() string {
		return run[string](b, `document.querySelector("#service-cart").closest("details").querySelector("summary").textContent`)
	}
	if got := head(); !strings.HasPrefix(got, "cart 40 requests in this time, p99 20.") || !strings.Contains(got, "; in the whole recording: 1,200 requests served") {
		t.Errorf("the head says %q", got)
	}
	run[any](b, "kmonView.pick()")
	if got := head(); !strings.HasPrefix(got, "cart 1,200 requests served") {
		t.Errorf("after the reset the head says %q", got)
	}
	b.quiet()
}

// TestWaitsFollow: waits, threads and system calls are of the range, in the steps in
// which they are kept, beside the rest of the recording.
func TestWaitsFollow(t *testing.T) {
	b := show(t, render(t, followShop(), HTML, options), 1400, 900)
	b.ready()
	pickSeconds(b, 20, 30)
	for _, c := range []struct{ id, row, want string }{
		{"waits", "checkout", "checkout | 0.32 (0.32) | "},
		{"threads", "checkout", "checkout | worker-7 | 1207 | 1.00 (0.20) | 0.020 (0.020)"},
		{"syscalls", "checkout", "checkout | futex | 30,000 | 3,000/s | 86.4/s | 0 | 200 µs"},
		{"wakes", "checkout worker-7 1207", "checkout worker-7 1207 | checkout worker-8 1208 | 40,000 | 4,000/s | 1,020/s | 10"},
		{"wait-details", "checkout", "checkout | futex | 10,000 | 1,000/s | 20.0/s | 20.0 ms"},
	} {
		if got := rowOfTable(b, c.id, c.row); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %q, want %q", c.id, got, c.want)
		}
	}
	if got := rowOfTable(b, "waits", "checkout"); !strings.Contains(got, "10.00 (1.00)") {
		t.Errorf("waits for a futex: %q", got)
	}
	pickSeconds(b, 22, 29)
	text := func(id string) string {
		return run[string](b, `document.querySelector("[data-panel=`+id+`] .windowed").textContent`)
	}
	if got := text("threads"); !strings.Contains(got, "kept in steps of 5 s") || !strings.Contains(got, "02:59:20 to 02:59:30 UTC") || !strings.Contains(got, "1 more of the whole recording is not kept by window") {
		t.Errorf("the threads say %q", got)
	}
	b.quiet()
}

// TestUnkeptTables: a table that could follow, of an analysis that did not keep it by
// window, is marked as of the whole recording.
func TestUnkeptTables(t *testing.T) {
	a := node()
	a.Series = served(a.Services)
	b := show(t, render(t, a, HTML, options), 1400, 900)
	b.ready()
	pickSeconds(b, 0, 2)
	for _, id := range []string{"breakdown", "waits", "threads", "syscalls", "disk-users", "disk-operations", "accept-queues", "drops", "memory", "wakes", "wait-details", "parts", "streams", "connections"} {
		if run[string](b, `getComputedStyle(document.querySelector("[data-panel=`+id+`] caption"), "::after").content`) == "none" {
			t.Errorf("%s is not marked", id)
		}
	}
	b.quiet()
}

// TestSumTablesAddUp: the windows of a table add up to the sums of the whole, as far as
// what is packed tells.
func TestSumTablesAddUp(t *testing.T) {
	a := followShop()
	w := newWindowPage(a, timelinePeriod(a))
	row := func(id, name string) windowRow {
		for _, table := range w.tables {
			if i := slices.IndexFunc(table.rows, func(r windowRow) bool { return r.names[0] == name }); table.id == id && i >= 0 {
				return table.rows[i]
			}
		}
		t.Fatalf("no %s of %s", id, name)
		return windowRow{}
	}
	total := func(list []int64) (sum int64) {
		for _, n := range list {
			sum += n
		}
		return sum
	}
	slow := row("breakdown", "checkout")
	if got := total(slow.sums[0]); got != 510 {
		t.Errorf("%d slow requests, want 510", got)
	}
	parts := int64(0)
	for _, s := range slow.sums[2:] {
		parts += total(s)
	}
	if whole := total(slow.sums[1]); parts != whole || whole != 510*60_000 {
		t.Errorf("the parts add up to %d µs, the whole to %d, want %d", parts, whole, 510*60_000)
	}
	if got, want := len(slow.windows), sumWindows; got > want {
		t.Errorf("%d windows, at most %d are kept", got, want)
	}
	calls := row("syscalls", "checkout")
	if got := total(calls.sums[0]); got != a.Syscalls[0].Count {
		t.Errorf("%d calls, want %d", got, a.Syscalls[0].Count)
	}
}

// TestManyRowsHaveWiderWindows: of many edges the windows are wider, as the table says,
// and none is lost; those of the services stay.
func TestManyRowsHaveWiderWindows(t *testing.T) {
	a := many(20, 150)
	for i := range a.Services {
		a.Services[i].Series, _ = knownSeries(240, func(_, i int) int64 { return int64(1+i) * millisecond })
	}
	for i := range a.Edges {
		a.Edges[i].Series = a.Services[0].Series
	}
	a.Series = served(a.Services)
	w := newWindowPage(a, timelinePeriod(a))
	for _, table := range w.tables {
		points, requests := 0, int64(0)
		for _, r := range table.rows {
			points += len(r.windows)
			for _, n := range r.sums[0] {
				requests += n
			}
		}
		switch table.id {
		case "services":
			if len(table.own.ns) > 0 {
				t.Errorf("services have windows of %d ns", table.own.p.window)
			}
		case "edges":
			if len(table.rows) != 150 || points > windowPoints || table.own.p.window != 2*second || requests != 150*240*20 {
				t.Errorf("%d edges with %d points of %d ns and %d requests", len(table.rows), points, table.own.p.window, requests)
			}
		}
	}
	b := show(t, render(t, a, HTML, options), 1400, 900)
	b.ready()
	pickSeconds(b, 21, 22)
	text := func(of string) string { return run[string](b, `document.querySelector("`+of+`").textContent`) }
	if got := text("[data-panel=edges] .windowed"); !strings.Contains(got, "Edges, 02:59:20 to 02:59:22 UTC") || !strings.Contains(got, "kept in steps of 2 s") {
		t.Errorf("the edges say %.300q", got)
	}
	if got := text("#topology-colours"); !strings.Contains(got, "Drawn: 02:59:20 to 02:59:22 UTC") {
		t.Errorf("the drawing says %.300q", got)
	}
	b.quiet()
}
