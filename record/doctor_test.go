package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"kmon/format"
	"kmon/record/hostfs"
	"kmon/record/probe"
)

var updateCheckups = flag.Bool("update", false, "write the golden checkups anew")

// nodeFiles is the root of a node on which nothing is missing.
func nodeFiles() fstest.MapFS {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text + "\n")} }
	return fstest.MapFS{
		"sys/kernel/btf/vmlinux":                    file(""),
		"sys/kernel/security/lockdown":              file("[none] integrity confidentiality"),
		"sys/kernel/tracing/events/sched":           {Mode: fs.ModeDir},
		"sys/bus/event_source/devices/kprobe/type":  file("6"),
		"sys/block/vda/queue/iostats":               file("1"),
		"proc/kallsyms":                             file("0000000000000000 A fixed_percpu_data\nffffffff81000000 T _text"),
		"proc/self/status":                          file("Name:\tkmon\nCapEff:\t000001ffffffffff"),
		"proc/self/uid_map":                         file("         0          0 4294967295"),
		"proc/self/limits":                          file("Max locked memory         8388608              8388608              bytes     "),
		"proc/self/mountinfo":                       file("30 1 0:1 / /sys/kernel/tracing rw - tracefs tracefs rw\n31 1 0:2 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw"),
		"proc/sys/kernel/unprivileged_bpf_disabled": file("2"),
		"proc/sys/kernel/perf_event_paranoid":       file("2"),
		"proc/sys/kernel/kptr_restrict":             file("1"),
	}
}

// newest is a kernel that has everything, on a node where nothing is missing.
func newest() subject {
	facts := probe.Everything()
	delete(facts.Functions, "tcp_sendpage") // since 6.5
	root := nodeFiles()
	return subject{
		version: "1.0", root: root, hostRoot: hostfs.Root{Dir: "/", Proc: "/proc", Files: true, FS: root}, facts: facts, room: captureRoom{freeBytes: 5 << 30},
		host: format.Host{Name: "not-told", OS: "Debian GNU/Linux 13 (trixie)", Kernel: "6.18.4", Arch: "amd64", CgroupHierarchy: "v2"},
		load: func(probe.Plan) error { return nil },
	}
}

// on612 is Debian's 6.12: tcp_retransmit_skb has no result yet.
func on612() subject {
	s := newest()
	s.host.Kernel = "6.12.117+deb13-amd64"
	s.facts.Arguments["tcp_retransmit_skb"] = 2
	return s
}

// on61 is Debian's 6.1.
func on61() subject {
	s := on612()
	s.host.OS, s.host.Kernel = "Debian GNU/Linux 12 (bookworm)", "6.1.0-52-amd64"
	delete(s.facts.Tracepoints, "sock_send_length")
	delete(s.facts.Tracepoints, "block_io_start")
	s.facts.Arguments["kfree_skb"], s.facts.Arguments["tcp_send_reset"] = 3, 2
	s.facts.Functions["tcp_sendpage"] = 5
	return s
}

func (s subject) with(file, text string) subject {
	s.root.(fstest.MapFS)[file] = &fstest.MapFile{Data: []byte(text)}
	return s
}

// asUser takes the privileges away.
func (s subject) asUser() subject {
	s.uid = 1000
	s.facts.Tracing, s.facts.Sampling, s.facts.Fentry, s.facts.Kprobe = probe.CouldNotTell, probe.CouldNotTell, probe.CouldNotTell, probe.CouldNotTell
	s.facts.Denied = []string{"tracing", "sampling", "fentry", "kprobe"}
	for _, name := range s.facts.Denied {
		s.facts.Reasons[name] = "operation not permitted"
	}
	s.load = func(probe.Plan) error { panic("it may not load") }
	s = s.with("proc/self/status", "CapEff:\t0000000000000000\n")
	return s.with("proc/kallsyms", "0000000000000000 T _text\n")
}

// withoutFacts is a node whose kernel is refused.
func (s subject) withoutFacts(err error) subject {
	s.facts, s.factsErr = probe.Facts{}, err
	s.load = func(probe.Plan) error { panic("nothing is planned") }
	return s
}

// checkups are the machines of the golden files.
func checkups() map[string]subject {
	old := newest().asUser()
	old.host.OS, old.host.Kernel = "Debian GNU/Linux 11 (bullseye)", "5.10.0-36-amd64"
	delete(old.facts.Fields, "bpf_map_type.BPF_MAP_TYPE_TASK_STORAGE")
	noTypes := newest().withoutFacts(errors.New("kernel type information (BTF, CONFIG_DEBUG_INFO_BTF, usually /sys/kernel/btf/vmlinux): not found"))
	delete(noTypes.root.(fstest.MapFS), "sys/kernel/btf/vmlinux")
	confidential := newest().withoutFacts(errors.New("eBPF programs may not read this kernel's memory, as when it is locked down for confidentiality (/sys/kernel/security/lockdown): load program: operation not permitted"))
	blind := on61()
	blind.facts.Fentry, blind.facts.Kprobe = probe.NotSupported, probe.NotSupported
	blind.facts.Reasons["fentry"], blind.facts.Reasons["kprobe"] = "operation not permitted", "no kprobe_events"
	refused := on612().with("proc/sys/kernel/kptr_restrict", "2").with("proc/kallsyms", "0000000000000000 T _text\n")
	refused.load = func(plan probe.Plan) error {
		if len(plan.Variants["block"]) > 0 {
			return errors.New("program block_issue: load program: permission denied")
		}
		return nil
	}
	kprobes := on61()
	kprobes.host.Arch = "arm64"
	kprobes.facts.Fentry, kprobes.facts.Reasons["fentry"] = probe.NotSupported, "not supported"
	container := newest()
	container.hostRoot = hostfs.Root{Dir: "/", FS: container.root, OwnPIDs: true}
	container.facts.Listing, container.facts.Reasons["listing"] = probe.NotSupported, "kmon runs in a pid namespace of its own"
	container = container.with("proc/self/mountinfo", "31 1 0:2 / /data rw - ext4 /dev/sda rw\n")
	container.room = captureRoom{err: errors.New("read-only file system")}
	return map[string]subject{
		"6.18": newest(), "6.12": on612(), "6.1": on61(), "6.1 user": on61().asUser(), "5.10 user": old,
		"5.10": newest().withoutFacts(probe.ErrTooOld), "no BTF": noTypes, "lockdown": confidential.with("sys/kernel/security/lockdown", "none integrity [confidentiality]\n"),
		"6.1 without fexit": blind, "refused": refused, "container": container, "6.1 arm64": kprobes,
	}
}

func TestCheckups(t *testing.T) {
	for name, s := range checkups() {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			e := json.NewEncoder(&got)
			e.SetEscapeHTML(false)
			e.SetIndent("", "  ")
			if err := e.Encode(s.examine()); err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", "doctor", strings.ReplaceAll(name, " ", "-")+".json")
			if *updateCheckups {
				if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("another checkup than in %s:\n%s", golden, got.Bytes())
			}
			if bytes.Contains(got.Bytes(), []byte("not-told")) || bytes.Contains(got.Bytes(), []byte(": null")) {
				t.Error("it names the host, or a list is null")
			}
		})
	}
}

// What the golden files must say, whatever else is in them.
func TestVerdicts(t *testing.T) {
	all := checkups()
	for _, c := range []struct {
		name       string
		verdict    Verdict
		send       State
		by         string
		in         string // a part of the refusals and mends
		collectors string // InsteadCollectors
	}{
		{name: "6.18", verdict: VerdictAll, send: StateLoaded, by: "tp_btf:sock_send_length"},
		{name: "6.12", verdict: VerdictAll, send: StateLoaded, by: "tp_btf:sock_send_length"},
		{name: "6.1", verdict: VerdictAll, send: StateLoaded, by: "fexit:tcp_sendmsg"},
		{name: "6.1 arm64", verdict: VerdictSome, send: StateLoaded, by: "kprobe:release_sock", in: "for tcp request-waits: Linux 6.3 or later"},
		{name: "6.1 user", verdict: VerdictNone, send: StatePlanned, by: "fexit:tcp_sendmsg", in: "CAP_BPF and CAP_PERFMON"},
		{name: "5.10", verdict: VerdictNone, send: StateMissing, in: "too old"},
		{name: "5.10 user", verdict: VerdictNone, send: StateMissing, in: "too old"},
		{name: "no BTF", verdict: VerdictNone, send: StateMissing, in: "CONFIG_DEBUG_INFO_BTF=y"},
		{name: "lockdown", verdict: VerdictNone, send: StateMissing, in: "lockdown=integrity"},
		{name: "6.1 without fexit", verdict: VerdictSome, send: StateMissing, in: "Linux 6.3 or later", collectors: "block,cpu,drop,proc"},
		{name: "refused", verdict: VerdictSome, send: StateLoaded, by: "tp_btf:sock_send_length", in: "kptr_restrict=1", collectors: "cpu,drop,proc,tcp"},
		{name: "container", verdict: VerdictSome, send: StateLoaded, by: "tp_btf:sock_send_length", in: "hostPID: true"},
	} {
		got := all[c.name].examine()
		said := strings.Join(append(got.Mends, got.Refusal, got.DefaultRefusal), "\n")
		var send IndicatorState
		for _, of := range got.Collectors {
			for _, in := range of.Indicators {
				if of.Name == "tcp" && in.Name == "send" {
					send = in
				}
			}
		}
		if got.Verdict != c.verdict || send.State != c.send || send.Variant != c.by || !strings.Contains(said, c.in) || strings.Join(got.InsteadCollectors, ",") != c.collectors {
			t.Errorf("%s: verdict %s, send %s by %q, instead %v, said %q; want %+v", c.name, got.Verdict, send.State, send.Variant, got.InsteadCollectors, said, c)
		}
	}
}

// Single checks that no machine of the golden files has.
func TestChecks(t *testing.T) {
	for _, c := range []struct {
		name, file, text string
		state            CheckState
		in               string
	}{
		{"privileges", "proc/self/status", "CapEff:\t0000000000200000\n", CheckNote, "without CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH, CAP_SYSLOG"}, // CAP_SYS_ADMIN alone
		{"privileges", "proc/self/status", "CapEff:\tx\n", CheckUnknown, "cannot be read"},
		{"privileges", "proc/self/uid_map", "0 1000 1\n", CheckMissing, "user namespace"},
		{"perf_event_paranoid", "proc/sys/kernel/perf_event_paranoid", "4\n", CheckOK, "4; CPUs can be sampled"},
		{"cgroups", "proc/self/mountinfo", "1 1 0:1 / /x rw - cgroup cgroup rw,memory\n", CheckNote, "no hierarchy"},
		{"tracefs", "proc/self/mountinfo", "1 1 0:1 / /elsewhere rw - tracefs tracefs rw\n", CheckUnknown, "/elsewhere, which"},
		{"iostats", "sys/block/sdb/queue/iostats", "0\n", CheckOK, "off for sdb"},
		{"memlock", "proc/self/limits", "Max locked memory         unlimited            unlimited            bytes     \n", CheckOK, "unlimited"},
		{"lockdown", "sys/kernel/security/lockdown", "none [integrity] confidentiality\n", CheckOK, "integrity"},
		{"kernel symbols", "proc/kallsyms", "0000000000000000 T _text\n", CheckMissing, "kptr_restrict 1"},
	} {
		for _, check := range newest().with(c.file, c.text).checks() {
			if check.Name == c.name && (check.State != c.state || !strings.Contains(check.Found, c.in)) {
				t.Errorf("%s with %q in %s: %+v; want %s and %q", c.name, c.text, c.file, check, c.state, c.in)
			}
		}
	}
	s := newest()
	s.room.freeBytes = 5 << 20
	if check := s.checkRoom(); check.State != CheckNote || !strings.HasPrefix(check.Found, "5 MiB") {
		t.Errorf("little room: %+v", check)
	}
}

// The doctor loads the programs of this machine, and leaves nothing of them.
func TestDoctorLeavesNothing(t *testing.T) {
	requireBPF(t)
	before := kernelObjects(t)
	c, err := Doctor("test", "")
	if err != nil {
		t.Fatal(err)
	}
	if !c.Allowed || c.Refusal != "" || c.Verdict == VerdictNone {
		t.Fatalf("not even some of it can be recorded: %+v", c)
	}
	for _, of := range c.Collectors {
		for _, in := range of.Indicators {
			if in.State == StatePlanned {
				t.Errorf("%s %s is planned and was not loaded", of.Name, in.Name)
			}
		}
	}
	if after := kernelObjects(t); after != before {
		t.Errorf("%d programs, maps and links are open after, %d before", after, before)
	}
}

// kernelObjects counts what this process holds of eBPF: without a descriptor,
// pin or link the kernel frees it.
func kernelObjects(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, entry := range entries {
		target, _ := os.Readlink("/proc/self/fd/" + entry.Name())
		if strings.Contains(target, "bpf") || strings.Contains(target, "perf_event") {
			n++
		}
	}
	return n
}
