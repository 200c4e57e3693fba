package probe

import (
	"slices"
	"strings"
	"testing"
)

// ladderOf is what a survey says of an indicator.
func ladderOf(t *testing.T, facts Facts, collector, indicator string) []Rung {
	t.Helper()
	for _, l := range Survey(facts) {
		if l.Collector == collector && l.Indicator == indicator {
			return l.Rungs
		}
	}
	t.Fatalf("no ladder %s %s", collector, indicator)
	return nil
}

func TestSurveyAsksOfEveryVariant(t *testing.T) {
	want := []Rung{
		{"tp_btf:sock_send_length", NotSupported, "no tracepoint sock_send_length", "Linux 6.3 or later"},
		{"fexit:tcp_sendmsg", NotSupported, "not supported", "a kernel with CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS that lets programs hang on its functions"},
		{"kprobe:release_sock", Available, "", ""},
	}
	if got := ladderOf(t, arm61, "tcp", "send"); !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	// A question that could not be asked has no mend but asking it.
	if got := ladderOf(t, unasked, "tcp", "send")[2]; got.Answer != CouldNotTell || got.Why != "tracefs is not mounted" || got.Mend != "" {
		t.Errorf("got %+v", got)
	}
	if got := ladderOf(t, locked, "tcp", "receive"); len(got) != 1 {
		t.Errorf("a variant for each place: %+v", got)
	}
}

func TestSurveyIsOfThePlan(t *testing.T) {
	for name, facts := range map[string]Facts{"6.18": locked, "6.1": debian61, "arm64": arm61} {
		plan, err := NewPlan(facts, Request{Collectors: Collectors(), Calls: Calls{Numbers: []int{0}}})
		if err != nil {
			t.Fatal(err)
		}
		seen := 0
		for _, l := range Survey(facts) {
			planned := plan.Variants[l.Collector][l.Indicator]
			first := slices.IndexFunc(l.Rungs, func(r Rung) bool {
				if planned == "iter:bpf_map_elem" { // which goes with kprobes, though the kernel has a better one
					return r.Variant == planned
				}
				return r.Answer == Available
			})
			if first < 0 || l.Rungs[first].Answer != Available || planned != l.Rungs[first].Variant {
				t.Errorf("%s: %s %s is planned by %q, the survey says %+v", name, l.Collector, l.Indicator, planned, l.Rungs)
			}
			seen++
		}
		if seen != len(indicators) {
			t.Errorf("%d of %d indicators", seen, len(indicators))
		}
	}
}

func TestMendsNameOptionsOfTheKernel(t *testing.T) {
	for _, c := range []struct {
		collector, indicator, want string
		change                     func(*Facts)
	}{
		{"cpu", "intervals", "CONFIG_SCHED_INFO", func(f *Facts) { delete(f.Fields, accountDelay) }},
		{"cpu", "intervals", "CONFIG_FAIR_GROUP_SCHED", func(f *Facts) { delete(f.Fields, queueClock) }},
		{"cpu", "oncpu", "CONFIG_PERF_EVENTS", func(f *Facts) { f.Sampling = NotSupported }},
		{"block", "ios", "Linux 6.0 or later", func(f *Facts) { delete(f.Fields, ioOperation) }},
		{"drop", "drop", "Linux 6.11 or later", func(f *Facts) { f.Arguments["kfree_skb"] = 1 }},
	} {
		rung := ladderOf(t, kernel(c.change), c.collector, c.indicator)[0]
		if rung.Answer != NotSupported || !strings.Contains(rung.Mend, c.want) {
			t.Errorf("%s %s: %+v, want %s", c.collector, c.indicator, rung, c.want)
		}
	}
}

// Without privileges the kernel's types still tell what there would be.
func TestPermitted(t *testing.T) {
	facts := kernel(func(f *Facts) {
		delete(f.Tracepoints, "sock_send_length")
		f.Tracing, f.Sampling, f.Fentry, f.Kprobe = CouldNotTell, CouldNotTell, CouldNotTell, NotSupported
		f.Denied = []string{"tracing", "sampling", "fentry"}
	})
	if _, err := NewPlan(facts, Request{Collectors: []string{"proc"}}); err == nil {
		t.Error("a plan without privileges")
	}
	permitted := facts.Permitted()
	if facts.Tracing != CouldNotTell || permitted.Kprobe != NotSupported {
		t.Errorf("it changed %+v to %+v", facts, permitted)
	}
	plan, err := NewPlan(permitted, Request{Collectors: Collectors()})
	if err != nil || plan.Variants["tcp"]["send"] != "fexit:tcp_sendmsg" || !plan.Has("cpu", "oncpu") {
		t.Errorf("%v, %+v", err, plan.Variants)
	}
	if err := facts.TooOld(); err != nil {
		t.Error(err)
	}
	delete(facts.Fields, taskStorage)
	if err := facts.TooOld(); err != ErrTooOld {
		t.Errorf("without storage for threads: %v", err)
	}
}
