package probe

import (
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"

	"kmon/bpf"
	"kmon/format"
)

// withTracepoints is a kernel whose tracepoints have so many arguments.
func withTracepoints(kfree, sendReset, retransmit int) Facts {
	return kernel(func(f *Facts) {
		f.Arguments["kfree_skb"], f.Arguments["tcp_send_reset"], f.Arguments["tcp_retransmit_skb"] = kfree, sendReset, retransmit
	})
}

func TestPlanOfDrops(t *testing.T) {
	for _, test := range []struct {
		name     string
		facts    Facts
		variants string // of drop, reset-sent, retransmit
		programs string
	}{
		{"6.18", withTracepoints(4, 3, 3), "tp_btf:kfree_skb tp_btf:tcp_send_reset tp_btf:tcp_retransmit_skb",
			"net_drop_receiver net_reset_received net_reset_sent_reason net_retransmit_result net_retransmit_synack"},
		{"6.12", withTracepoints(4, 3, 2), "tp_btf:kfree_skb tp_btf:tcp_send_reset tp_btf:tcp_retransmit_skb/2",
			"net_drop_receiver net_reset_received net_reset_sent_reason net_retransmit net_retransmit_synack"},
		{"6.1", withTracepoints(3, 2, 2), "tp_btf:kfree_skb/3 tp_btf:tcp_send_reset+kfree_skb tp_btf:tcp_retransmit_skb/2",
			"net_drop net_reset_received net_reset_sent net_retransmit net_retransmit_synack"},
		{"5.15", withTracepoints(2, 2, 2), " tp_btf:tcp_send_reset/2 tp_btf:tcp_retransmit_skb/2",
			"net_reset_received net_reset_sent net_retransmit net_retransmit_synack"},
	} {
		plan, err := NewPlan(test.facts, Request{Collectors: []string{"drop"}})
		if err != nil {
			t.Fatal(err)
		}
		got := plan.Variants["drop"]
		if have := strings.Join([]string{got["drop"], got["reset-sent"], got["retransmit"]}, " "); have != test.variants {
			t.Errorf("%s: variants %s, want %s", test.name, have, test.variants)
		}
		var programs []string
		for _, h := range plan.hooks {
			if isNetEventProgram(h.program) {
				programs = append(programs, h.program)
			}
		}
		slices.Sort(programs)
		if have := strings.Join(programs, " "); have != test.programs {
			t.Errorf("%s: programs %s, want %s", test.name, have, test.programs)
		}
		missing, why := plan.Missing["drop"]["drop"], "tracepoint kfree_skb has 2 arguments, not 3"
		if got["drop"] == "" && !strings.Contains(missing, why) {
			t.Errorf("%s: drops are missing because %q, want %q", test.name, missing, why)
		}
	}
}

func TestEveryNetEventProgramHasItsTable(t *testing.T) {
	for _, ladder := range [][]variant{retransmitLadder, resetSentLadder, resetReceivedLadder, dropLadder} {
		for _, v := range ladder {
			for _, h := range v.hooks {
				if collector, table := owner(h.program); collector != "drop" || table != "netevents" {
					t.Errorf("%s feeds %s of %s", h.program, table, collector)
				}
			}
		}
	}
}

var kernelWords = Reasons{
	Drops:      map[uint32]string{1: "CONSUMED", 2: "NOT_SPECIFIED", 3: "NO_SOCKET", 300: "QUEUE_PURGE"},
	Resets:     map[uint32]string{0: "NOT_SPECIFIED", 14: "TCP_STATE"},
	Subsystems: map[uint32]string{0: "CORE", 2: "OPENVSWITCH"},
}

func TestReasonsHaveNames(t *testing.T) {
	for number, want := range map[uint32]string{3: "NO_SOCKET", 77: "number_77", 2<<16 | 5: "OPENVSWITCH_5", 9<<16 | 5: "number_589829"} {
		if got := kernelWords.drop(number); got != want {
			t.Errorf("reason %d of a drop is %q, want %q", number, got, want)
		}
	}
	for number, want := range map[uint32]string{0: "NOT_SPECIFIED", 14: "TCP_STATE", 99: "number_99"} {
		if got := kernelWords.reset(number); got != want {
			t.Errorf("reason %d of a reset is %q, want %q", number, got, want)
		}
	}
	if got := (Reasons{}).reset(0); got != "" {
		t.Errorf("on a kernel without reasons, a reset has the reason %q", got)
	}
	settings := kernelWords.Settings()
	if settings["protocols"] != "tcp" || settings["quiet_reasons"] != "CONSUMED,QUEUE_PURGE" {
		t.Errorf("settings %v", settings)
	}
}

func TestNetEventRow(t *testing.T) {
	key := bpf.KmonNetEventKey{
		SocketId: 7, KernelStack: 99, LocalAddr: words4("10.0.0.1"), RemoteAddr: words4("10.0.0.2"), NetnsId: 4,
		Reason: 3, LocalPort: 80, RemotePort: 5000, Family: afInet, Kind: uint16(format.NetDrop),
	}
	sum := bpf.KmonNetEventSum{FirstNs: 100, LastNs: 200, Count: 3}
	want := format.NetEvent{
		TsNs: 100, LastNs: 200, Kind: format.NetDrop, Reason: "NO_SOCKET", SocketID: 7, NetnsID: 4, Family: 4, Protocol: 6,
		LocalAddr: "10.0.0.1", LocalPort: 80, RemoteAddr: "10.0.0.2", RemotePort: 5000, Count: 3,
	}
	if got := netEventRow(&key, &sum, kernelWords); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for kind, reason := range map[format.NetEventKind]string{format.NetRetransmit: "", format.NetResetReceived: "", format.NetResetSent: "number_3"} {
		key.Kind, want.Kind, want.Reason = uint16(kind), kind, reason
		if got := netEventRow(&key, &sum, kernelWords); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	sum.LastNs = 50 // another CPU was first, and later at its clock
	if got := netEventRow(&key, &sum, kernelWords); got.LastNs != 100 {
		t.Errorf("the last is at %d, before the first", got.LastNs)
	}
	key.LocalAddr, key.RemoteAddr, key.Family = words4("::1"), words4("::ffff:10.0.0.2"), afInet6
	if got := netEventRow(&key, &sum, kernelWords); got.LocalAddr != "::1" || got.RemoteAddr != "10.0.0.2" || got.Family != 6 {
		t.Errorf("got %+v", got)
	}
}

func TestNetEventKindsHaveTheSameNumbers(t *testing.T) {
	for kernel, file := range map[bpf.KmonNetEventKind]format.NetEventKind{
		bpf.KmonNetEventKindNET_RETRANSMIT: format.NetRetransmit, bpf.KmonNetEventKindNET_RESET_SENT: format.NetResetSent,
		bpf.KmonNetEventKindNET_RESET_RECEIVED: format.NetResetReceived, bpf.KmonNetEventKindNET_DROP: format.NetDrop,
	} {
		if int64(kernel) != int64(file) {
			t.Errorf("%v is %d in the kernel's table, %d in the file", file, kernel, file)
		}
	}
}

func TestQuietPlaces(t *testing.T) {
	kallsyms := strings.Join([]string{
		"ffffffff81000000 T tcp_v4_rcv_other",
		"ffffffff81000100 T tcp_v4_rcv",
		"ffffffff81000100 T also_here",
		"ffffffff81000900 t after",
		"ffffffff81000a00 t skb_queue_purge.part.0",
		"ffffffff81000a40 T inet_sock_destruct", // ends one and begins another
		"ffffffff81000a80 D data",
		"ffffffff81000c00 t tcp_v6_rcv.cold",
		"ffffffff81000c40 T x",
		"ffffffffc0000000 t tcp_v4_rcv	[module]",
		"ffffffffc0000100 t y	[module]",
		"no address", "", "0000000000000000 T tcp_v6_rcv", "ffffffff8fffff00 T tcp_v6_rcv", // which has no end
	}, "\n")
	places, err := scanQuietPlaces(strings.NewReader(kallsyms))
	if err != nil {
		t.Fatal(err)
	}
	const base = 0xffffffff81000000
	want := []bpf.KmonQuietPlace{
		{Start: base + 0x100, End: base + 0x900}, {Start: base + 0xa00, End: base + 0xa40}, {Start: base + 0xa40, End: base + 0xa80},
		{Start: base + 0xc00, End: base + 0xc40},
	}
	for i, place := range places {
		if i < len(want) && place != want[i] || i >= len(want) && place.End != 0 {
			t.Errorf("place %d is %x, want %x", i, place, slices.Concat(want, make([]bpf.KmonQuietPlace, len(places)))[i])
		}
	}
	all, err := scanQuietPlaces(strings.NewReader(strings.Repeat("ffffffff81000000 T tcp_v4_rcv\nffffffff81000001 T x\n", len(places)+2)))
	if err != nil || all[len(all)-1].End == 0 {
		t.Errorf("with more than there is room for: %x, %v", all, err)
	}
}

// The running kernel has the reasons and functions that are looked for.
func TestQuietFunctionsAreThere(t *testing.T) {
	places, err := readQuietPlaces()
	if err != nil {
		t.Skip(err)
	}
	if places[0].Start == 0 {
		t.Skip("addresses are hidden from us")
	}
	found := 0
	for _, place := range places {
		if place.End > place.Start {
			found++
		}
	}
	if found < 4 {
		t.Errorf("%d places in the kernel, want at least those of tcp_v4_rcv, tcp_v6_rcv, skb_rbtree_purge and inet_sock_destruct: %x", found, places)
	}
}

// What the kernel's enumerations are called and how its tracepoints are typed is
// the same on every kernel.
func TestReasonsOfTheRunningKernel(t *testing.T) {
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		t.Skip(err)
	}
	reasons := readReasons(spec)
	if len(reasons.Drops) == 0 {
		t.Skip("a kernel before 5.17")
	}
	for _, name := range []string{notSpecified, noSocket, "TCP_CSUM"} {
		if number := reasons.number(name); number == 0 || reasons.drop(number) != name {
			t.Errorf("%s has the number %d; all: %v", name, number, reasons.Drops)
		}
	}
	for _, names := range []map[uint32]string{reasons.Drops, reasons.Resets, reasons.Subsystems} {
		for number, name := range names {
			if strings.Contains(name, "_REASON_") || strings.HasPrefix(name, "SKB_DROP") {
				t.Errorf("%d is called %s", number, name)
			}
		}
	}
	var kfree *btf.Typedef
	if err := spec.TypeByName("btf_trace_kfree_skb", &kfree); err != nil {
		t.Fatal(err)
	}
	if n := arguments(kfree); n != 3 && n != 4 {
		t.Errorf("kfree_skb has %d arguments", n)
	}
}
