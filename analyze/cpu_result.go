package analyze

import (
	"cmp"
	"fmt"
	"slices"

	"kmon/analyze/cpu"
	"kmon/analyze/topology"
)

// Lengths of lists.
const (
	maxThreadsListed = 50
	maxWakesListed   = 50
	maxCallsListed   = 500
)

// fillServices writes the sums into the services and their instances.
func (s *cpuSums) fillServices(a *Analysis) {
	lost, looks := s.lostPerWindow("intervals"), s.total.Memory.Looks()
	services := s.merged()
	for name, c := range services {
		at := slices.IndexFunc(a.Services, func(o Service) bool { return o.Name == name })
		service := &a.Services[at]
		if len(s.recorded["intervals"]) > 0 && len(c.captures) > 0 {
			service.CPU = s.cpu(&c.account, service.Requests, service.Ends == "server", c.captures)
			service.CPUSeries = s.cpuSeries(c, lost)
		}
		if len(s.recorded["offcpu"]) > 0 && len(c.captures) > 0 {
			service.OffCPU = waits(&c.waits)
			service.WaitSeries = s.waitSeries(c, service.OffCPU)
		}
		if c.memory != nil {
			service.Memory = memory(c.memory)
			service.Memory.Series = s.memorySeries(looks, c.looked)
		}
		s.fillInstances(service, c)
	}
	s.fillWaitCounts(a, services)
	s.fillQuiet(a)
}

// fillQuiet tells of the recorded services without a row that they did not
// run.
func (s *cpuSums) fillQuiet(a *Analysis) {
	if len(s.recorded["intervals"]) < len(s.captures) {
		return
	}
	for i := range a.Services {
		if o := &a.Services[i]; o.CPU == nil && !o.External && o.Ends == "server" && len(o.Instances) > 0 {
			o.CPU = s.cpu(new(cpu.Account), o.Requests, true, nil)
		}
	}
}

// cpu makes a CPU of an account. Own says that the requests are counted on the
// service's own end.
func (s *cpuSums) cpu(account *cpu.Account, requests int64, own bool, captures map[int32]bool) *CPU {
	out := &CPU{
		OnCPUNs: account.OnCPUNs, Cores: s.rate(account.OnCPUNs) / 1e9, RunQueueNs: account.RunQueueNs, Timeslices: account.Timeslices,
		Voluntary: account.Voluntary, Involuntary: account.Involuntary,
		Coverage: s.coverage.of("intervals", captures),
	}
	if account.Timeslices > 0 {
		out.MeanQueueNs = account.RunQueueNs / account.Timeslices
	}
	if own && requests > 0 && len(s.recorded["intervals"]) == len(s.captures) && !s.isLeftOut("exchanges") {
		each := account.OnCPUNs / requests
		out.OnCPUPerRequestNs = &each
	}
	return out
}

func (s *cpuSums) cpuSeries(c *cpuService, lost []int64) []CPUPoint {
	windows := s.seriesWindows(c.captures)
	points := make([]CPUPoint, len(windows))
	for i := range points {
		p := &points[i]
		p.StartNs, p.Partial = windows[i].startNs, windows[i].partial
		p.Lost = lost[i]
		if w := c.windows[int32(i)]; w != nil {
			p.OnCPUNs, p.RunQueueNs = w.OnCPUNs, w.RunQueueNs
		}
	}
	return withoutDark(points, windows, func(p *CPUPoint) bool { return p.OnCPUNs == 0 && p.RunQueueNs == 0 && p.Lost == 0 })
}

// waits lists the classes that were waited for.
func waits(w *cpu.Waits) []Wait {
	list := []Wait{}
	for class, o := range w {
		if o.Count > 0 || o.TotalNs > 0 {
			list = append(list, Wait{For: cpu.Class(class).String(), Count: o.Count, TotalNs: o.TotalNs, MaxNs: o.MaxNs, Waiting: o.Waiting})
		}
	}
	slices.SortFunc(list, func(a, b Wait) int { return cmp.Or(cmp.Compare(b.TotalNs, a.TotalNs), cmp.Compare(a.For, b.For)) })
	return list
}

// fillInstances adds the parties of a service up by instance. Services that
// stand for many have none.
func (s *cpuSums) fillInstances(service *Service, c *cpuService) {
	if service.Name == topology.OtherProcesses || service.Name == UnknownProcess {
		return
	}
	type key struct{ name, host string }
	sums := map[key]*cpuService{}
	s.sortParties(c.parties)
	for _, party := range c.parties {
		p := s.parties().list[party]
		i := service.instanceOf(p)
		k := key{i.Name, i.Host}
		if sums[k] == nil {
			sums[k] = newCPUService()
		}
		sums[k].captures[p.Capture] = true
		if account := s.total.Accounts[party]; account != nil {
			sums[k].account.Add(account)
		}
		if w := s.total.Waits[party]; w != nil {
			sums[k].waits.Add(w)
		}
	}
	for at := range service.Instances {
		i := &service.Instances[at]
		sum := sums[key{i.Name, i.Host}]
		if sum == nil {
			continue
		}
		if len(s.recorded["intervals"]) > 0 {
			i.CPU = s.cpu(&sum.account, i.Requests, true, sum.captures)
		}
		if len(s.recorded["offcpu"]) > 0 {
			i.OffCPU = waits(&sum.waits)
		}
	}
}

// nameOf gives the service of a party, "" for nobody.
func (s *cpuSums) nameOf(who cpu.Who) string {
	if who.Party < 0 {
		return ""
	}
	return s.parties().list[who.Party].Service
}

// fillThreads lists the busiest threads.
func (s *cpuSums) fillThreads(a *Analysis) {
	a.Threads = []Thread{}
	s.total.Threads(func(k cpu.ThreadKey, t *cpu.Thread) bool {
		if name := s.nameOf(t.Who); s.wanted(name) {
			a.Threads = append(a.Threads, Thread{
				Capture: s.label(s.captures[k.Capture]), Service: name, PID: k.PID, TID: k.TID, Comm: t.Comm,
				CPU:    *s.cpu(&t.Account, 0, false, map[int32]bool{k.Capture: true}),
				Series: s.threadSeries(k, &t.Account),
			})
		}
		return len(a.Threads) < maxThreadsListed
	})
}

// fillWakes lists the pairs of threads that wake each other most.
func (s *cpuSums) fillWakes(a *Analysis) {
	a.Wakes = []WakePair{}
	s.total.Pairs(func(k cpu.PairKey, pair *cpu.Pair, back int64) bool {
		waker, woken := s.nameOf(pair.Waker), s.nameOf(pair.Who)
		if s.wanted(waker, woken) {
			a.Wakes = append(a.Wakes, WakePair{
				Capture:      s.label(s.captures[k.Capture]),
				WakerService: waker, WakerPID: pair.WakerPID, WakerTID: k.WakerTID,
				WakerComm: s.total.Comm(cpu.ThreadKey{Capture: k.Capture, PID: pair.WakerPID, TID: k.WakerTID}),
				Service:   woken, PID: pair.PID, TID: k.TID,
				Comm:  s.total.Comm(cpu.ThreadKey{Capture: k.Capture, PID: pair.PID, TID: k.TID}),
				Count: pair.Count, Back: back, RatePerS: s.rate(pair.Count),
				Series: s.wakeSeries(k, pair.Count, back),
			})
		}
		return len(a.Wakes) < maxWakesListed
	})
}

// fillSyscalls lists what was called most.
func (s *cpuSums) fillSyscalls(a *Analysis) {
	requests := map[string]int64{}
	for _, o := range a.Services {
		if o.Ends == "server" && len(s.recorded["syscalls"]) == len(s.captures) {
			requests[o.Name] = o.Requests
		}
	}
	a.Syscalls = []SyscallCount{}
	s.total.Calls(func(k cpu.CallKey, c *cpu.Calls) {
		name := s.parties().services[k.Service]
		if !s.wanted(name) || len(a.Syscalls) >= maxCallsListed {
			return
		}
		out := SyscallCount{
			Name: k.Name, Kind: k.Kind.String(), Service: name, Count: c.Count, RatePerS: s.rate(c.Count),
			Errors: known(c.Errors), TotalNs: known(c.TotalNs), MaxNs: known(c.MaxNs),
			Series: s.callSeries(k, c),
		}
		if n := requests[name]; n > 0 {
			each := float64(c.Count) / float64(n)
			out.PerRequest = &each
		}
		a.Syscalls = append(a.Syscalls, out)
	})
}

// known is nil for -1.
func known(v int64) *int64 {
	if v < 0 {
		return nil
	}
	return &v
}

// partly warns where only some of the captures have what the lists show.
func (s *cpuSums) partly() []string {
	return append(s.partlyRecorded(s.recorded["intervals"], "cpu"), s.partlyRecorded(s.recorded["syscalls"], "syscall")...)
}

// partlyRecorded warns of captures that lack what a collector tells of others.
func (r *run) partlyRecorded(have map[int32]bool, collector string) []string {
	var list []string
	for i, c := range r.captures {
		if len(have) > 0 && !have[int32(i)] {
			list = append(list, fmt.Sprintf("%s: %s was not recorded; numbers of it are the other captures'", r.label(c), collector))
		}
	}
	return list
}
