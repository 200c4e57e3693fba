package analyze

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"kmon/analyze/network"
	"kmon/analyze/replay"
	"kmon/analyze/topology"
	"kmon/format"
)

const (
	// maxDrops is how many drops are listed, the most frequent.
	maxDrops = 200
	// maxDropStacks is how many stacks of a drop are compared, the most frequent.
	maxDropStacks = 64
	// maxFaulty is how many services have their network faults listed.
	maxFaulty = 256
	// maxQueues is how many accept queues are listed, the fullest.
	maxQueues = 200
)

// collectorDrop is the collector of network faults; the others are its
// indicators, as Manifest.Collectors[drop].Variants names those that were
// recorded.
const (
	collectorDrop           = "drop"
	indicatorRetransmit     = "retransmit"
	indicatorResetsSent     = "reset-sent"
	indicatorResetsReceived = "reset-received"
	indicatorDrop           = "drop"
	indicatorAcceptQueue    = "accept-queue"
)

// socketWatch is what network faults need of the sockets while they go by.
type socketWatch struct {
	owners []*network.Owners // by capture
	rtts   []*network.RTTs
}

// watchSockets prepares what is read together with the sockets.
func (r *run) watchSockets() error {
	for _, c := range r.captures {
		owners, faulty := network.NewOwners(c.Listeners), map[int64]bool{}
		err := replay.Rows(c, "netevents", func(rows []format.NetEvent) error {
			owners.Want(rows)
			network.SocketIDs(rows, faulty)
			return nil
		})
		if err != nil {
			return err
		}
		r.watchLines(faulty)
		rtts := network.NewRTTs(c.OffsetNs, r.windows(), c.Owners, owners)
		c.OnSockets = func(rows []format.Socket) {
			owners.See(rows)
			rtts.Add(rows)
		}
		r.watch.owners = append(r.watch.owners, owners)
		r.watch.rtts = append(r.watch.rtts, rtts)
	}
	return nil
}

// addNetwork adds Drops, Network and AcceptQueues from tables netevents and
// acceptqueues, and round trip times from sockets. Drops and AcceptQueues stay
// nil when no capture recorded them; Network also when no round trip time is
// known.
func (r *run) addNetwork(ctx context.Context, a *Analysis) error {
	total, err := r.countFaults(ctx)
	if err != nil {
		return err
	}
	r.mergeRTTs(total)
	seen := r.faultsRecorded()
	if seen.drops {
		if a.Drops, err = r.drops(total); err != nil {
			return err
		}
	}
	if seen.queues {
		a.AcceptQueues = r.acceptQueues(total)
	}
	if seen.any() {
		a.Network = []NetworkCount{}
	}
	r.listNetwork(a, total, seen)
	if total.Coarse {
		r.remarks = append(r.remarks, "windows of network faults lack some: there are too many services with faults")
	}
	r.listFaulty(a, total)
	return nil
}

// listNetwork lists the services with faults or round trip times; those beyond
// maxFaulty are one.
func (r *run) listNetwork(a *Analysis, total *network.Partial, seen faultsSeen) {
	names, rest := faultiest(total), new(network.Service)
	for i, name := range names {
		s := total.Service(name)
		switch {
		case s.Total() == 0 && s.RTT.Count() == 0:
		case i < maxFaulty-1 || len(names) == maxFaulty:
			a.Network = append(a.Network, r.networkCount(name, s, seen))
		default:
			rest.Merge(s)
		}
	}
	if rest.Total() > 0 || rest.RTT.Count() > 0 {
		a.Network = append(a.Network, r.networkCount(topology.OtherProcesses, rest, seen))
	}
}

// countFaults adds up the events of all captures.
func (r *run) countFaults(ctx context.Context) (*network.Partial, error) {
	total := &network.Partial{}
	for i, c := range r.captures {
		acc := network.New(i, c.OffsetNs, r.windows(), r.watch.owners[i], func(pid int32, ns int64) (string, bool) {
			name := ""
			if pid != 0 {
				at := r.party(c, pid, ns)
				name = r.who.list[at].Service
			}
			return name, r.wanted(name)
		})
		steps := network.NewSteps(c.OffsetNs, r.gather.windows, r.watch.owners[i])
		r.gather.network = append(r.gather.network, steps)
		err := replay.Rows(c, "netevents", func(rows []format.NetEvent) error {
			acc.AddEvents(rows)
			steps.AddEvents(rows)
			return ctx.Err()
		})
		if err != nil {
			return nil, err
		}
		err = replay.Rows(c, "acceptqueues", func(rows []format.AcceptQueue) error {
			acc.AddQueues(rows)
			steps.AddQueues(rows)
			return ctx.Err()
		})
		if err != nil {
			return nil, err
		}
		total.Merge(acc.Partial())
	}
	return total, nil
}

// mergeRTTs adds the round trip times, by service.
func (r *run) mergeRTTs(total *network.Partial) {
	for i, c := range r.captures {
		for _, h := range r.watch.rtts[i].Result() {
			if h.PID == 0 {
				continue // nobody is known to have had them
			}
			at := r.party(c, h.PID, h.AtNs)
			if name := r.who.list[at].Service; r.wanted(name) {
				total.Service(name).RTT.Merge(&h.RTT)
			}
		}
	}
}

// faultsSeen says which kinds of events any capture recorded.
type faultsSeen struct{ retransmits, resetsSent, resetsReceived, drops, queues bool }

func (s faultsSeen) any() bool {
	return s.retransmits || s.resetsSent || s.resetsReceived || s.drops || s.queues
}

func (r *run) faultsRecorded() faultsSeen {
	var s faultsSeen
	have := r.recorded("netevents", collectorDrop)
	r.remarks = append(r.remarks, r.partlyRecorded(have, collectorDrop)...)
	any := func(indicator string) bool { return len(r.recordedIndicators(have, indicator)) > 0 }
	s.retransmits, s.resetsSent, s.resetsReceived = any(indicatorRetransmit), any(indicatorResetsSent), any(indicatorResetsReceived)
	s.drops, s.queues = any(indicatorDrop), any(indicatorAcceptQueue)
	return s
}

// drops lists the drops, most first, with the names of their stacks.
func (r *run) drops(total *network.Partial) ([]Drop, error) {
	keys := make([]network.DropKey, 0, len(total.Drops))
	for key := range total.Drops {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b network.DropKey) int {
		return cmp.Or(cmp.Compare(total.Drops[b].Count, total.Drops[a].Count), cmp.Compare(a.Capture, b.Capture),
			cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Service, b.Service))
	})
	keys = keys[:min(len(keys), maxDrops)]
	stacks := make([]map[int64]bool, len(r.captures))
	for _, key := range keys {
		for _, id := range total.Drops[key].Stacks.Most(maxDropStacks) {
			if stacks[key.Capture] == nil {
				stacks[key.Capture] = map[int64]bool{}
			}
			stacks[key.Capture][id] = id > 0
		}
	}
	names := make([]map[int64][]string, len(r.captures))
	for i, c := range r.captures {
		var err error
		if names[i], err = replay.StackNames(c, stacks[i]); err != nil {
			return nil, err
		}
	}
	cover, list := r.coverage(), make([]Drop, 0, len(keys))
	for _, key := range keys {
		d := total.Drops[key]
		list = append(list, Drop{
			Capture: r.label(r.captures[key.Capture]), Reason: key.Reason, Protocol: protocolName(key.Protocol),
			Count: d.Count, Service: key.Service, Local: d.Locals.Busiest(), Peer: d.Peers.Busiest(),
			FirstNs: d.FirstNs, LastNs: d.LastNs,
			Stack:    busiestStack(d.Stacks, names[key.Capture]),
			Series:   partSeries(r, total.DropWindows, map[int32]bool{int32(key.Capture): true}, 1, largest{}, key),
			Coverage: ofTable(cover[key.Capture], "netevents"),
		})
	}
	return list, nil
}

// busiestStack gives the names of the most frequent stack: the parts of a
// recording have each its own id for it.
func busiestStack(counts network.Tally[int64], names map[int64][]string) []string {
	sums, best := map[string]int64{}, []string{}
	most := int64(0)
	for _, id := range counts.Most(maxDropStacks) {
		key := strings.Join(names[id], "\n")
		sums[key] += counts[id]
	}
	for _, id := range counts.Most(maxDropStacks) {
		if n := sums[strings.Join(names[id], "\n")]; n > most {
			most, best = n, append([]string{}, names[id]...)
		}
	}
	return best
}

// protocolName names an IP protocol (IANA protocol numbers).
func protocolName(protocol int32) string {
	names := map[int32]string{0: "", 1: "ICMP", 2: "IGMP", 6: "TCP", 17: "UDP", 58: "ICMPv6", 132: "SCTP", 262: "TCP"} // 262: MPTCP
	if name, ok := names[protocol]; ok {
		return name
	}
	return strconv.Itoa(int(protocol))
}

// acceptQueues lists the queues, those that turned most away first.
func (r *run) acceptQueues(total *network.Partial) []AcceptQueue {
	cover, list := r.coverage(), make([]AcceptQueue, 0, len(total.Queues))
	for key, q := range total.Queues {
		list = append(list, AcceptQueue{
			Capture: r.label(r.captures[key.Capture]), Service: q.Service, Address: network.Address(key.Addr, key.Port),
			MaxDepth: q.MaxDepth, Limit: q.Limit, Overflows: q.Overflows,
			Coverage: ofTable(cover[key.Capture], "acceptqueues"),
			// Where there is no row the queue was empty.
			Series: partSeries(r, total.QueueWindows, map[int32]bool{int32(key.Capture): true}, 1, largest{n: 2}, key),
		})
	}
	slices.SortFunc(list, func(a, b AcceptQueue) int {
		return cmp.Or(cmp.Compare(b.Overflows, a.Overflows), cmp.Compare(b.MaxDepth, a.MaxDepth),
			cmp.Compare(a.Capture, b.Capture), cmp.Compare(a.Address, b.Address), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Limit, b.Limit))
	})
	return list[:min(len(list), maxQueues)]
}

// networkCount makes a NetworkCount of its sums. What was not recorded is left
// out.
func (r *run) networkCount(name string, s *network.Service, seen faultsSeen) NetworkCount {
	counted := func(n int64, recorded bool) *int64 {
		if !recorded {
			return nil
		}
		return &n
	}
	out := NetworkCount{
		Service: name, Retransmits: counted(s.Retransmits, seen.retransmits),
		ResetsSent: counted(s.ResetsSent, seen.resetsSent), ResetsReceived: counted(s.ResetsReceived, seen.resetsReceived),
		Drops: counted(s.Drops, seen.drops), Overflows: counted(s.Overflows, seen.queues), Peer: s.Peers.Busiest(), ResetReason: s.Reasons.Busiest(),
		RTT: distribution(&s.RTT), Series: []NetworkPoint{}, Coverage: r.coverage().of("netevents", nil),
	}
	if s.Total() == 0 {
		return out
	}
	windows := r.seriesWindows(nil)
	for i := range windows {
		p := NetworkPoint{StartNs: windows[i].startNs, Partial: windows[i].partial}
		if w := s.Windows[int32(i)]; w != nil {
			p.Retransmits, p.Resets, p.Drops = w.Retransmits, w.ResetsSent+w.ResetsReceived, w.Drops
			p.Overflows = w.Overflows
		}
		out.Series = append(out.Series, p)
	}
	out.Series = withoutDark(out.Series, windows, func(p *NetworkPoint) bool {
		return p.Retransmits == 0 && p.Resets == 0 && p.Drops == 0 && p.Overflows == 0
	})
	return out
}

// faultiest gives the services by name in the order in which a reader looks:
// most faults first, then by name.
func faultiest(total *network.Partial) []string {
	names := make([]string, 0, len(total.Services))
	for name := range total.Services {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(total.Service(b).Total(), total.Service(a).Total()), cmp.Compare(a, b))
	})
	return names
}

// listFaulty lists the services on whose sockets something went wrong, those
// with most first.
func (r *run) listFaulty(a *Analysis, total *network.Partial) {
	for _, name := range faultiest(total) {
		if total.Service(name).Total() == 0 {
			break
		}
		r.listService(a, name)
	}
}
