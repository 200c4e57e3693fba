package reports

import (
	"strings"

	"kmon/analyze"
)

type networkCount = analyze.NetworkCount

const (
	hintRetransmits = "TCP segments sent again while recording; a connection's own count, over its life, stands with the edges"
	hintRTT         = "smoothed round trip time, of connections at their close"
	hintPeer        = "the busiest remote address; with its port where that is a server's"
	hintNobody      = "whose socket it was; none where nobody listened"
	hintIn          = "function that dropped the most frequent"
	hintStack       = "kernel stack of the most frequent, from where it was dropped to its callers; the json report has the whole"
	stackFrames     = 6 // of a drop's stack
)

// normalNetwork copies the parts about the network so that no slice in them is
// nil; lists that are nil stay so, which means not recorded.
func normalNetwork(n *analyze.Analysis) {
	if n.Drops != nil {
		n.Drops = copied(n.Drops)
	}
	for i := range n.Drops {
		n.Drops[i].Stack = present(n.Drops[i].Stack)
	}
	if n.Network != nil {
		n.Network = copied(n.Network)
	}
	for i := range n.Network {
		n.Network[i].Series = present(n.Network[i].Series)
	}
}

// known is a cell with a count that should be 0; absent when it was not
// recorded.
func known(n *int64, t tone) cell {
	if n == nil {
		return cell{Text: absent}
	}
	return alarmed(*n, t)
}

// networkTable lists what went wrong on the sockets of each service.
func networkTable(a *analyze.Analysis) table {
	t := build("network", "Network faults and round trips", a.Network, []spec[networkCount]{
		{column{Head: "Service", Kind: kindName, Hint: hintNobody}, func(n *networkCount) cell { return named(n.Service) }},
		number("Retransmits", hintRetransmits, 0, func(n *networkCount) cell { return known(n.Retransmits, toneWarn) }),
		number("Resets sent", "", 0, func(n *networkCount) cell { return known(n.ResetsSent, toneWarn) }),
		number("Resets received", "", 0, func(n *networkCount) cell { return known(n.ResetsReceived, toneWarn) }),
		{column{Head: "Reset reason", Kind: kindName, Hint: "the most frequent, the kernel's word", Rank: 4, Optional: true}, func(n *networkCount) cell { return named(n.ResetReason) }},
		number("Drops", "packets, but for those of a normal close", 0, func(n *networkCount) cell { return known(n.Drops, toneWarn) }),
		odd("Turned away", "connections for which a listener's queue had no room", 0, func(n *networkCount) cell { return known(n.Overflows, toneBad) }),
		{column{Head: "Mostly with", Kind: kindName, Hint: "the remote address with the most retransmits and resets; with its port where that is a server's", Rank: 3, Optional: true}, func(n *networkCount) cell { return named(n.Peer) }},
		latency("RTT p50", hintRTT, 1, func(n *networkCount) (analyze.Distribution, int64) { return n.RTT, n.RTT.P50 }),
		latency("RTT p99", hintRTT, 2, func(n *networkCount) (analyze.Distribution, int64) { return n.RTT, n.RTT.P99 }),
		number("Closed", "connections that told a round trip time", 5, func(n *networkCount) cell { return counted(n.RTT.Count) }),
		number("Coverage", hintCoverage, 1, func(n *networkCount) cell {
			return covered(n.Coverage, n.Retransmits != nil || n.Drops != nil || n.Overflows != nil)
		}),
	})
	t.Note = lossNote(a, "netevents", "sockets")
	return t
}

// acceptQueuesTable lists the listeners that did not keep up.
func acceptQueuesTable(a *analyze.Analysis) table {
	t := build("accept-queues", "Accept queues", a.AcceptQueues, []spec[analyze.AcceptQueue]{
		{column{Head: "Listener", Kind: kindName}, func(q *analyze.AcceptQueue) cell { return named(q.Address) }},
		{column{Head: "Service", Kind: kindName}, func(q *analyze.AcceptQueue) cell { return named(q.Service) }},
		number("Most waiting", "connections to be accepted, looked at once a second", 0, queueDepth),
		number("Limit", "the backlog it listens with; the kernel lets one more wait", 0, func(q *analyze.AcceptQueue) cell {
			return cell{Text: orAbsent(int64(q.Limit), CountText)}
		}),
		number("Turned away", "connections for which the queue had no room, each time they asked", 0, func(q *analyze.AcceptQueue) cell { return alarmed(q.Overflows, toneBad) }),
		fileColumn(a, func(q *analyze.AcceptQueue) string { return q.Capture }),
		number("Coverage", hintCoverage, 1, func(q *analyze.AcceptQueue) cell { return covered(q.Coverage, true) }),
	})
	t.Note = lossNote(a, "acceptqueues")
	return t
}

// queueDepth is the depth of a queue, in alarm when it was full.
func queueDepth(q *analyze.AcceptQueue) cell {
	c := counted(int64(q.MaxDepth))
	if q.Limit > 0 && q.MaxDepth >= q.Limit {
		c.Tone = toneWarn
	}
	return c
}

// dropping is the stack from the function that gave a packet up: the first
// that is not a way of freeing packets.
func dropping(stack []string) []string {
	for i, name := range stack {
		if !strings.Contains(name, "kfree_skb") && !strings.Contains(name, "skb_reason_drop") {
			return stack[i:]
		}
	}
	return nil
}

// droppedIn gives the function that gave a packet up.
func droppedIn(stack []string) string {
	return strings.Join(dropping(stack)[:min(len(dropping(stack)), 1)], "")
}

// stackText writes the first frames of the stack that gave a packet up.
func stackText(stack []string) string {
	stack = dropping(stack)
	text := strings.Join(stack[:min(len(stack), stackFrames)], " ← ")
	if len(stack) > stackFrames {
		text += " ← …"
	}
	return text
}

// dropsTable lists dropped packets by reason.
func dropsTable(a *analyze.Analysis) table {
	t := build("drops", "Dropped packets", a.Drops, []spec[analyze.Drop]{
		{column{Head: "Reason", Kind: kindName, Hint: "the kernel's word"}, func(d *analyze.Drop) cell { return named(d.Reason) }},
		number("Packets", "", 0, func(d *analyze.Drop) cell { return counted(d.Count) }),
		{column{Head: "Protocol", Kind: kindName, Rank: 4}, func(d *analyze.Drop) cell { return named(d.Protocol) }},
		{column{Head: "Service", Kind: kindName, Hint: hintNobody}, func(d *analyze.Drop) cell { return named(d.Service) }},
		{column{Head: "Local", Kind: kindName, Hint: "the busiest local address; with its port where that is a server's", Rank: 1}, func(d *analyze.Drop) cell { return named(d.Local) }},
		{column{Head: "Peer", Kind: kindName, Hint: hintPeer, Rank: 1}, func(d *analyze.Drop) cell { return named(d.Peer) }},
		{column{Head: "First (UTC)", Rank: 5}, func(d *analyze.Drop) cell { return word(timeText(d.FirstNs)) }},
		number("For", "from the first to the last", 6, func(d *analyze.Drop) cell { return lasting(d.LastNs - d.FirstNs) }),
		{column{Head: "In", Kind: kindName, Hint: hintIn, Rank: 2, Optional: true}, func(d *analyze.Drop) cell { return named(droppedIn(d.Stack)) }},
		{column{Head: "Stack", Kind: kindProse, Hint: hintStack, Rank: 6, Optional: true}, func(d *analyze.Drop) cell { return named(stackText(d.Stack)) }},
		fileColumn(a, func(d *analyze.Drop) string { return d.Capture }),
		number("Coverage", hintCoverage, 3, func(d *analyze.Drop) cell { return covered(d.Coverage, true) }),
	})
	t.Note = lossNote(a, "netevents")
	t.WholeSums = true
	return withTimes(t, a.Drops, func(d *analyze.Drop) (from, to int64) { return d.FirstNs, d.LastNs + 1 })
}
