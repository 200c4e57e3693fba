package probe

import (
	"cmp"
	"errors"
	"slices"

	"kmon/bpf"
	"kmon/format"
)

// The collector of network faults and its indicators, as reports know them.
const (
	dropCollector  = "drop"
	dropIndicator  = "drop"
	retransmits    = "retransmit"
	resetsSent     = "reset-sent"
	resetsReceived = "reset-received"
)

// impliedResets is the variant for kernels before 6.10, whose tcp_send_reset
// does not tell of resets that answer packets for no socket: such a packet
// being dropped does.
const impliedResets = "tp_btf:tcp_send_reset+kfree_skb"

// withArguments is a tracepoint that has at least so many arguments.
func withArguments(program, target string, arguments int) hook {
	return hook{program: program, kind: kindTracepoint, target: target, arguments: arguments}
}

var (
	retransmitSynack = hook{program: bpf.KmonProgNetRetransmitSynack, kind: kindTracepoint, target: "tcp_retransmit_synack", arguments: 2, optional: true}
	dropReceiver     = withArguments(bpf.KmonProgNetDropReceiver, "kfree_skb", 4)
	drop             = withArguments(bpf.KmonProgNetDrop, "kfree_skb", 3)
	resetSent        = withArguments(bpf.KmonProgNetResetSent, "tcp_send_reset", 2)
)

// The ladders of collector drop. Arguments were added to tracepoints over time:
// kfree_skb got the reason in 5.17 and the receiving socket in 6.11,
// tcp_send_reset the reason in 6.10, tcp_retransmit_skb the result in 6.16.
var (
	retransmitLadder = []variant{
		{name: "tp_btf:tcp_retransmit_skb", hooks: []hook{
			withArguments(bpf.KmonProgNetRetransmitResult, "tcp_retransmit_skb", 3), retransmitSynack}},
		{name: "tp_btf:tcp_retransmit_skb/2", hooks: []hook{
			withArguments(bpf.KmonProgNetRetransmit, "tcp_retransmit_skb", 2), retransmitSynack}},
	}
	resetSentLadder = []variant{
		{name: "tp_btf:tcp_send_reset", hooks: []hook{withArguments(bpf.KmonProgNetResetSentReason, "tcp_send_reset", 3)}},
		{name: impliedResets, hooks: []hook{resetSent, drop}},
		{name: "tp_btf:tcp_send_reset/2", hooks: []hook{resetSent}},
	}
	resetReceivedLadder = []variant{
		{name: "tp_btf:tcp_receive_reset", hooks: []hook{withArguments(bpf.KmonProgNetResetReceived, "tcp_receive_reset", 1)}},
	}
	dropLadder = []variant{
		{name: "tp_btf:kfree_skb", hooks: []hook{dropReceiver}},
		{name: "tp_btf:kfree_skb/3", hooks: []hook{drop}},
	}
)

// targetNetEvents tells the programs of collector drop that targets have
// changed. Ports are judged in the kernel; whose socket it was that an event
// happened on is known only to who sees the sockets.
func (s *Session) targetNetEvents() error {
	if _, planned := s.collection.Variables[bpf.KmonVarNetEventsByPort]; !planned {
		return nil
	}
	t := s.targets
	return s.setVariable(bpf.KmonVarNetEventsByPort, !t.All && len(t.PIDs)+len(t.CgroupIDs) == 0)
}

// secondNs and settleNs: the events of a second are taken out when it has been
// over for so long. A program that was still at work on one has come to its end
// by then: it runs for microseconds, unless the CPU of a virtual machine is taken
// away meanwhile.
const (
	secondNs = 1_000_000_000
	settleNs = 500_000_000
)

// NetEvents takes the events of all seconds that are over at nowNs,
// CLOCK_MONOTONIC, out of the kernel; with last, the hooks being detached, all.
// Rows are sorted by time.
func (s *Session) NetEvents(nowNs int64, last bool) ([]format.NetEvent, error) {
	m := s.collection.Maps[bpf.KmonMapNetEvents]
	if m == nil || len(s.plan.Variants[dropCollector]) == 0 {
		return nil, nil
	}
	var rows []format.NetEvent
	running := (nowNs - settleNs) / secondNs
	err := takeAll(m, func(k bpf.KmonNetEventKey, sum bpf.KmonNetEventSum) bool {
		if !last && int64(k.Second) >= running {
			return false
		}
		rows = append(rows, s.netEvent(&k, &sum))
		return true
	})
	slices.SortFunc(rows, func(a, b format.NetEvent) int {
		return cmp.Or(cmp.Compare(a.TsNs, b.TsNs), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.SocketID, b.SocketID),
			cmp.Compare(a.LocalPort, b.LocalPort), cmp.Compare(a.RemotePort, b.RemotePort))
	})
	return rows, errors.Join(err, s.trimStacks())
}

func (s *Session) netEvent(k *bpf.KmonNetEventKey, sum *bpf.KmonNetEventSum) format.NetEvent {
	row := netEventRow(k, sum, s.plan.reasons)
	if row.Kind == format.NetDrop {
		row.StackID = s.kernelStack(k.KernelStack)
	}
	return row
}

// netEventRow is the row of an element of the kernel's table, without its
// stack.
func netEventRow(k *bpf.KmonNetEventKey, sum *bpf.KmonNetEventSum, reasons Reasons) format.NetEvent {
	local, family := address(k.LocalAddr, k.Family)
	remote, _ := address(k.RemoteAddr, k.Family)
	row := format.NetEvent{
		TsNs: int64(sum.FirstNs), LastNs: int64(max(sum.LastNs, sum.FirstNs)), Kind: format.NetEventKind(k.Kind),
		SocketID: int64(k.SocketId), NetnsID: int64(k.NetnsId), Family: family, Protocol: protocolTCP,
		LocalAddr: local, LocalPort: int32(k.LocalPort), RemoteAddr: remote, RemotePort: int32(k.RemotePort),
		Count: int64(sum.Count),
	}
	switch row.Kind {
	case format.NetDrop:
		row.Reason = reasons.drop(k.Reason)
	case format.NetResetSent:
		row.Reason = reasons.reset(k.Reason)
	}
	return row
}

// protocolTCP is IPPROTO_TCP.
const protocolTCP = 6

// isNetEventProgram says whether a program feeds table netevents.
func isNetEventProgram(program string) bool {
	return inLadders(program, retransmitLadder, resetSentLadder, resetReceivedLadder, dropLadder)
}
