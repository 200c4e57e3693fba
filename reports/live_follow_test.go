package reports

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"kmon/analyze"
)

// followShop is a minute of a shop of which everything is known by window: seconds 20
// to 29 are slow, and the cart asks redis in seconds 40 to 49 only.
func followShop() *analyze.Analysis {
	a, d := node(), drilled()
	a.Connections, a.Examples, a.Edges = d.Connections, d.Examples, d.Edges
	for i := range a.Edges {
		e := &a.Edges[i]
		if e.Requests > 0 {
			e.Series, _ = knownSeries(60, func(_, i int) int64 { return int64(1+i) * 100 * microsecond })
		}
		switch e.Server {
		case "cart":
			e.Series = slowSeries()
			e.ByteSeries = sumsEach(60, second, func(w int64) []int64 { return []int64{2048, within(w, 20, 30, 1<<20, 1024)} })
		case "redis":
			for w := range e.Series {
				if w < 40 || w >= 50 {
					e.Series[w] = analyze.Point{StartNs: e.Series[w].StartNs}
				}
			}
		}
	}
	for i := range a.Services {
		s := &a.Services[i]
		if len(s.Series) > 0 {
			s.Series = slowSeries()
			s.Requests = 20 * 60
			for k := range s.Instances {
				s.Instances[k].Requests = s.Requests
			}
		}
		if s.Name == "cart" { // one of two is slow
			s.Instances = append(s.Instances, s.Instances[0])
			s.Instances[1].Name = "cart-slow"
			s.Instances[0].Series, _ = knownSeries(60, func(_, i int) int64 { return int64(1+i) * 100 * microsecond })
			s.Instances[1].Series = slowSeries()
		}
		if s.Name == "cart" {
			s.PartSeries = sumsEach(60, second, func(w int64) []int64 {
				return []int64{20, 20 * millisecond, within(w, 20, 30, 200, 20) * millisecond, 0}
			})
			s.Streams = analyze.Streams{Connections: 1, MessagesIn: 600, MessagesOut: 1200}
			s.StreamSeries = sumsEach(60, second, func(w int64) []int64 { return []int64{10, within(w, 20, 30, 50, 14), within(w, 21, 22, 3, 0)} })
		}
		if s.Name == "checkout" {
			s.Breakdown.Slow.Series = sumsEach(60, second, func(w int64) []int64 {
				return bandSums(&s.Breakdown.Slow, within(w, 20, 30, 51, 0))
			})
			s.Breakdown.Middle.Series = sumsEach(60, second, func(w int64) []int64 { return bandSums(&s.Breakdown.Middle, within(w, 20, 30, 0, 108)) })
			s.WaitCounts = []analyze.SumSeries{sumsEach(12, 5*second, func(w int64) []int64 { return []int64{within(w, 4, 6, 5000, 100), within(w, 4, 6, 100, 2) * second} }), {}}
			s.WaitSeries = sumsEach(60, second, func(w int64) []int64 { return []int64{within(w, 20, 30, 10*second, second), 19 * second / 60} })
		}
	}
	a.Series = served(a.Services)
	a.Threads[0].Series = sumsEach(12, 5*second, func(w int64) []int64 { return []int64{within(w, 4, 6, 5*second, second), 100 * millisecond} })
	followDisks(a)
	a.Wakes[0].Series = sumsEach(12, 5*second, func(w int64) []int64 { return []int64{within(w, 4, 6, 20_000, 5100), within(w, 4, 6, 5, 9)} })
	a.AcceptQueues[0].Series = mostEach(60, second, func(w int64) ([]int64, []int64) {
		return []int64{within(w, 25, 26, 310, 0)}, []int64{within(w, 24, 26, 129, 0), within(w, 24, 26, 128, 0)}
	})
	a.Drops[1].Series = sumsEach(60, second, func(w int64) []int64 { return []int64{within(w, 24, 25, 12, 0)} })
	for i := range a.Services {
		if m := a.Services[i].Memory; m != nil && m.MaxCurrentBytes > 0 { // the cart's, looked at every 5 s
			m.Series = mostEach(60, second, func(w int64) ([]int64, []int64) {
				if w%5 != 0 {
					return []int64{0}, []int64{-1, -1}
				}
				return []int64{within(w, 25, 26, 1, 0)}, []int64{(200 + w) << 20, within(w, 20, 26, 505, 300) << 20}
			})
		}
	}
	a.Syscalls[0].Series = sumsEach(12, 5*second, func(w int64) []int64 { return []int64{within(w, 4, 6, 15_000, 432), 0, within(w, 4, 6, 3*second, 0)} })
	return a
}

// followDisks has what asked for IO by window: the flusher writes in seconds 20 to 29
// only, and is slow.
func followDisks(a *analyze.Analysis) {
	for i := range a.Disks {
		if d := &a.Disks[i]; d.Name == "vda" {
			d.Users[0].Series = mostEach(60, second, func(w int64) ([]int64, []int64) {
				return []int64{150, 150 * 4096, 0, 150 * millisecond}, []int64{within(w, 21, 22, 90, 4) * millisecond}
			})
			d.Users[1].Series = mostEach(60, second, func(w int64) ([]int64, []int64) {
				n := within(w, 20, 30, 300, 0)
				return []int64{n, 0, n * 65536, n * 20 * millisecond}, []int64{within(w, 20, 30, 200*millisecond, -1)}
			})
			d.Operations[1].Series = mostEach(60, second, func(w int64) ([]int64, []int64) {
				n := within(w, 20, 30, 300, 0)
				return []int64{n, n * 65536, n * 5 * millisecond, n * 20 * millisecond}, []int64{within(w, 20, 30, 200*millisecond, -1)}
			})
		}
	}
}

// slowSeries is slow in seconds 20 to 29, and has faults in second 52.
func slowSeries() []analyze.Point {
	points, _ := knownSeries(60, func(w, i int) int64 {
		return int64(1+i) * 100 * microsecond * within(int64(w), 20, 30, 10, 1)
	})
	points[52].Errors = 7
	return points
}

// within is inside for windows [from, to), else outside.
func within(w, from, to, inside, outside int64) int64 {
	if w >= from && w < to {
		return inside
	}
	return outside
}

func sumsEach(n int, width int64, of func(w int64) []int64) analyze.SumSeries {
	s := analyze.SumSeries{WidthNs: width}
	for w := range int64(n) {
		s.Points = append(s.Points, analyze.SumPoint{StartNs: start + w*width, Sums: of(w)})
	}
	return s
}

// mostEach is sumsEach with the largest values.
func mostEach(n int, width int64, of func(w int64) (sums, most []int64)) analyze.SumSeries {
	s := sumsEach(n, width, func(w int64) []int64 { sums, _ := of(w); return sums })
	for w := range s.Points {
		_, s.Points[w].Max = of(int64(w))
	}
	return s
}

// bandSums are the sums of a window with so many of a band's requests.
func bandSums(b *analyze.BreakdownBand, requests int64) []int64 {
	sums := []int64{requests}
	for _, p := range b.Parts {
		sums = append(sums, p.Ns*requests)
	}
	return sums
}

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

// TestDisksFollow: who used the disks, and for what, is of the range: sums add up, of
// the longest the longest stands, and there is none where there was no IO.
func TestDisksFollow(t *testing.T) {
	b := show(t, render(t, followShop(), HTML, options), 1400, 900)
	b.ready()
	of := func(id, second, third string) string {
		return run[string](b, fmt.Sprintf(`(() => { const r = [...document.querySelectorAll('[data-panel=%q] > .windowed tbody tr')].find(r => r.cells[1].textContent === %q && r.cells[2].textContent === %q);
			return r ? [...r.cells].map(c => c.textContent).join(" | ") : ""; })()`, id, second, third))
	}
	for _, c := range []struct {
		from, to          int64
		id, second, third string
		want              string
	}{
		{20, 30, "disk-users", "postgres", "–", "vda | postgres | – | 1,500 | 150/s | 150/s | 5.86 MiB | 0 B | 1.00 ms | 90.0 ms"},
		{22, 30, "disk-users", "postgres", "–", "vda | postgres | – | 1,200 | 150/s | 150/s | 4.69 MiB | 0 B | 1.00 ms | 4.00 ms"},
		{20, 30, "disk-users", "kernel", "flusher", "vda | kernel | flusher | 3,000 | 300/s | 0/s | 0 B | 188 MiB | 20.0 ms | 200 ms"},
		{30, 40, "disk-users", "kernel", "flusher", "vda | kernel | flusher | 0 | 0/s | 60.0/s | 0 B | 0 B | – | –"},
		{20, 30, "disk-operations", "write", "64.0 KiB", "vda | write | 64.0 KiB | 3,000 | 300/s | 0/s | 188 MiB | 20.0 ms | 5.00 ms | 200 ms"},
	} {
		pickSeconds(b, c.from, c.to)
		if got := of(c.id, c.second, c.third); got != c.want {
			t.Errorf("%s of seconds %d to %d: %q, want %q", c.id, c.from, c.to, got, c.want)
		}
	}
	if text := run[string](b, `document.querySelector("[data-panel=disk-users] .windowed").textContent`); !strings.Contains(text, "7 more of the whole recording are not kept by window") || !strings.Contains(text, "Of the whole recording 1,334 rows of ios are missing") {
		t.Errorf("the users say %q", text)
	}
	b.quiet()
}

// TestFaultsFollow: accept queues, dropped packets and memory are of the range.
func TestFaultsFollow(t *testing.T) {
	b := show(t, render(t, followShop(), HTML, options), 1400, 900)
	b.ready()
	for _, c := range []struct {
		from, to      int64
		id, row, want string
	}{
		{20, 30, "accept-queues", "0.0.0.0:8081", "0.0.0.0:8081 | cart | 129 | 128 | 310"},
		{26, 30, "accept-queues", "0.0.0.0:8081", "0.0.0.0:8081 | cart | 0 | – | 0"},
		{20, 30, "drops", "SOCKET_RCVBUFF", "SOCKET_RCVBUFF | TCP | cart | 12 | 1.20/s | 0/s"},
		{26, 30, "drops", "SOCKET_RCVBUFF", "SOCKET_RCVBUFF | TCP | cart | 0 | 0/s | 0.214/s"},
		{20, 30, "memory", "cart", "cart | 225 MiB | 505 MiB | 1"},
		{30, 40, "memory", "cart", "cart | 235 MiB | 300 MiB | 0"},
		{26, 30, "memory", "cart", "cart | – | – | 0"},
	} {
		pickSeconds(b, c.from, c.to)
		if got := rowOfTable(b, c.id, c.row); got != c.want {
			t.Errorf("%s of seconds %d to %d: %q, want %q", c.id, c.from, c.to, got, c.want)
		}
		if mark := run[string](b, `getComputedStyle(document.querySelector("[data-panel=`+c.id+`] .windowed caption"), "::after").content`); mark != "none" {
			t.Errorf("%s is marked %s", c.id, mark)
		}
	}
	b.quiet()
}

// hottestOf gives the path that most value of a profile's cells ended in within buckets
// [from, to), from the root, how much, and how much ended in its function on any path.
func hottestOf(p *analyze.Profile, cells []analyze.ProfileCell, from, to int32) (path []string, value, self int64) {
	ended := map[int32]int64{}
	for _, c := range cells {
		if c.Bucket >= from && c.Bucket < to {
			ended[c.Node] += c.Value
		}
	}
	best := int32(-1)
	for node, n := range ended {
		if n > value {
			best, value = node, n
		}
	}
	name := func(node int32) string { return p.Frames[p.Nodes[node].Frame].Name }
	for node, n := range ended {
		if name(node) == name(best) {
			self += n
		}
	}
	for node := best; node >= 0; node = p.Nodes[node].Parent {
		path = append([]string{name(node)}, path...)
	}
	return path, value, self
}

// TestFunctionsFollow: functions and paths are those of the range, from the profile.
func TestFunctionsFollow(t *testing.T) {
	a, _ := rangeShop()
	for _, kind := range []string{"on-cpu", "off-cpu"} {
		tree := flameOf(a, kind)
		tree.Functions = []analyze.FlameFunction{{Name: "main", Kind: "user", Total: tree.Total}}
		tree.Paths = []analyze.FlamePath{{Frames: []string{"redis", "main"}, Value: 1}}
	}
	b := show(t, render(t, a, HTML, options), 1400, 900)
	b.ready()
	mark := func(id string) string {
		return run[string](b, `getComputedStyle(document.querySelector("[data-panel=`+id+`] caption"), "::after").content`)
	}
	first := func(id string) string {
		return run[string](b, `[...(document.querySelector("[data-panel=`+id+`] > .windowed tbody tr") || {cells: []}).cells].map(c => c.textContent).join(" | ")`)
	}
	settled := func() { run[int](b, "new Promise(done => setTimeout(() => done(1), 300))") }
	pickSeconds(b, 20, 30)
	settled()
	p := a.Profile
	path, value, self := hottestOf(p, p.OnCPU, 20*50, 30*50)
	all := sumOf(p, p.OnCPU, "", 20*50, 30*50)
	percent := func(n int64) string { return percentText(float64(n) / float64(all)) }
	if value == 0 || value == all {
		t.Fatalf("%q has %d of %d samples", path, value, all)
	}
	if got, want := first("paths-on-cpu"), strings.Join([]string{percent(value), DurationText(value * p.SampleNs), path[0], pathText(path)}, " | "); got != want {
		t.Errorf("the hottest path is %q, want %q", got, want)
	}
	got := run[string](b, fmt.Sprintf(`[...[...document.querySelectorAll("[data-panel=functions-on-cpu] > .windowed tbody tr")].find(r => r.cells[0].textContent === %q).cells].map(c => c.textContent).join(" | ")`, path[len(path)-1]))
	if want := strings.Join([]string{path[len(path)-1], percent(self), DurationText(self * p.SampleNs)}, " | "); !strings.HasPrefix(got, want) {
		t.Errorf("the function is %q, want %q", got, want)
	}
	for _, id := range []string{"functions-on-cpu", "functions-off-cpu", "paths-on-cpu", "paths-off-cpu"} {
		if mark(id) != "none" || first(id) == "" {
			t.Errorf("%s is marked %s and says %q", id, mark(id), first(id))
		}
	}
	pickSeconds(b, 40, 41)
	settled()
	if path, _, _ := hottestOf(p, p.OnCPU, 40*50, 41*50); !strings.HasSuffix(first("paths-on-cpu"), pathText(path)) {
		t.Errorf("then the hottest path is %q, want %q", first("paths-on-cpu"), path)
	}
	run[any](b, "kmonView.pick()")
	settled()
	if first("paths-on-cpu") != "" || run[string](b, `getComputedStyle(document.querySelector("[data-panel=paths-on-cpu] .scroll")).display`) == "none" {
		t.Errorf("after the reset: %q", first("paths-on-cpu"))
	}
	b.quiet()
}

// TestTrafficFollows: what latencies were made of, streams, and what connections
// carried are of the range.
func TestTrafficFollows(t *testing.T) {
	b := show(t, render(t, followShop(), HTML, options), 1400, 900)
	b.ready()
	for _, c := range []struct {
		from, to      int64
		id, row, want string
	}{
		{20, 30, "parts", "cart", "cart | 200 | 1.00 ms | 10.0 ms | 0"},
		{30, 40, "parts", "cart", "cart | 200 | 1.00 ms | 1.00 ms | 0"},
		{20, 30, "streams", "cart", "cart | 600 | 60.0/s | 24.0/s | 100 | 500 | 3"},
		{20, 30, "connections", "frontend", "frontend | cart :8081 | 20.0 KiB | 10.0 MiB"},
		{10, 20, "connections", "frontend", "frontend | cart :8081 | 20.0 KiB | 10.0 KiB"},
	} {
		pickSeconds(b, c.from, c.to)
		if got := rowOfTable(b, c.id, c.row); got != c.want {
			t.Errorf("%s of seconds %d to %d: %q, want %q", c.id, c.from, c.to, got, c.want)
		}
	}
	counts := func() string {
		return run[string](b, `[...document.querySelectorAll("#answers dt")].map(e => getComputedStyle(e, "::after").content).join()`)
	}
	if got := counts(); !strings.Contains(got, "whole recording") || strings.Contains(got, "none") {
		t.Errorf("counts of the whole recording are marked %s", got)
	}
	run[any](b, "kmonView.pick()")
	if got := counts(); strings.Contains(got, "whole recording") {
		t.Errorf("after the reset they are marked %s", got)
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
