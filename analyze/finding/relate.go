package finding

import (
	"cmp"
	"slices"
	"strings"
)

// explains lists of each kind which other kinds it may be the cause of. A kind only
// explains kinds of a later rank, so no two findings explain each other; of slow ways
// and lost packets see causes.
var explains = map[Kind][]Kind{
	LimpingDisk:        {Overload, CPUSaturation, SlowNode, ListenOverflow, SlowCallee, Limplock},
	IOLimit:            {Overload, SlowNode, ListenOverflow, SlowCallee, Limplock},
	CPUThrottling:      {Overload, CPUSaturation, SlowNode, SlowPath, ListenOverflow, SlowCallee, Limplock},
	LockLivelock:       {CPUSaturation, Overload, SlowNode, SlowPath, ListenOverflow, SlowCallee, Limplock},
	Spin:               {CPUSaturation, Overload, SlowNode, SlowPath, ListenOverflow, SlowCallee, Limplock},
	ReceiveLivelock:    {CPUSaturation, Overload, SlowNode, SlowPath, Retransmission, ListenOverflow, SlowCallee, Limplock},
	RetryAmplification: {CPUSaturation, Overload, SlowNode, SlowPath, ListenOverflow, SlowCallee},
	Overload:           {CPUSaturation, SlowNode, SlowPath, ListenOverflow, SlowCallee, Limplock},
	CPUSaturation:      {SlowNode, SlowPath, ListenOverflow, SlowCallee, Limplock},
	SlowNode:           {SlowPath, ListenOverflow, SlowCallee, Limplock},
	SlowPath:           {Retransmission, SlowCallee, Limplock},
	Retransmission:     {SlowPath, SlowCallee},
	ListenOverflow:     {SlowCallee},
	SlowCallee:         {},
	Limplock:           {},
}

// relate links causes with their symptoms and puts the findings in order: urgent
// ones first, a cause before its symptoms and as urgent as they are. What another
// finding explains is only good to know; except a limplock, which says how far its
// cause has spread.
func (s *search) relate() {
	if s.found == nil {
		s.found = []Finding{}
	}
	instances := make([][]int, len(s.found))
	for i := range s.found {
		instances[i] = s.instancesOf(&s.found[i])
	}
	for i := range s.found {
		for k := range s.found {
			if i != k && s.causes(&s.found[i], &s.found[k], instances[i], instances[k]) {
				explain(&s.found[i], &s.found[k])
			}
		}
	}
	for i := range s.found {
		f := &s.found[i]
		slices.Sort(f.Causes)
		slices.Sort(f.CausedBy)
	}
	s.order()
}

func explain(cause, symptom *Finding) {
	cause.Causes = append(cause.Causes, symptom.ID)
	symptom.CausedBy = append(symptom.CausedBy, cause.ID)
	if symptom.Kind != Limplock {
		symptom.Severity = Info
	}
}

// causes says whether one finding explains another: the kinds fit, it did not
// begin later than clocks and latencies can tell, they overlap, and are about the
// same instances. Where so many packets are lost that most requests lose one, that
// makes a way slow; where fewer are, it is the way that loses them.
func (s *search) causes(c, f *Finding, ofCause, of []int) bool {
	slowing := s.rules.of(Retransmission, "min_slowing_rate")
	if c.Kind == Retransmission && f.Kind == SlowPath && c.lost < slowing || c.Kind == SlowPath && f.Kind == Retransmission && f.lost >= slowing {
		return false
	}
	return slices.Contains(explains[c.Kind], f.Kind) &&
		c.StartNs <= f.StartNs+s.in.WindowNs+s.in.ClockErrorNs+int64(f.lagNs) && c.EndNs > f.StartNs && c.StartNs < f.EndNs &&
		(overlap(ofCause, of) || c.Subject.Host != "" && c.Subject == f.Subject)
}

// instancesOf are the instances that a finding is about: of a service all, of a
// node those on it, of a disk those that use it, of services that ask each other
// again and again all of theirs.
func (s *search) instancesOf(f *Finding) []int {
	u := &f.Subject
	var list []int
	if u.Type == "disk" {
		for i := range s.in.Disks {
			if d := &s.in.Disks[i]; s.in.Nodes[d.Node].Name == u.Host && d.is(u.Name) {
				list = append(list, d.users()...)
			}
		}
		return list
	}
	if u.Type == "edge" {
		list = s.endsOf(f)
	}
	for i := range s.in.Instances {
		in := &s.in.Instances[i]
		host := s.in.Nodes[in.Node].Name
		var is bool
		switch u.Type {
		case "service":
			is = in.Service == u.Service || u.Service == "" && in.Service == u.Name
		case "node":
			is = host == cmp.Or(u.Host, u.Name)
		case "instance":
			is = in.Name == u.Name && (u.Host == "" || u.Host == host)
		case "thread":
			is = host == u.Host && (slices.Contains(in.PIDs, u.PID) || len(in.PIDs) == 16 && in.Service == u.Service)
		case "listener":
			is = host == u.Host && in.Service == u.Service && u.Service != ""
		case "edge":
			is = slices.Contains(f.services, in.Service)
		}
		if is {
			list = append(list, i)
		}
	}
	return list
}

// endsOf are the servers at the end of a way.
func (s *search) endsOf(f *Finding) []int {
	var list []int
	t := s.traffic()
	for i := range t.cells {
		key := wayKey(&t.cells[i])
		if wayText(key) == f.Subject.Name {
			list = append(list, t.cells[i].edge.Server.Index, t.cells[i].edge.Client.Index)
		}
	}
	return list
}

// is says whether a disk of the subject's host is meant by its name, as
// diskView.name writes it.
func (d *Disk) is(name string) bool {
	short, _, _ := strings.Cut(name, ofHost)
	return short == d.Name
}

// users are the instances whose IO a disk carries.
func (d *Disk) users() []int {
	seen := map[int]bool{}
	var list []int
	for i := range d.Windows {
		for _, u := range d.Windows[i].Users {
			if u.Instance >= 0 && !seen[u.Instance] {
				seen[u.Instance] = true
				list = append(list, u.Instance)
			}
		}
	}
	slices.Sort(list)
	return list
}

// urgency of severities, highest first.
var urgency = map[Severity]int{Critical: 0, Warning: 1, Info: 2}

// order sorts the findings by the urgency of themselves and of what they cause,
// then by how many causes are before them, then by how sure they are.
func (s *search) order() {
	byID := map[string]*Finding{}
	for i := range s.found {
		byID[s.found[i].ID] = &s.found[i]
	}
	urgent, depth := map[string]int{}, map[string]int{}
	for range s.found { // as often as the longest chain may need
		for i := range s.found {
			f := &s.found[i]
			least, deepest := urgency[f.Severity], 0
			for _, id := range f.Causes {
				if e := byID[id]; e != nil {
					least = min(least, urgency[e.Severity], cmp.Or(urgent[id], urgency[e.Severity]))
				}
			}
			for _, id := range f.CausedBy {
				deepest = max(deepest, depth[id]+1)
			}
			urgent[f.ID], depth[f.ID] = least, min(deepest, len(s.found))
		}
	}
	slices.SortStableFunc(s.found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(urgent[a.ID], urgent[b.ID]), cmp.Compare(depth[a.ID], depth[b.ID]),
			cmp.Compare(b.Confidence, a.Confidence), cmp.Compare(a.ID, b.ID))
	})
}
