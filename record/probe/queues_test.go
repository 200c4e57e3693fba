package probe

import (
	"testing"

	"kmon/bpf"
	"kmon/format"
)

func TestDecodeQueue(t *testing.T) {
	in := bpf.KmonQueueRecord{
		Kind: uint16(bpf.KmonRecordKindRECORD_QUEUE), Family: afInet6, NetnsId: 5, TsNs: 1, Addr: words4("2001:db8::1"),
		Tgid: 3, Depth: 2, Limit: 4, Overflows: 7, Port: 80,
	}
	want := format.AcceptQueue{TsNs: 1, NetnsID: 5, Addr: "2001:db8::1", Port: 80, PID: 3, Depth: 2, Limit: 4, Overflows: 7}
	var d Decoder
	if got := d.Control(bytesOf(&in)); got != want || d.Undecodable != 0 {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := d.Control(bytesOf(&in)[:queueSize-1]); got != nil || d.Undecodable != 1 {
		t.Errorf("a cut record gives %+v", got)
	}
}

// Without the counters of namespaces only those of listeners are left; without
// the tracepoint nothing is.
func TestPlanOfAcceptQueues(t *testing.T) {
	for _, test := range []struct {
		name    string
		change  func(*Facts)
		variant string
		counts  bool // of namespaces
		missing bool
	}{
		{"all there", func(*Facts) {}, "iter:bpf_sk_storage_map", true, false},
		{"no counter of that name", func(f *Facts) { delete(f.Fields, listenDrops) }, "iter:bpf_sk_storage_map/sk_drops", false, false},
		{"before 5.19", func(f *Facts) { delete(f.Fields, lookupPerCPU) }, "iter:bpf_sk_storage_map/sk_drops", false, false},
		{"no tracepoint", func(f *Facts) { delete(f.Tracepoints, "inet_sock_set_state") }, "", false, true},
	} {
		plan, err := NewPlan(kernel(test.change), Request{Collectors: []string{dropCollector}})
		if err != nil {
			t.Fatal(err)
		}
		counts := false
		for _, h := range plan.hooks {
			counts = counts || h.program == bpf.KmonProgFindCpuMemory
		}
		missing := plan.Missing[dropCollector]["accept-queue"] != ""
		if got := plan.Variants[dropCollector]["accept-queue"]; got != test.variant || counts != test.counts || missing != test.missing {
			t.Errorf("%s: variant %q, of namespaces: %v, missing: %v", test.name, got, counts, missing)
		}
	}
}

// Listeners have their state in socket storage also where sockets have theirs
// in a hash map: only kprobes may not use it.
func TestAcceptQueuesAreInStorageInEveryPlace(t *testing.T) {
	plan, err := NewPlan(arm61, Request{Collectors: []string{"tcp", dropCollector}})
	if err != nil {
		t.Fatal(err)
	}
	if plan.place != byAddress || plan.Variants[dropCollector]["accept-queue"] != "iter:bpf_sk_storage_map" {
		t.Errorf("variants %v", plan.Variants)
	}
	spec, err := planned(plan, Options{DataRingBytes: 4096, ControlRingBytes: 4096})
	if err != nil {
		t.Fatal(err)
	}
	if spec.Maps[bpf.KmonMapAcceptQueues] == nil || spec.Maps[bpf.KmonMapSockets] != nil {
		t.Errorf("maps of the plan: %v", spec.Maps)
	}
}
