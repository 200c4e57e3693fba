package replay

import (
	"testing"

	"kmon/format"
)

const second = int64(1e9)

// snapshot is a process as /proc showed it at a time.
func snapshot(pid int32, start, seen int64, service, source, instance string) format.Process {
	return format.Process{PID: pid, StartNs: start, TsNs: seen, Comm: service, Service: service, ServiceSource: source, Instance: instance}
}

func event(kind format.ProcEvent, pid, parent int32, start, at int64, exe string) format.Proc {
	return format.Proc{Event: kind, PID: pid, ParentPID: parent, StartNs: start, TsNs: at, Comm: "comm", Exe: exe}
}

func TestOwners(t *testing.T) {
	o := NewOwners([]format.Process{
		snapshot(1, 0, second, "init", "executable", ""),
		// 20 was first seen 2 s after its start, and renamed by a new rule.
		snapshot(20, 3*second, 5*second, "cart", "systemd", "cart.service"),
		snapshot(20, 3*second, 9*second, "cart-v2", "rule", "cart.service"),
		// 30 is two processes; the start is in clock ticks, 4 ms off.
		snapshot(30, second-4e6, 2*second, "old", "executable", ""),
		snapshot(30, 6*second, 7*second, "new", "executable", ""),
		// 40 ran a shell, was seen, then ran a program that nobody saw.
		snapshot(40, second, 2*second, "sh", "executable", ""),
		{PID: 70, StartNs: second, TsNs: second, Exe: "/usr/bin/unnamed"},
		// 80 and 81 started after the machine was suspended for an hour.
		snapshot(80, 3605*second, 6*second, "late", "executable", ""),
	}, []format.Proc{
		event(format.ProcFork, 30, 1, second, second, ""),
		event(format.ProcExit, 30, 1, second, 4*second, ""),
		event(format.ProcExec, 40, 1, second, 6*second, "/usr/bin/curl"),
		// Children of 20 within its unit, of init outside of one.
		event(format.ProcExec, 50, 20, 4*second, 4*second, "/bin/hook"),
		event(format.ProcExec, 51, 1, 4*second, 4*second, "/bin/hook"),
		event(format.ProcFork, 52, 20, 4*second, 4*second, ""),
		event(format.ProcFork, 60, 999, 4*second, 4*second, ""),
		event(format.ProcFork, 81, 80, 3607*second, 7*second, ""),
	})
	tests := []struct {
		pid      int32
		at       int64
		service  string // "": nobody
		source   string
		instance string
	}{
		{1, second, "init", "executable", ""},
		{20, 3*second + 1, "cart", "systemd", "cart.service"}, // before it was seen
		{20, 8 * second, "cart", "systemd", "cart.service"},
		{20, 10 * second, "cart-v2", "rule", "cart.service"},
		{20, 2 * second, "", "", ""}, // another process had the pid
		{30, 2 * second, "old", "executable", ""},
		{30, 5*second - 1, "old", "executable", ""}, // rows are late
		{30, 5*second + 5e8, "", "", ""},
		{30, 6 * second, "new", "executable", ""},
		{40, 5 * second, "sh", "executable", ""},
		{40, 7 * second, "curl", "executable", ""},
		{50, 4 * second, "cart", "systemd", "cart.service"},
		{51, 4 * second, "hook", "executable", ""},
		{52, 4 * second, "cart", "systemd", "cart.service"},
		{60, 4 * second, "comm", "executable", ""},
		{70, 4 * second, "unnamed", "executable", ""},
		{80, 6 * second, "late", "executable", ""},
		{81, 8 * second, "late", "executable", ""},
		{81, 6 * second, "", "", ""},
		{99, second, "", "", ""},
	}
	for _, test := range tests {
		i := o.At(test.pid, test.at)
		if i < 0 {
			if test.service != "" {
				t.Errorf("pid %d at %d: nobody, want %s", test.pid, test.at, test.service)
			}
			continue
		}
		if got := o.Get(i); got.Service != test.service || got.Source != test.source || got.Instance != test.instance {
			t.Errorf("pid %d at %d: %s (%s, %q), want %s (%s, %q)", test.pid, test.at,
				got.Service, got.Source, got.Instance, test.service, test.source, test.instance)
		}
	}
}

// The name of the task is that of the program at that time; a fork's row does
// not tell it.
func TestOwnerComm(t *testing.T) {
	o := NewOwners([]format.Process{snapshot(20, second, 2*second, "cart", "executable", "")}, []format.Proc{
		{Event: format.ProcExec, PID: 20, StartNs: second, TsNs: 6 * second, Comm: "curl", Exe: "/usr/bin/curl"},
		{Event: format.ProcFork, PID: 61, ParentPID: 20, StartNs: 3 * second, TsNs: 3 * second, Comm: "parent"},
		{Event: format.ProcFork, PID: 62, ParentPID: 20, StartNs: 3 * second, TsNs: 3 * second, Comm: "parent"},
		{Event: format.ProcExit, PID: 62, ParentPID: 20, StartNs: 3 * second, TsNs: 5 * second, Comm: "worker"},
	})
	for _, test := range []struct {
		pid  int32
		at   int64
		want string
	}{{20, 3 * second, "cart"}, {20, 7 * second, "curl"}, {61, 4 * second, ""}, {62, 4 * second, "worker"}} {
		if got := o.Get(o.At(test.pid, test.at)).Comm; got != test.want {
			t.Errorf("pid %d at %d is called %q, want %q", test.pid, test.at, got, test.want)
		}
	}
}

// A row about an interval belongs to who had the pid last in it, also when
// that ended long before the interval did, but not when it ended before.
func TestOwnerDuring(t *testing.T) {
	o := NewOwners(nil, []format.Proc{
		{Event: format.ProcExec, PID: 7, StartNs: 10 * second, TsNs: 10 * second, Comm: "sort", Exe: "/bin/sort"},
		{Event: format.ProcExit, PID: 7, StartNs: 10 * second, TsNs: 11 * second, Comm: "sort"},
		{Event: format.ProcExec, PID: 7, StartNs: 30 * second, TsNs: 30 * second, Comm: "uniq", Exe: "/bin/uniq"},
	})
	for _, test := range []struct {
		from, to int64
		want     string
	}{
		{5 * second, 9 * second, ""}, {5 * second, 10 * second, "sort"}, {9 * second, 14 * second, "sort"},
		{11 * second, 14 * second, "sort"}, {20 * second, 25 * second, ""}, {9 * second, 40 * second, "uniq"}, {50 * second, 55 * second, "uniq"},
	} {
		got := ""
		if i := o.During(7, test.from, test.to); i >= 0 {
			got = o.Get(i).Service
		}
		if got != test.want {
			t.Errorf("from %d to %d it is %q, want %q", test.from/second, test.to/second, got, test.want)
		}
	}
}
