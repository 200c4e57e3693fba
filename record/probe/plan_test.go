package probe

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// kernel describes a kernel by what distinguishes it for planning.
func kernel(change func(*Facts)) Facts {
	f := Everything()
	delete(f.Functions, "tcp_sendpage") // since 6.5
	change(&f)
	return f
}

var (
	// 6.18 with lockdown: tracepoints only.
	locked = kernel(func(f *Facts) {
		f.Fentry, f.Kprobe = NotSupported, NotSupported
		f.Reasons = map[string]string{"fentry": "operation not permitted", "kprobe": "no kprobe_events"}
	})
	// Debian 6.1: no sock_* tracepoints, sendfile goes through tcp_sendpage.
	debian61 = kernel(func(f *Facts) {
		delete(f.Tracepoints, "sock_send_length")
		f.Functions["tcp_sendpage"] = 5
	})
	// An arm64 kernel of the same age: no fentry either.
	arm61 = kernel(func(f *Facts) {
		delete(f.Tracepoints, "sock_send_length")
		f.Functions["tcp_sendpage"] = 5
		f.Fentry, f.Reasons["fentry"] = NotSupported, "not supported"
	})
	// 6.1 with lockdown: nothing sees a send.
	locked61 = kernel(func(f *Facts) {
		delete(f.Tracepoints, "sock_send_length")
		f.Fentry, f.Kprobe = NotSupported, NotSupported
		f.Reasons = map[string]string{"fentry": "operation not permitted", "kprobe": "no kprobe_events"}
	})
	// A kernel whose kprobes could not be asked about.
	unasked = kernel(func(f *Facts) {
		delete(f.Tracepoints, "sock_send_length")
		f.Fentry, f.Kprobe = NotSupported, CouldNotTell
		f.Reasons = map[string]string{"fentry": "not supported", "kprobe": "tracefs is not mounted"}
	})
)

func TestPlanPicksTheBestVariant(t *testing.T) {
	for _, test := range []struct {
		name     string
		facts    Facts
		force    map[string]string
		send     string
		sweep    string
		programs []string // some that must be in, or with "!" must not
		err      string
	}{
		{name: "6.18 locked down", facts: locked, send: "tp_btf:sock_send_length", sweep: "iter:bpf_sk_storage_map",
			programs: []string{"tcp_send", "tcp_receive", "!tcp_receive_by_address", "!tcp_send_fexit"}},
		{name: "Debian 6.1", facts: debian61, send: "fexit:tcp_sendmsg", sweep: "iter:bpf_sk_storage_map",
			programs: []string{"tcp_send_fexit", "tcp_sendpage_fexit", "!tcp_send"}},
		{name: "arm64 6.1", facts: arm61, send: "kprobe:release_sock", sweep: "iter:bpf_map_elem",
			programs: []string{"tcp_send_kprobe", "tcp_state_by_address", "!tcp_state", "!tcp_send_fexit"}},
		{name: "forced kprobe", facts: kernel(func(*Facts) {}), force: map[string]string{"send": "kprobe:release_sock"},
			send: "kprobe:release_sock", sweep: "iter:bpf_map_elem", programs: []string{"tcp_send_kprobe", "!tcp_send"}},
		{name: "6.1 locked down", facts: locked61, err: "tcp send: this kernel supports no variant (tp_btf:sock_send_length: no tracepoint sock_send_length; fexit:tcp_sendmsg: operation not permitted; kprobe:release_sock: no kprobe_events)"},
		{name: "could not tell", facts: unasked, err: "could not tell whether kprobe:release_sock works here: tracefs is not mounted"},
		{name: "unknown variant", facts: locked, force: map[string]string{"send": "magic"}, err: `no variant named "magic"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			plan, err := NewPlan(test.facts, Request{Collectors: []string{"tcp", "proc"}, Force: test.force})
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("error %v, want one with %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := plan.Variants["tcp"]["send"]; got != test.send {
				t.Errorf("send by %s, want %s", got, test.send)
			}
			if got := plan.Variants["tcp"]["sweep"]; got != test.sweep {
				t.Errorf("sweep by %s, want %s", got, test.sweep)
			}
			programs := map[string]bool{}
			for _, h := range plan.hooks {
				if programs[h.program] {
					t.Errorf("program %s is planned twice", h.program)
				}
				programs[h.program] = true
			}
			for _, name := range test.programs {
				if want := !strings.HasPrefix(name, "!"); programs[strings.TrimPrefix(name, "!")] != want {
					t.Errorf("program %s: planned %v; all: %v", name, !want, slices.Sorted(maps.Keys(programs)))
				}
			}
		})
	}
}

func TestPlanSaysWhatIsMissing(t *testing.T) {
	defer func(all []indicator) { indicators = all }(indicators)
	indicators = append(slices.Clone(indicators),
		indicator{"extra", "there", []variant{{name: "tp_btf:inet_sock_set_state", hooks: []hook{tracepoint("a", "inet_sock_set_state")}}}},
		indicator{"extra", "gone", []variant{{name: "tp_btf:nowhere", hooks: []hook{tracepoint("b", "nowhere")}}}},
		indicator{"lost", "gone", []variant{{name: "tp_btf:nowhere", hooks: []hook{tracepoint("b", "nowhere")}}}})
	plan, err := NewPlan(locked, Request{Collectors: []string{"extra", "lost"}})
	if err != nil {
		t.Fatal(err)
	}
	why := " gone: this kernel supports no variant (tp_btf:nowhere: no tracepoint nowhere)"
	if got, want := plan.Missing["extra"]["gone"], "extra"+why; got != want {
		t.Errorf("missing %q, want %q", got, want)
	}
	if !plan.Has("extra", "there") || plan.Has("extra", "gone") || len(plan.hooks) != 1 {
		t.Errorf("plan %+v", plan)
	}
	if _, err := NewPlan(locked, Request{Collectors: []string{"extra"}, Asked: true}); err != nil {
		t.Errorf("asked for, and partly there: %v", err)
	}
	_, err = NewPlan(locked, Request{Collectors: []string{"lost"}, Asked: true})
	if err == nil || err.Error() != "nothing of collector lost can be recorded here: lost"+why {
		t.Errorf("asked for, and not there: %v", err)
	}
}

// The waits of requests take sockets and threads, and sockets whose state programs
// on switches reach.
func TestPlanOfRequestWaits(t *testing.T) {
	unaccounted := kernel(func(f *Facts) { delete(f.Fields, accountDelay) })
	for _, test := range []struct {
		name          string
		facts         Facts
		collectors    []string
		variant, lack string
	}{
		{"6.18", locked, []string{"tcp", "cpu", "proc"}, "tp_btf:sched_switch", ""},
		{"6.1", debian61, []string{"tcp", "cpu"}, "tp_btf:sched_switch", ""},
		{"kprobes", arm61, []string{"tcp", "cpu"}, "", "what threads waited for is out of reach of kprobe:release_sock: of requests only their callees are known"},
		{"no CONFIG_SCHED_INFO", unaccounted, []string{"tcp", "cpu"}, "", "collector cpu does not see threads wait here: of requests only their callees are known"},
		{"without cpu", locked, []string{"tcp", "proc"}, "", "not asked for (-e tcp,cpu)"},
		{"without tcp", locked, []string{"cpu"}, "", ""},
	} {
		plan, err := NewPlan(test.facts, Request{Collectors: test.collectors})
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		variant, lack := plan.Variants["tcp"][RequestWaits], plan.Missing["tcp"][RequestWaits]
		if variant != test.variant || lack != test.lack || plan.accountsRequests() != (variant != "") {
			t.Errorf("%s: by %q, missing %q, want %q, %q; accounted %v", test.name, variant, lack, test.variant, test.lack, plan.accountsRequests())
		}
	}
}

func TestPlanKeepsToItsCollectors(t *testing.T) {
	plan, err := NewPlan(locked, Request{Collectors: []string{"proc"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Variants) != 1 || len(plan.hooks) != 3 {
		t.Errorf("plan of proc alone: %+v", plan)
	}
}

func TestEveryHookHasItsProgram(t *testing.T) {
	plan, err := NewPlan(kernel(func(*Facts) {}), Request{Collectors: Collectors()})
	if err != nil {
		t.Fatal(err)
	}
	spec, err := planned(plan, Options{DataRingBytes: 4096, ControlRingBytes: 4096})
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range allHooks() {
		if spec.Programs[h.program] == nil && slices.Contains(plan.hooks, h) {
			t.Errorf("the object has no program %s", h.program)
		}
	}
	if len(spec.Programs) != len(plan.hooks)+1 { // and find_self, which hangs on nothing
		t.Errorf("%d programs for %d hooks", len(spec.Programs), len(plan.hooks))
	}
}
