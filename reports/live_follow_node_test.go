package reports

import (
	"fmt"
	"strings"
	"testing"

	"kmon/analyze"
)

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

// followed is what a row of a table says of a range of seconds.
type followed struct {
	from, to      int64
	id, row, want string
}

// check picks the range, of which the table must not be marked as of the whole.
func (c followed) check(t *testing.T, b *tab) {
	t.Helper()
	pickSeconds(b, c.from, c.to)
	if got := rowOfTable(b, c.id, c.row); got != c.want {
		t.Errorf("%s of seconds %d to %d: %q, want %q", c.id, c.from, c.to, got, c.want)
	}
	if mark := run[string](b, `getComputedStyle(document.querySelector("[data-panel=`+c.id+`] .windowed caption"), "::after").content`); mark != "none" {
		t.Errorf("%s is marked %s", c.id, mark)
	}
}

// TestFaultsFollow: accept queues, dropped packets and memory are of the range.
func TestFaultsFollow(t *testing.T) {
	b := show(t, render(t, followShop(), HTML, options), 1400, 900)
	b.ready()
	for _, c := range []followed{
		{20, 30, "accept-queues", "0.0.0.0:8081", "0.0.0.0:8081 | cart | 129 | 128 | 310"},
		{26, 30, "accept-queues", "0.0.0.0:8081", "0.0.0.0:8081 | cart | 0 | – | 0"},
		{20, 30, "drops", "SOCKET_RCVBUFF", "SOCKET_RCVBUFF | TCP | cart | 12 | 1.20/s | 0/s"},
		{26, 30, "drops", "SOCKET_RCVBUFF", "SOCKET_RCVBUFF | TCP | cart | 0 | 0/s | 0.214/s"},
		{20, 30, "memory", "cart", "cart | 225 MiB | 505 MiB | 1"},
		{30, 40, "memory", "cart", "cart | 235 MiB | 300 MiB | 0"},
		{26, 30, "memory", "cart", "cart | – | – | 0"},
	} {
		c.check(t, b)
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
	// of waits until the four tables are of a time: a kind of time is made a task.
	of := func(time string) {
		b.until(`["functions-on-cpu", "functions-off-cpu", "paths-on-cpu", "paths-off-cpu"].every(id =>
			(document.querySelector("[data-panel=" + id + "] > .windowed") || {textContent: ""}).textContent.includes("` + time + `"))`)
	}
	pickSeconds(b, 20, 30)
	of("02:59:20.000 to ")
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
	of("02:59:40.000 to ")
	if path, _, _ := hottestOf(p, p.OnCPU, 40*50, 41*50); !strings.HasSuffix(first("paths-on-cpu"), pathText(path)) {
		t.Errorf("then the hottest path is %q, want %q", first("paths-on-cpu"), path)
	}
	run[any](b, "kmonView.pick()")
	run[int](b, "new Promise(done => setTimeout(() => done(1), 300))") // nothing comes later, of a range before
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
	for _, c := range []followed{
		{20, 30, "parts", "cart", "cart | 200 | 1.00 ms | 10.0 ms | 0"},
		{30, 40, "parts", "cart", "cart | 200 | 1.00 ms | 1.00 ms | 0"},
		{20, 30, "streams", "cart", "cart | 600 | 60.0/s | 24.0/s | 100 | 500 | 3"},
		{20, 30, "connections", "frontend", "frontend | cart :8081 | 20.0 KiB | 10.0 MiB"},
		{10, 20, "connections", "frontend", "frontend | cart :8081 | 20.0 KiB | 10.0 KiB"},
	} {
		c.check(t, b)
	}
	counts := func() string {
		return run[string](b, `[...document.querySelectorAll("#answers dt, .chart > h3 + .quiet")].map(e => getComputedStyle(e, "::after").content).join()`)
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
