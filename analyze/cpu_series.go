package analyze

import (
	"slices"

	"kmon/analyze/cpu"
	"kmon/analyze/replay"
)

// sumsByWindow adds rows up by window.
type sumsByWindow struct {
	windows replay.Windows
	lit     []bool // recorded, or with rows
	sums    [][]int64
	n       int // sums of a window
	largest map[int32][]int64
	most    largest
}

// newSumsByWindow has n sums of each window that some captures recorded; without rows
// they are 0.
func (r *run) newSumsByWindow(w replay.Windows, captures map[int32]bool, n int) *sumsByWindow {
	b := &sumsByWindow{windows: w, lit: make([]bool, w.Count), sums: make([][]int64, w.Count), n: n}
	for i, c := range r.captures {
		if !captures[int32(i)] {
			continue
		}
		for _, s := range recorded(c) {
			for at := w.Of(s.StartNs); at <= w.Of(max(s.StartNs, s.EndNs-1)); at++ {
				b.lit[at] = true
			}
		}
	}
	return b
}

// add adds to the sums of a window.
func (b *sumsByWindow) add(index int32, values ...int64) {
	if b.sums[index] == nil {
		b.sums[index] = make([]int64, b.n)
	}
	for i, v := range values {
		b.sums[index][i] += v
	}
}

// atLeast tells of values of a window that do not add up.
func (b *sumsByWindow) atLeast(index int32, values ...int64) {
	if b.largest == nil {
		b.largest = map[int32][]int64{}
	}
	if b.largest[index] == nil {
		b.largest[index] = slices.Clone(values)
	}
	for i, v := range values {
		b.largest[index][i] = max(b.largest[index][i], v)
	}
}

// total gives one of the sums, of all windows.
func (b *sumsByWindow) total(of int) (sum int64) {
	for _, s := range b.sums {
		if s != nil {
			sum += s[of]
		}
	}
	return sum
}

func (b *sumsByWindow) series() SumSeries {
	s := SumSeries{WidthNs: b.windows.WidthNs}
	for i, sums := range b.sums {
		if sums == nil && !b.lit[i] {
			continue
		}
		if sums == nil {
			sums = make([]int64, b.n)
		}
		p := SumPoint{StartNs: b.windows.BaseNs + int64(i)*b.windows.WidthNs, Sums: sums}
		if b.most.n > 0 {
			if p.Max = b.largest[int32(i)]; p.Max == nil {
				p.Max = slices.Repeat([]int64{b.most.none}, b.most.n)
			}
		}
		s.Points = append(s.Points, p)
	}
	return s
}

// waitSeries is what a service waited for, in the order of a list.
func (s *cpuSums) waitSeries(c *cpuService, list []Wait) SumSeries {
	at := map[string]int{}
	for i, w := range list {
		at[w.For] = i
	}
	b := s.newSumsByWindow(s.total.Frame.Windows, c.captures, len(list))
	for index, w := range c.windows {
		values := make([]int64, len(list))
		for class, ns := range w.WaitNs {
			if i, ok := at[cpu.Class(class).String()]; ok {
				values[i] = ns
			}
		}
		b.add(index, values...)
	}
	return b.series()
}

// threadSeries is what a thread used; without points where some of it was forgotten.
func (s *cpuSums) threadSeries(k cpu.ThreadKey, whole *cpu.Account) SumSeries {
	steps := s.gather.cpu.Threads[k]
	if steps == nil {
		return SumSeries{}
	}
	b := s.newSumsByWindow(s.gather.windows, map[int32]bool{k.Capture: true}, 2)
	for _, step := range steps.CPU {
		b.add(step.Index, step.OnCPUNs, step.RunQueueNs)
	}
	if b.total(0) != whole.OnCPUNs || b.total(1) != whole.RunQueueNs {
		return SumSeries{}
	}
	return b.series()
}

// wakeSeries is how often two threads woke each other, as threadSeries.
func (s *cpuSums) wakeSeries(k cpu.PairKey, count, back int64) SumSeries {
	b := s.newSumsByWindow(s.gather.windows, map[int32]bool{k.Capture: true}, 2)
	for _, step := range s.gather.wakes.Of(k) {
		b.add(step.Index, step.Count, 0)
	}
	if reverse := (cpu.PairKey{Capture: k.Capture, WakerTID: k.TID, TID: k.WakerTID}); reverse != k {
		for _, step := range s.gather.wakes.Of(reverse) {
			b.add(step.Index, 0, step.Count)
		}
	}
	if b.total(0) != count || b.total(1) != back {
		return SumSeries{}
	}
	return b.series()
}

// maxWaitCounts is how many kinds of waits, of all services, are counted by window, those
// that took longest.
const maxWaitCounts = 128

// fillWaitCounts tells how often services waited, as threadSeries.
func (s *cpuSums) fillWaitCounts(a *Analysis, services map[string]*cpuService) {
	waits := make([][]Wait, len(a.Services))
	for i := range a.Services {
		waits[i] = a.Services[i].OffCPU
		a.Services[i].WaitCounts = make([]SumSeries, len(waits[i]))
	}
	took := func(service, i int) int64 { return waits[service][i].TotalNs }
	eachOfMost(waits, maxWaitCounts, took, func(service, i int) {
		o := &a.Services[service]
		o.WaitCounts[i] = s.waitCount(services[o.Name], waits[service][i])
	})
}

// waitCount is how often a service waited for something.
func (s *cpuSums) waitCount(c *cpuService, w Wait) SumSeries {
	b := s.newSumsByWindow(s.gather.windows, c.captures, 2)
	for _, party := range c.parties {
		if int(party) >= len(s.gather.cpu.Parties) {
			continue
		}
		for _, step := range s.gather.cpu.Parties[party].Waits {
			if step.Class.String() == w.For {
				b.add(step.Index, step.Count, step.TotalNs)
			}
		}
	}
	if b.total(0) != w.Count || b.total(1) != w.TotalNs { // of event loops that were divided
		return SumSeries{}
	}
	return b.series()
}

// callSeries is how often something was called, as threadSeries.
func (s *cpuSums) callSeries(k cpu.CallKey, whole *cpu.Calls) SumSeries {
	b := s.newSumsByWindow(s.gather.windows, s.recorded["syscalls"], 3)
	for _, step := range s.gather.calls.Of(k) {
		b.add(step.Index, step.Count, step.Errors, step.TotalNs)
	}
	if b.total(0) != whole.Count {
		return SumSeries{}
	}
	return b.series()
}

// memorySeries is the memory of a service; without points where its numbers are of
// several hosts, or listed services, whose largest were not at one time.
func (s *cpuSums) memorySeries(looks *replay.Sums[cpu.MemoryKey], services []int32) SumSeries {
	if looks == nil || len(services) != 1 {
		return SumSeries{}
	}
	var found SumSeries
	for i := range s.captures {
		capture := int32(i)
		list := partSeries(s.run, looks, map[int32]bool{capture: true}, 1, largest{2, -1}, cpu.MemoryKey{Service: services[0], Capture: capture})
		switch looked := slices.ContainsFunc(list.Points, func(p SumPoint) bool { return p.Max[0] >= 0 }); {
		case looked && len(found.Points) > 0:
			return SumSeries{}
		case looked:
			found = list
		}
	}
	return found
}

// memory is m as the Analysis has it.
func memory(m *cpu.ServiceMemory) *Memory {
	return &Memory{MaxRSSBytes: m.MaxRSSBytes, LastRSSBytes: m.LastRSSBytes, MaxCurrentBytes: m.MaxCurrentBytes, LimitBytes: m.LimitBytes, OOMKills: m.OOMKills}
}
