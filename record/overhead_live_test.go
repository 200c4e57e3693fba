package record

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kmon/format"
	"kmon/record/provider"
)

// costly is a recording that costs what the test says.
type costly struct {
	high  atomic.Bool
	looks atomic.Int64 // of the budget
}

func (c *costly) cost(float64) float64 {
	c.looks.Add(1)
	if c.high.Load() {
		return 1
	}
	return 0
}

// await waits until the budget was looked at so often more.
func (c *costly) await(t *testing.T, looks int64) {
	t.Helper()
	until := c.looks.Load() + looks
	for deadline := time.Now().Add(5 * time.Minute); c.looks.Load() < until; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the recorder does not look at what it costs")
		}
	}
}

// looksEvery is how often these tests have the recorder look at what it costs: four
// times as often as usual.
const looksEvery = 250 * time.Millisecond

// shedSteps are all steps of a recording without system calls.
var shedSteps = []string{
	"user stacks", "off-CPU waits and wake-ups", "on-CPU samples", "disk IO",
	"exchanges of all but one in 2 connections", "exchanges of all but one in 4 connections", "exchanges of all but one in 8 connections",
	"exchanges of all but one in 16 connections", "exchanges of all but one in 32 connections", "exchanges of all but one in 64 connections",
}

// Over its budget a recording takes every step in order, under load; within it
// again it takes all back, and then everything is recorded as before. No
// exchange is lost without being counted, and none is timed over a change.
func TestRecordingStaysWithinItsBudget(t *testing.T) {
	long(t)
	requireBPF(t)
	load := startShedLoad(t)
	var c costly
	c.high.Store(true)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	status := make(chan Status, 1)
	type ended struct {
		result Result
		err    error
	}
	done := make(chan ended, 1)
	path := filepath.Join(t.TempDir(), "shed.kmon")
	go func() {
		result, err := Run(ctx, Options{
			Output: path, Ports: []uint16{load.port}, Status: status, MaxOverhead: 0.0005, costs: c.cost,
			pace: &pace{window: 1, wait: 100 * time.Millisecond, maxWait: time.Second, relapse: time.Second, every: looksEvery},
		})
		done <- ended{result, err}
	}()
	select {
	case <-status:
	case e := <-done:
		t.Fatal(e.err)
	}
	load.ask()
	c.await(t, int64(len(shedSteps))+2)
	allShedNs := provider.Clock().MonotonicNs
	c.await(t, 2)
	load.pause() // after the answers
	firstPauseNs := provider.Clock().MonotonicNs
	c.high.Store(false)
	load.ask()
	c.await(t, int64(len(shedSteps))+2)
	before := load.pause()
	c.await(t, int64(4*time.Second/looksEvery)) // idle sockets are looked at twice
	recoveredNs := provider.Clock().MonotonicNs
	load.ask()
	c.await(t, 1)
	total := load.pause()
	load.end()
	stop()
	e := <-done
	if e.err != nil {
		t.Fatal(e.err)
	}
	checkShedMarks(t, e.result)
	checkShedExchanges(t, e.result, total, total-before, recoveredNs, firstPauseNs)
	checkSampledEnds(t, e.result, allShedNs, firstPauseNs)
}

// checkShedMarks holds the steps against their order.
func checkShedMarks(t *testing.T, result Result) {
	t.Helper()
	if !slices.Equal(result.Shed, shedSteps) {
		t.Errorf("steps %q, want %q", result.Shed, shedSteps)
	}
	said := map[string][]string{}
	for _, mark := range all[format.Mark](t, opened(t, result.Path)) {
		if what, _, ok := strings.Cut(mark.Text, " not recorded from here:"); ok && mark.Kind == "shed" {
			said["shed"] = append(said["shed"], what)
		}
		if what, _, ok := strings.Cut(mark.Text, " recorded again from here:"); ok && mark.Kind == "recover" {
			said["recover"] = append(said["recover"], what)
		}
		if mark.Kind == "warning" && strings.Contains(mark.Text, "nothing is left to leave out") {
			said["over"] = append(said["over"], mark.Text)
		}
	}
	back := slices.Clone(shedSteps)
	slices.Reverse(back)
	if !slices.Equal(said["shed"], shedSteps) || !slices.Equal(said["recover"], back) || len(said["over"]) != 1 {
		t.Errorf("marks %q", said)
	}
}

// checkShedExchanges holds rows and losses against what the load asked: total in
// all, again since recoveredNs.
func checkShedExchanges(t *testing.T, result Result, total, again, recoveredNs, pauseNs int64) {
	t.Helper()
	capture := opened(t, result.Path)
	var rows, later, joined int64
	for _, e := range all[format.Exchange](t, capture) {
		if e.Flags&format.ExchangePartial != 0 {
			continue
		}
		rows++
		end := e.StartNs + e.UploadNs + e.ServerNs + e.DownloadNs
		if e.StartNs < pauseNs && end > pauseNs {
			t.Errorf("an exchange lasts from before the pause until after it: %+v", e)
		}
		if e.StartNs >= recoveredNs {
			later++
			if e.Flags&format.ExchangeJoined != 0 {
				joined++
			}
		}
	}
	var lost int64
	tables := map[string]bool{}
	for _, l := range all[format.Loss](t, capture) {
		if l.Cause == format.LossShed {
			tables[l.Table] = true
			if l.Table == "exchanges" {
				lost += l.Count
			}
		} else if l.Collector == "tcp" {
			t.Errorf("lost %+v", l)
		}
	}
	if lost == 0 || rows+lost != 2*total {
		t.Errorf("%d exchanges and %d left out, the load had %d at each end", rows, lost, total)
	}
	if later != 2*again || joined != 0 {
		t.Errorf("%d exchanges once all was recorded again, %d of them without a time; the load had %d at each end", later, joined, again)
	}
	if got, want := slices.Sorted(maps.Keys(tables)), []string{"exchanges", "ios", "offcpu", "oncpu", "stacks", "wakes"}; !slices.Equal(got, want) {
		t.Errorf("left out of %q, want %q", got, want)
	}
}

// checkSampledEnds holds that of a connection both ends are recorded or none.
func checkSampledEnds(t *testing.T, result Result, fromNs, toNs int64) {
	t.Helper()
	capture := opened(t, result.Path)
	sampled := map[int64]bool{}
	for _, e := range all[format.Exchange](t, capture) {
		if e.StartNs >= fromNs && e.StartNs < toNs {
			sampled[e.SocketID] = true
		}
	}
	ends := map[format.Role]map[int32]bool{format.RoleClient: {}, format.RoleServer: {}}
	for _, s := range all[format.Socket](t, capture) {
		switch {
		case !sampled[s.SocketID]:
		case s.Role == format.RoleClient:
			ends[s.Role][s.LocalPort] = true
		case s.Role == format.RoleServer:
			ends[s.Role][s.RemotePort] = true
		}
	}
	if !maps.Equal(ends[format.RoleClient], ends[format.RoleServer]) || len(ends[format.RoleClient]) > shedLoadConnections/3 {
		t.Errorf("one in 64 connections: ports %v of clients, %v of servers", ends[format.RoleClient], ends[format.RoleServer])
	}
}
