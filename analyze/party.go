package analyze

import (
	"cmp"
	"slices"
	"strconv"

	"kmon/analyze/replay"
	"kmon/analyze/topology"
)

// maxUnconnected is how many services without a connection are listed by
// name; the rest are one.
const maxUnconnected = 64

// UnknownProcess names processes of which a capture tells nothing but their
// numbers.
const UnknownProcess = "unknown process"

// sourceMany is the source of a name that stands for many services.
const sourceMany = "many"

// party is who did what a row of a topic tells, named as the topology does.
type party struct {
	Service  string
	Source   string
	Host     string
	Instance string
	PID      int32
	Capture  int32
	Number   int32 // of Service, in parties.services
}

// parties finds the party of a process, one index for each.
type parties struct {
	list []party
	// services are the names, by number.
	services []string
	numbers  map[string]int32
	owned    []map[int32]int32 // capture → owner → index in list; -1: unknown
	loose    map[string]bool   // services named by a process id, with connections
	pids     []map[int32]int32 // capture → such a process → index in list
}

// newParties needs the topology to be resolved.
func (r *run) newParties() *parties {
	p := &parties{numbers: map[string]int32{}, loose: map[string]bool{}}
	for _, s := range r.topology.Services {
		if s.Source == topology.SourcePID {
			p.loose[s.Name] = true
		}
	}
	for range r.captures {
		p.owned = append(p.owned, map[int32]int32{})
		p.pids = append(p.pids, map[int32]int32{})
	}
	return p
}

// party gives the index in r.who.list of a process at a monotonic time of its
// capture. The parties are as many as the capture's processes, whatever the
// rows say: all processes that it does not describe are one, unless they have
// connections.
func (r *run) party(c *replay.Capture, pid int32, ns int64) int32 {
	return r.partyOf(c, pid, c.Owners.At(pid, ns))
}

// partyDuring is party for a row about an interval: the process may have ended
// long before it.
func (r *run) partyDuring(c *replay.Capture, pid int32, startNs, endNs int64) int32 {
	return r.partyOf(c, pid, c.Owners.During(pid, startNs, endNs))
}

// parties gives those met so far.
func (r *run) parties() *parties {
	if r.who == nil {
		r.who = r.newParties()
	}
	return r.who
}

func (r *run) partyOf(c *replay.Capture, pid, owner int32) int32 {
	w := r.parties()
	if owner < 0 {
		if i, ok := w.pids[c.Index][pid]; ok {
			return i
		}
	}
	if i, ok := w.owned[c.Index][owner]; ok && (owner >= 0 || len(w.loose) == 0) {
		return i
	}
	return r.newParty(c, pid, owner)
}

// newParty names a party that is met for the first time.
func (r *run) newParty(c *replay.Capture, pid, owner int32) int32 {
	w, p := r.who, party{Host: c.Host(), PID: pid}
	index := w.owned[c.Index]
	p.Instance = c.Host() + ":" + strconv.Itoa(int(pid))
	if owner >= 0 {
		o := c.Owners.Get(owner)
		p.Service, p.Source = o.Service, o.Source
		p.Instance = cmp.Or(o.Instance, p.Instance)
	} else if name := r.looseName(c, pid); w.loose[name] {
		p.Service, p.Source = name, topology.SourcePID
		index, owner = w.pids[c.Index], pid
	} else {
		if i, ok := index[owner]; ok {
			return i
		}
		p = party{Service: UnknownProcess, Source: "unknown", Host: c.Host(), Instance: topology.OtherProcesses}
	}
	p.Capture, p.Number = int32(c.Index), w.number(p.Service)
	index[owner] = int32(len(w.list))
	w.list = append(w.list, p)
	return int32(len(w.list) - 1)
}

// number gives the number of a service.
func (p *parties) number(service string) int32 {
	n, ok := p.numbers[service]
	if !ok {
		n = int32(len(p.services))
		p.services = append(p.services, service)
		p.numbers[service] = n
	}
	return n
}

// looseName is what the topology calls a process known by its number only.
func (r *run) looseName(c *replay.Capture, pid int32) string {
	name := "pid " + strconv.Itoa(int(pid))
	if len(r.captures) > 1 {
		name += " on " + c.Host()
	}
	return name
}

// serviceOf gives the Service of a that a party belongs to, for a topic to add
// to. One without a connection is added, with no Ends and no requests, as long
// as fewer than maxUnconnected were: then everything else is one service,
// named as the topology names many processes. So topics ask for the services
// that did most first. It is nil for a service that the filter leaves out.
// The pointer is valid until the next call.
func (r *run) serviceOf(a *Analysis, p party) *Service {
	if !r.wanted(p.Service) {
		return nil
	}
	byName := func(s Service, name string) int { return cmp.Compare(s.Name, name) }
	at, ok := slices.BinarySearchFunc(a.Services, p.Service, byName)
	if ok {
		return &a.Services[at]
	}
	if r.unconnected >= maxUnconnected && len(r.options.Services) == 0 {
		p.Service, p.Source = topology.OtherProcesses, sourceMany
		if at, ok = slices.BinarySearchFunc(a.Services, p.Service, byName); ok {
			return &a.Services[at]
		}
	}
	r.unconnected++
	a.Services = slices.Insert(a.Services, at, Service{
		Name: p.Service, Source: p.Source, Instances: []Instance{},
		Coverage: r.coverage().of("exchanges", nil), Series: []Point{},
	})
	return &a.Services[at]
}

// listService adds the service that a party was met under to a, if it is
// missing there.
func (r *run) listService(a *Analysis, name string) {
	for _, p := range r.parties().list {
		if p.Service == name {
			r.serviceOf(a, p)
			return
		}
	}
}

// instanceOf gives the Instance of s that a party is, adding it when it is
// missing; of more than maxListed the rest are one. The pointer is valid until
// the next call.
func (s *Service) instanceOf(p party) *Instance {
	find := func(name, host string) int {
		return slices.IndexFunc(s.Instances, func(i Instance) bool { return i.Name == name && i.Host == host })
	}
	at := find(p.Instance, p.Host)
	if at < 0 && len(s.Instances) >= maxListed {
		p.Instance, p.PID = topology.OtherProcesses, 0
		if at = find(p.Instance, p.Host); at < 0 {
			p.Host = ""
			at = find(p.Instance, "")
		}
	}
	if at < 0 {
		at = s.addInstance(Instance{Name: p.Instance, Host: p.Host, PIDs: []int32{}})
	}
	i := &s.Instances[at]
	if known := slices.Contains(i.PIDs, p.PID); p.PID != 0 && !known && len(i.PIDs) < maxPIDsListed && i.Requests == 0 {
		i.PIDs = append(i.PIDs, p.PID)
		slices.Sort(i.PIDs)
	}
	return i
}

// maxPIDsListed is how many process ids an instance lists.
const maxPIDsListed = 16

// addInstance keeps the instances sorted.
func (s *Service) addInstance(i Instance) int {
	at, _ := slices.BinarySearchFunc(s.Instances, i, func(a, b Instance) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Host, b.Host))
	})
	s.Instances = slices.Insert(s.Instances, at, i)
	return at
}
