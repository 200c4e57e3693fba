package reports

import (
	"regexp"
	"strings"
	"testing"

	"kmon/analyze"
)

// The line of all services is the sum of all of them, not only of those that
// have a line of their own, and it is what the analysis has.
func TestCPUChartsAddUp(t *testing.T) {
	a := &analyze.Analysis{WindowNs: second, StartNs: start, EndNs: start + 600*second}
	want := int64(0)
	for i := range int64(9) {
		c := used(float64(i+1)/10, 0)
		s := analyze.Service{Name: string(rune('a' + i)), CPU: c, CPUSeries: cpuWaves(600, c.Cores, i)}
		for _, w := range s.CPUSeries {
			want += w.OnCPUNs
		}
		a.Services = append(a.Services, s)
	}
	charts := cpuCharts(a)
	if len(charts) != 2 || len(charts[0].lines) != 1+lineServices || charts[0].lines[1].name != "i" {
		t.Fatalf("charts %+v", charts)
	}
	got := int64(0)
	for _, v := range charts[0].lines[0].values {
		got += v
	}
	if got != want {
		t.Errorf("all services add up to %d ns, want %d", got, want)
	}
	if n := len(charts[0].starts); n > chartPoints || n < chartPoints/2 {
		t.Errorf("%d points", n)
	}
	rows := cpuTimeTable(a)
	if n := len(rows.Rows); n > timeServices*timePoints || n < 9*timePoints/2 {
		t.Errorf("%d rows of 9 services", n)
	}
	if !strings.Contains(rows.Note, "Each row is 30 s") {
		t.Errorf("the note is %q", rows.Note)
	}
}

// What was not recorded has no line and no point of 0; a service without faults
// has no chart.
func TestFaultCharts(t *testing.T) {
	a := node()
	charts, more := faultCharts(a)
	if more != 0 || len(charts) != 2 || charts[0].name != "cart" || charts[1].name != "on nobody's socket" {
		t.Fatalf("%d charts, %d more: %+v", len(charts), more, charts)
	}
	if got := charts[0].caption; got != "211 retransmits · 4 resets · 12 drops · 310 turned away" {
		t.Errorf("the caption is %q", got)
	}
	a.Network[0].Retransmits = nil
	charts, _ = faultCharts(a)
	if len(charts[0].lines) != 3 || charts[0].lines[0].name != "resets" {
		t.Errorf("without retransmits the lines are %+v", charts[0].lines)
	}
	for i := range 12 {
		n := faults(string(rune('a'+i)), 1, 2, 3, 4)
		a.Network = append(a.Network, n)
	}
	if charts, more = faultCharts(a); len(charts) != faultServices || more != 14-faultServices {
		t.Errorf("%d charts and %d more", len(charts), more)
	}
}

// A missing window ends a line; it is never drawn as 0.
func TestLinesHaveGaps(t *testing.T) {
	a := &analyze.Analysis{WindowNs: second, Services: []analyze.Service{{Name: "x", CPU: used(1, 0), CPUSeries: cpuWaves(6, 1, 0)}}}
	whole := cpuCharts(a)[0].view(nil, 0).Lines[0].D
	a.Services[0].CPUSeries = append(a.Services[0].CPUSeries[:2], a.Services[0].CPUSeries[4:]...)
	gap := cpuCharts(a)[0].view(nil, 0).Lines[0].D
	if strings.Count(whole, "M") != 1 || strings.Count(gap, "M") != 2 {
		t.Errorf("whole: %s, with a gap: %s", whole, gap)
	}
}

// Every section says what of it was not recorded, or that there was nothing.
func TestSectionsSayWhatIsMissing(t *testing.T) {
	remarks := func(a *analyze.Analysis) string {
		text := ""
		for _, s := range nodeSections(a) {
			text += s.ID + ": " + strings.Join(s.Remarks, " ") + "\n"
		}
		return text
	}
	want := "cpus: Not recorded: CPU time and waits (collector cpu).\n" +
		"storage: Not recorded: disks (collector block).\n" +
		"faults: Not recorded: network faults (collector drop).\n" +
		"calls: Not recorded: system calls (collector syscall). Not recorded: memory (of target processes).\n"
	if got := remarks(shop()); got != want {
		t.Errorf("tcp alone:\n%s", got)
	}
	a := shop()
	a.Threads, a.Flames, a.Disks, a.Drops, a.Network, a.Syscalls = []analyze.Thread{}, []analyze.FlameTree{}, []analyze.Disk{}, []analyze.Drop{}, []analyze.NetworkCount{}, []analyze.SyscallCount{}
	a.Captures[0].Collectors = append(a.Captures[0].Collectors, analyze.Collector{Name: "drop", Missing: "accept-queue: no iterator"})
	want = "cpus: No stack is in the recording: none was sampled, and nothing waited long enough.\n" +
		"storage: No IO ended during the recording.\n" +
		"faults: Not recorded by collector drop: accept-queue: no iterator. Nothing that was recorded went wrong.\n" +
		"calls: None of the calls that were counted was made. Not recorded: memory (of target processes).\n"
	if got := remarks(a); got != want {
		t.Errorf("all recorded, nothing happened:\n%s", got)
	}
	page := string(render(t, a, HTML, options))
	for _, line := range strings.Split(strings.TrimSpace(want), "\n") {
		_, said, _ := strings.Cut(line, ": ")
		for _, s := range strings.SplitAfter(said, ". ") {
			if !strings.Contains(page, strings.TrimSpace(s)) {
				t.Errorf("the page does not say %q", s)
			}
		}
	}
}

// folded is the title of a table that Markdown folds.
var folded = regexp.MustCompile(`<details><summary>(.*)</summary>\n`)

// Markdown and HTML tell in the same order.
func TestOrderOfSections(t *testing.T) {
	a := node()
	a.Flames = []analyze.FlameTree{{Kind: "on-cpu", Total: 1, Functions: []analyze.FlameFunction{{Name: "main", Self: 1, Total: 1}}}}
	order := []string{"Services", "CPU", "Functions on the CPU", "What was waited for", "Disks", "Who used the disks",
		"Network faults and round trips", "Accept queues", "Dropped packets", "System calls", "Memory"}
	for format, head := range map[Format]string{Markdown: "\n## %s\n", HTML: "<caption>%s</caption>"} {
		text, last := string(render(t, a, format, options)), -1
		text = folded.ReplaceAllString(text, "\n## $1\n")
		for _, title := range order {
			at := strings.Index(text, strings.Replace(head, "%s", title, 1))
			if at <= last {
				t.Errorf("%s: %q stands at %d, after %d", format, title, at, last)
			}
			last = at
		}
	}
}

// Time on the CPU is drawn first, however much was waited; a narrow tower does
// not make a graph high, and what is left out of it is counted.
func TestFlameGraphsWithoutScripts(t *testing.T) {
	tower := analyze.FlameNode{Name: "deep", Value: 5}
	for range 80 {
		tower = analyze.FlameNode{Name: "deep", Value: 5, Children: []analyze.FlameNode{tower}}
	}
	root := analyze.FlameNode{Name: "all", Value: 1000, Children: []analyze.FlameNode{{Name: "wide", Value: 995}, tower}}
	views := flames(&analyze.Analysis{Flames: []analyze.FlameTree{
		{Kind: "off-cpu", Unit: "ns", Total: 1e15, NsPerUnit: 1, Root: analyze.FlameNode{Name: "all", Value: 1e15}},
		{Kind: "on-cpu", Unit: "samples", Total: 1000, NsPerUnit: 1, Root: root}}})
	if len(views) != 2 || views[0].Title != "On-CPU time, all services" {
		t.Fatalf("the first of %d graphs is %q", len(views), views[0].Title)
	}
	if views[0].Height != px(flameTower*flameRow) || !strings.Contains(views[0].Caption, "1 frame too narrow or too deep") {
		t.Errorf("the graph is %s high and says %q", views[0].Height, views[0].Caption)
	}
}

// A capture without collector tcp says so in place of services, and does not say
// that there were none.
func TestWithoutTCP(t *testing.T) {
	a := empty()
	a.Captures[0].Collectors, a.Captures[0].Rows = []analyze.Collector{{Name: "cpu"}}, map[string]int64{"intervals": 3}
	for _, format := range []Format{Text, Markdown, HTML} {
		text := strings.Join(strings.Fields(string(render(t, a, format, options))), " ")
		if format == Markdown {
			text = strings.ReplaceAll(text, "**Not recorded** |", "Not recorded:")
		}
		if !strings.Contains(text, "Not recorded: "+partTCP) {
			t.Errorf("%s does not say that requests were not recorded", format)
		}
		if format == HTML && (strings.Contains(text, "No service was seen") || strings.Count(text, "Not recorded: "+partTCP) != 4) {
			t.Errorf("the page says it %d times, in the place of 4 parts", strings.Count(text, "Not recorded: "+partTCP))
		}
	}
	a.Captures[0].Collectors = append(a.Captures[0].Collectors, analyze.Collector{Name: "tcp"})
	if text := string(render(t, a, HTML, options)); !strings.Contains(text, "No service was seen") || strings.Contains(text, partTCP) {
		t.Error("a recording of no traffic is called none of traffic")
	}
}

// Heat maps that end early still show the time of the whole recording, so that
// those below each other can be compared.
func TestHeatMapsShareTheirTime(t *testing.T) {
	a := &analyze.Analysis{StartNs: start, EndNs: start + 60*second, HeatMaps: []analyze.HeatMap{latencyMap("a → b:1", 60), latencyMap("a → c:2", 9)}}
	views, _ := heats(a)
	for i := range views {
		times := ""
		for _, l := range views[i].Axis {
			if strings.Contains(l.Text, ":") {
				times += l.X + " " + l.Text + ", "
			}
		}
		if !strings.Contains(times, "02:59:50") {
			t.Errorf("map %d has the times %s", i, times)
		}
	}
}

// A service whose node was not recorded for a while has a hole in its line, and
// no 0; the others are drawn at their own times.
func TestCPUChartsOfANodeWithAGap(t *testing.T) {
	a := &analyze.Analysis{WindowNs: second, StartNs: start, EndNs: start + 10*second}
	for _, name := range []string{"a", "b"} {
		s := analyze.Service{Name: name, CPU: used(1, 0), CPUSeries: cpuWaves(10, 1, 0)}
		if name == "a" {
			s.CPUSeries = append(s.CPUSeries[:3:3], s.CPUSeries[6:]...)
		}
		a.Services = append(a.Services, s)
	}
	c := cpuCharts(a)[0]
	for i, v := range c.lines[1].values {
		other := a.Services[1].CPUSeries[i].OnCPUNs
		if hole := i >= 3 && i < 6; hole != (v < 0) || c.lines[2].values[i] != other || c.lines[0].values[i] != other+max(v, 0) {
			t.Errorf("point %d: %d, %d, all %d", i, v, c.lines[2].values[i], c.lines[0].values[i])
		}
	}
	d := chart{p: c.p}
	d.busiest = 2
	if path := c.path(&d, c.lines[1]); strings.Count(path, "M") != 2 {
		t.Errorf("the line is %s", path)
	}
	if text := c.table().Rows[4][2].Text; text != absent {
		t.Errorf("the table says %q in the hole", text)
	}
	live := c.live()
	if _, measured := live.series[1].of(4); measured {
		t.Error("the live chart has a value in the hole")
	}
}

// A point of several windows that lacks some is partial.
func TestThinMarksHoles(t *testing.T) {
	var series []analyze.CPUPoint
	for i := range int64(12) {
		if i != 5 {
			series = append(series, analyze.CPUPoint{StartNs: start + i*second, OnCPUNs: 1})
		}
	}
	points := cpuPoints.thin(period{start: start, end: start + 12*second, window: 4 * second, merged: 4}, series)
	if len(points) != 3 || points[0].Partial || !points[1].Partial || points[2].Partial || points[1].OnCPUNs != 3 {
		t.Errorf("points are %+v", points)
	}
}
