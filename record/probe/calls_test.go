package probe

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kmon/bpf"
	"kmon/format"
)

func TestParseCalls(t *testing.T) {
	for _, test := range []struct {
		names []string
		want  []int
		err   string
	}{
		{names: []string{"write", "read", "write"}, want: []int{min(unix.SYS_READ, unix.SYS_WRITE), max(unix.SYS_READ, unix.SYS_WRITE)}},
		{names: []string{}, want: nil},
		{names: []string{"raed"}, err: `there is no system call "raed" on this architecture; did you mean read?`},
		{names: []string{"READ"}, err: `there is no system call "READ" on this architecture`},
		{names: []string{"nothing_like_it"}, err: `there is no system call "nothing_like_it" on this architecture`},
		{names: []string{""}, err: `there is no system call "" on this architecture`},
	} {
		got, err := ParseCalls(test.names)
		if !slices.Equal(got, test.want) || errorText(err) != test.err {
			t.Errorf("%q: got %v, %v; want %v, %s", test.names, got, err, test.want, test.err)
		}
	}
	all, err := ParseCalls([]string{"read", AllCalls})
	if err != nil || len(all) != int(bpf.KmonCallIdsCALL_NUMBERS) {
		t.Errorf("all: %d calls, %v", len(all), err)
	}
	some, err := ParseCalls(nil)
	if err != nil || len(some) < 30 || !slices.Contains(some, unix.SYS_FUTEX) {
		t.Errorf("default: %v, %v", some, err)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// Every call of the default set exists on one architecture at least, so that a
// mistyped one does not vanish as missing.
func TestDefaultCallsExist(t *testing.T) {
	elsewhere := []string{"epoll_wait", "poll", "select", "accept"} // accept4 and p… stand for them on newer ones
	for _, name := range DefaultCalls {
		if callNumber(name) < 0 && !slices.Contains(elsewhere, name) {
			t.Errorf("no call is named %s", name)
		}
	}
}

func TestCallsOfCountersHaveNames(t *testing.T) {
	calls := Calls{Numbers: []int{unix.SYS_READ}, Counters: []Counter{{format.CounterTracepoint, "tcp:tcp_probe"}}}
	for _, test := range []struct {
		id   uint16
		kind format.CounterKind
		name string
	}{
		{unix.SYS_READ, format.CounterSyscall, "read"},
		{uint16(bpf.KmonCallIdsCALL_COMPAT), format.CounterSyscall, "32-bit"},
		{uint16(bpf.KmonCallIdsCALL_COUNTERS), format.CounterTracepoint, "tcp:tcp_probe"},
		{511, format.CounterSyscall, "number_511"},
	} {
		if kind, name := calls.callName(test.id); kind != test.kind || name != test.name {
			t.Errorf("id %d: got %d %s, want %d %s", test.id, kind, name, test.kind, test.name)
		}
	}
}

func TestPlanOfCalls(t *testing.T) {
	counters := []Counter{{format.CounterTracepoint, "tcp:tcp_probe"}, {format.CounterFunction, "tcp_sendmsg"}}
	for _, test := range []struct {
		name  string
		calls Calls
		want  string // programs and what they hang on
	}{
		{"calls", Calls{Numbers: []int{1}}, "call_exit sys_exit"},
		{"with latency", Calls{Numbers: []int{1}, Latency: true}, "call_enter_timed sys_enter, call_exit_timed sys_exit"},
		{"counters alone", Calls{Counters: counters}, "count_tracepoint_0 tcp_probe, count_function_1 tcp_sendmsg"},
		{"both", Calls{Numbers: []int{1}, Counters: counters}, "call_exit sys_exit, count_tracepoint_0 tcp_probe, count_function_1 tcp_sendmsg"},
	} {
		plan, err := NewPlan(locked, Request{Collectors: []string{"syscall"}, Asked: true, Calls: test.calls})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, h := range plan.hooks {
			got = append(got, h.program+" "+h.target)
			if collector, table := owner(h.program); collector != "syscall" || table != "syscalls" {
				t.Errorf("%s feeds %s of %s", h.program, table, collector)
			}
		}
		if text := strings.Join(got, ", "); text != test.want {
			t.Errorf("%s: got %s, want %s", test.name, text, test.want)
		}
	}
	plan, err := NewPlan(locked, Request{Collectors: []string{"tcp"}})
	if why := plan.Missing["syscall"]["calls"]; err != nil || !strings.HasPrefix(why, "not asked for") {
		t.Errorf("without the collector: missing %q, %v", why, err)
	}
}

func TestCountRefusesWhatCannotBeCounted(t *testing.T) {
	full := Calls{}
	for range MaxCounters {
		full.Counters = append(full.Counters, Counter{format.CounterTracepoint, "a:b"})
	}
	for name, want := range map[string]string{
		":":       `":" is no tracepoint; one is named as tcp:tcp_probe`,
		"tcp:new": "tcp:new cannot be counted too: at most 8 tracepoints and functions are",
	} {
		calls := Calls{}
		if name != ":" {
			calls = full
		}
		if err := calls.Count(name); errorText(err) != want {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}
	calls := Calls{}
	for _, name := range []string{"read", "syscalls:sys_enter_read", "syscalls:sys_exit_write"} {
		if err := calls.Count(name); err != nil {
			t.Error(err)
		}
	}
	if len(calls.Numbers) != 2 || len(calls.Counters) != 0 {
		t.Errorf("calls %+v, want read and write", calls)
	}
}

func TestFunctionsOfKallsyms(t *testing.T) {
	const text = `ffffffff81000000 T _text
ffffffff81000010 t do_one_thing
ffffffff82000000 D some_data
ffffffffc0000000 t nf_hook	[nf_tables]
ffffffffc0000010 t x
broken
`
	var got []string
	if err := scanFunctions(strings.NewReader(text), func(name []byte) bool {
		got = append(got, string(name))
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"_text", "do_one_thing", "nf_hook", "x"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Counts of one process on several CPUs are one row.
func TestRowsOfCounts(t *testing.T) {
	sums := map[callOf]bpf.KmonCallCount{}
	for _, n := range []bpf.KmonCallCount{{Count: 2, Errors: 1, TotalNs: 10, MaxNs: 9}, {Count: 3, TotalNs: 8, MaxNs: 7}} {
		of := callOf{tgid: 7, id: unix.SYS_READ}
		sums[of] = addCounts(sums[of], n)
	}
	sums[callOf{7, uint16(bpf.KmonCallIdsCALL_COUNTERS)}] = bpf.KmonCallCount{Count: 4}
	sums[callOf{3, unix.SYS_WRITE}] = bpf.KmonCallCount{Count: 1}
	c := callCounts{startNs: 100, endNs: 200, calls: Calls{Latency: true, Counters: []Counter{{format.CounterTracepoint, "a:b"}}}}
	want := []format.Syscall{
		{StartNs: 100, EndNs: 200, PID: 3, Kind: format.CounterSyscall, Name: "write", Count: 1},
		{StartNs: 100, EndNs: 200, PID: 7, Kind: format.CounterSyscall, Name: "read", Count: 5, Errors: 1, TotalNs: 18, MaxNs: 9},
		{StartNs: 100, EndNs: 200, PID: 7, Kind: format.CounterTracepoint, Name: "a:b", Count: 4, Errors: -1, TotalNs: -1, MaxNs: -1},
	}
	if got := c.rows(sums); !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	c.calls.Latency = false
	if got := c.rows(sums)[1]; got.TotalNs != -1 || got.MaxNs != -1 || got.Errors != 1 {
		t.Errorf("without times: %+v", got)
	}
}
