package analyze

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"kmon/analyze/cpu"
	"kmon/analyze/replay"
	"kmon/analyze/topology"
)

const (
	// A service without connections has a name of its own in the lists if it
	// used a CPU, or was held up (by a lock, disk, fault or busy CPUs), for
	// such a part of the time, or had such a part of the memory.
	worthCPU    = 1000
	worthHeldUp = 100
	worthMemory = 100
)

// addCPU adds what threads did on the CPUs, waited for, woke and called, and
// what memory they had.
func (r *run) addCPU(ctx context.Context, a *Analysis) error {
	total, err := r.readCPU(ctx)
	if err != nil {
		return fmt.Errorf("reading what threads did: %w", err)
	}
	s := r.summarize(total)
	s.split()
	s.list(a)
	s.fillServices(a)
	if len(s.recorded["intervals"]) > 0 {
		s.fillThreads(a)
	}
	if len(s.recorded["wakes"]) > 0 {
		s.fillWakes(a)
	}
	if len(s.recorded["offcpu"]) > 0 {
		a.OffCPUMinNs = r.leastOffCPU()
	}
	if len(s.recorded["syscalls"]) > 0 {
		s.fillSyscalls(a)
	}
	r.remarks = append(r.remarks, total.Dropped()...)
	r.remarks = append(r.remarks, s.partly()...)
	return nil
}

// cpuSums is what was read, by service.
type cpuSums struct {
	*run
	total    *cpu.Partial
	coverage coverages
	recorded map[string]map[int32]bool // table → captures that have it
	services map[int32]*cpuService     // by number
	listed   map[int32]string          // service → what it is listed as; "": the filter leaves it out
}

// cpuService is one service, or those listed as one.
type cpuService struct {
	parties  []int32 // most CPU first
	account  cpu.Account
	waits    cpu.Waits
	windows  map[int32]*cpu.Window
	captures map[int32]bool
	memory   *cpu.ServiceMemory
	looked   []int32 // numbers of the services that memory is of
}

// summarize adds the sums of parties up by service.
func (r *run) summarize(total *cpu.Partial) *cpuSums {
	s := &cpuSums{run: r, total: total, coverage: r.coverage(), services: map[int32]*cpuService{}, listed: map[int32]string{}}
	s.recorded = map[string]map[int32]bool{
		"intervals": r.recorded("intervals", "cpu"), "wakes": r.recorded("wakes", "cpu"),
		"offcpu": r.recorded("offcpu", "cpu"), "syscalls": r.recorded("syscalls", "syscall"),
	}
	for party, account := range total.Accounts {
		service := s.of(party)
		service.account.Add(account)
		service.parties = append(service.parties, party)
	}
	for party := range total.Waits {
		service := s.of(party)
		if total.Accounts[party] == nil {
			service.parties = append(service.parties, party)
		}
	}
	for number, memory := range total.Memory.Services() {
		s.at(number).memory = &memory
	}
	for _, service := range s.services {
		s.sortParties(service.parties)
	}
	return s
}

// of gives the sums of a party's service.
func (s *cpuSums) of(party int32) *cpuService {
	p := &s.parties().list[party]
	service := s.at(p.Number)
	service.captures[p.Capture] = true
	return service
}

func (s *cpuSums) at(number int32) *cpuService {
	if s.services[number] == nil {
		s.services[number] = newCPUService()
	}
	return s.services[number]
}

func newCPUService() *cpuService {
	return &cpuService{windows: map[int32]*cpu.Window{}, captures: map[int32]bool{}}
}

// sortParties puts those with most CPU time first.
func (s *cpuSums) sortParties(parties []int32) {
	onCPU := func(party int32) int64 {
		if a := s.total.Accounts[party]; a != nil {
			return a.OnCPUNs
		}
		return 0
	}
	list := s.parties().list
	slices.SortFunc(parties, func(a, b int32) int {
		p, q := &list[a], &list[b]
		return cmp.Or(cmp.Compare(onCPU(b), onCPU(a)), cmp.Compare(p.Instance, q.Instance),
			cmp.Compare(p.Host, q.Host), cmp.Compare(p.PID, q.PID), cmp.Compare(a, b))
	})
}

// split tells idle event loops from those that wait for answers, where
// requests were recorded, and adds the waits up by service.
func (s *cpuSums) split() {
	asked, open := s.asked()
	for number, service := range s.services {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(service.captures)), s.withoutRequests) {
			name := s.parties().services[number]
			s.total.SplitPolls(number, service.parties, asked[name], open[name])
		}
		for _, party := range service.parties {
			if w := s.total.Waits[party]; w != nil {
				service.waits.Add(w)
			}
		}
	}
}

func (s *cpuSums) withoutRequests(capture int32) bool {
	return collector(s.captures[capture], "tcp") == nil
}

// asked gives for each service the time its requests to others were under
// way, by window, and that of requests that were never answered.
func (s *cpuSums) asked() (answered map[string][]int64, open map[string]int64) {
	answered, open = map[string][]int64{}, map[string]int64{}
	frame := s.total.Frame
	for i, cell := range s.topology.Cells {
		if !cell.Client {
			continue
		}
		name := s.topology.Services[s.topology.Instances[cell.Instance].Service].Name
		if answered[name] == nil {
			answered[name] = make([]int64, frame.Count)
		}
		stats := s.run.total.Stats(int32(i))
		open[name] += stats.WaitedNs
		for j := range stats.Windows {
			w := &stats.Windows[j]
			start := frame.BaseNs + int64(w.Index)*frame.WidthNs
			mean := w.Latency.Mean()
			frame.Spread(answered[name], mean*w.Latency.Count(), start, start+frame.WidthNs+mean)
		}
	}
	return answered, open
}

// list finds what each service is listed as and adds those without
// connections to a, those that did most first.
func (s *cpuSums) list(a *Analysis) {
	numbers := slices.Collect(maps.Keys(s.services))
	names := s.parties().services
	slices.SortFunc(numbers, func(x, y int32) int {
		return cmp.Or(cmp.Compare(s.services[y].weight(), s.services[x].weight()), cmp.Compare(names[x], names[y]))
	})
	for _, number := range numbers {
		p := party{Service: names[number], Source: s.source(number)}
		known := slices.ContainsFunc(a.Services, func(o Service) bool { return o.Name == p.Service })
		if !known && len(s.options.Services) == 0 && !s.worth(s.services[number]) {
			p.Service, p.Source = topology.OtherProcesses, sourceMany
		}
		if listed := s.serviceOf(a, p); listed != nil {
			s.listed[number] = listed.Name
		}
	}
}

// source gives where the name of a service comes from.
func (s *cpuSums) source(number int32) string {
	for _, party := range s.services[number].parties {
		return s.parties().list[party].Source
	}
	for _, c := range s.captures { // it has memory only
		for i := range int32(c.Owners.Len()) {
			if o := c.Owners.Get(i); o.Service == s.parties().services[number] {
				return o.Source
			}
		}
	}
	return ""
}

// heldUp is time that threads would rather have run.
func (c *cpuService) heldUp() int64 {
	return c.waits[cpu.Lock].TotalNs + c.waits[cpu.Disk].TotalNs + c.waits[cpu.PageFault].TotalNs + c.account.RunQueueNs
}

func (c *cpuService) weight() int64 { return c.account.OnCPUNs + c.heldUp() }

// worth says whether a service without connections has a name of its own.
func (s *cpuSums) worth(c *cpuService) bool {
	span := s.recordedNs
	if c.account.OnCPUNs > span/worthCPU || c.heldUp() > span/worthHeldUp {
		return true
	}
	return c.memory != nil && slices.ContainsFunc(s.captures, func(o *replay.Capture) bool {
		size := o.Manifest.Host.MemoryBytes
		return size > 0 && c.memory.MaxRSSBytes > size/worthMemory
	})
}

// merged adds up what is listed under one name.
func (s *cpuSums) merged() map[string]*cpuService {
	list := map[string]*cpuService{}
	for number, c := range s.services {
		name := s.listed[number]
		if name == "" {
			continue
		}
		if list[name] == nil {
			list[name] = newCPUService()
		}
		sum := list[name]
		sum.parties = append(sum.parties, c.parties...)
		sum.account.Add(&c.account)
		sum.waits.Add(&c.waits)
		maps.Copy(sum.captures, c.captures)
		if c.memory != nil {
			sum.addMemory(c.memory)
			sum.looked = append(sum.looked, number)
		}
		for _, w := range s.total.Windows[number] {
			if sum.windows[w.Index] == nil {
				sum.windows[w.Index] = new(cpu.Window)
			}
			sum.windows[w.Index].OnCPUNs += w.OnCPUNs
			sum.windows[w.Index].RunQueueNs += w.RunQueueNs
			for class, ns := range w.WaitNs {
				sum.windows[w.Index].WaitNs[class] += ns
			}
		}
	}
	return list
}

func (c *cpuService) addMemory(o *cpu.ServiceMemory) {
	if c.memory == nil {
		c.memory = new(cpu.ServiceMemory)
	}
	c.memory.Add(o)
}
