package main

import (
	"maps"
	"strconv"
	"strings"
)

// kernel is one to be booted, with what is tried in it.
type kernel struct {
	name    string // its release, to the second number, and what is other than usual
	machine machine
	meta    string // Debian's package that depends on the newest of it
	pinned  pinned // the package where this machine's sources have none
	trials  []trial
	cut     bool // the power is cut in the midst of the trial
	faults  bool // of disks and links are recorded
}

// trial is one run of kmon record in a guest.
type trial struct {
	Name string `json:"name"`
	// Change names what is changed in the guest meanwhile; "": nothing.
	Change string `json:"change,omitempty"`
	// Cut has kmon record onto a disk until the power is cut.
	Cut bool `json:"cut,omitempty"`
	// Fault is the command line of a load that something bad happens to.
	Fault load `json:"fault,omitempty"`
	// Force names the variants to use, by indicator, instead of the best.
	Force variants `json:"force,omitempty"`
	// Flags are further ones of kmon record.
	Flags []string `json:"flags,omitempty"`
	// Loads are run one after the other while kmon records; none: kmon is to
	// refuse.
	Loads []load `json:"loads,omitempty"`
	// want names the variants that must have been used.
	want variants
	// refusal is the sentence that kmon refuses with.
	refusal string
}

// load is the command line of cmd/workload.
type load []string

// earlyLoad is connected before kmon records, and asks once it does: what its
// gate says.
var earlyLoad = load{"echo", "-requests", "30", "-connections", strconv.Itoa(earlyConnections), "-gate", earlyGate}

const (
	earlyConnections = 3
	earlyGate        = "/tmp/gate"
)

// The changes of trials.
const (
	hideTypes = "hide types"
	lockDown  = "lock down" // stays, for no kernel undoes it
)

// The disks of a guest: one for loads to read and write, one to hand out
// results on.
const (
	loadDisk = "/dev/vda"
	handDisk = "/dev/vdb"
)

// variants are ways to record, by indicator.
type variants map[string]string

// Variants of several trials.
const (
	sweepStorage = "iter:bpf_sk_storage_map" // of the kernel, a socket's state in it
	sweepHash    = "iter:bpf_map_elem"       // of a hash map, sockets by address
	oldTransmit  = "tp_btf:tcp_retransmit_skb/2"
	askerByBio   = "tp_btf:block_getrq"
	netnsQueues  = "iter:bpf_sk_storage_map" // with what the network namespace counts
)

var kernels = []kernel{
	{name: "6.12", machine: amd64, meta: "linux-image-6.12-cloud-amd64", trials: append([]trial{
		record("best", variants{"send": "tp_btf:sock_send_length", "sweep": sweepStorage, "asker": "tp_btf:block_io_start",
			"drop": "tp_btf:kfree_skb", "reset-sent": "tp_btf:tcp_send_reset", "retransmit": oldTransmit, "accept-queue": netnsQueues, "calls": "tp_btf:sys_exit",
			"request-waits": "tp_btf:sched_switch"}),
		timingCalls(force("fexit", variants{"send": "fexit:tcp_sendmsg", "asker": askerByBio, "accept-queue": netnsQueues + "/sk_drops",
			"drop": "tp_btf:kfree_skb/3", "reset-sent": "tp_btf:tcp_send_reset/2"})),
		force("kprobe", variants{"send": "kprobe:release_sock", "sweep": sweepHash}),
	}, refusals...)},
	{name: "6.1", machine: amd64, meta: "linux-image-cloud-amd64", trials: append([]trial{
		record("best", variants{"send": "fexit:tcp_sendmsg", "sweep": sweepStorage, "asker": askerByBio,
			"drop": "tp_btf:kfree_skb/3", "reset-sent": "tp_btf:tcp_send_reset+kfree_skb", "retransmit": oldTransmit, "accept-queue": netnsQueues,
			"request-waits": "tp_btf:sched_switch"}),
		force("kprobe", variants{"send": "kprobe:release_sock", "sweep": sweepHash}),
	}, refusals...)},
	{name: "5.10", machine: amd64, pinned: debian11, trials: []trial{{Name: "too-old", refusal: "too old"}}},
	{name: "6.12-clocks", machine: wakeable, meta: "linux-image-6.12-cloud-amd64", trials: []trial{
		{Name: "clocks", Loads: clockLoads, want: variants{"send": "tp_btf:sock_send_length"}},
	}},
	{name: "6.12-power-cut", machine: amd64, meta: "linux-image-6.12-cloud-amd64", cut: true, trials: []trial{{Name: "power-cut", Cut: true}}},
	{name: "6.12-faults", machine: amd64, meta: "linux-image-6.12-cloud-amd64", faults: true, trials: faultTrials},
	{name: "6.12-arm64", machine: arm64, meta: "linux-image-6.12-cloud-arm64", trials: []trial{
		record("best", variants{"send": "tp_btf:sock_send_length", "sweep": sweepStorage}),
		timingCalls(force("fexit", variants{"send": "fexit:tcp_sendmsg", "sweep": sweepStorage})),
		force("kprobe", variants{"send": "kprobe:release_sock", "sweep": sweepHash}),
	}},
	{name: "6.1-arm64", machine: arm64, meta: "linux-image-cloud-arm64", trials: []trial{
		record("best", variants{"send": "kprobe:release_sock", "sweep": sweepHash}), // without fexit
	}},
}

// debian11 is the last kernel of Debian 11, whose support has ended.
var debian11 = pinned{
	name: "linux-image-5.10.0-46-cloud-amd64",
	urls: []string{
		"http://deb.debian.org/debian-security/" + debian11Path,
		"http://archive.debian.org/debian-security/" + debian11Path,
	},
	sha256: "18d94781d1b3052e21967ac2262239e5f14fbf511d6c3e110629d7aa35340760",
}

const debian11Path = "pool/updates/main/l/linux-signed-amd64/linux-image-5.10.0-46-cloud-amd64_5.10.262-1_amd64.deb"

// version is the release, to the second number.
func (k kernel) version() string {
	version, _, _ := strings.Cut(k.name, "-")
	return version
}

// defaultKernels are booted if none is named.
const defaultKernels = "6.12,6.1,5.10,6.12-arm64:best"

func kernelNames() []string {
	var names []string
	for _, k := range kernels {
		names = append(names, k.name)
	}
	return names
}

// everything has kmon run collector syscall too, which it does only when asked.
var everything = []string{"--syscalls", "all"}

// loads are small: they run in software, and their counts must be right, not
// large.
var loads = []load{
	{"echo", "-requests", "400", "-connections", "8"},
	{"echo", "-requests", "100", "-connections", "4", "-fresh"},
	{"echo", "-requests", "20", "-connections", "2", "-request-size", "300000", "-response-size", "700000"},
	{"echo", "-requests", "100", "-ipv6"},
	{"echo", "-requests", "100", "-mapped"},
	{"paths"},
	{"paths", "-ipv6"},
	{"fork", "-requests", "40"},
	{"fork", "-requests", "12", "-per-connection"},
	{"stream", "-mode", "one-way", "-messages", "100"},
	{"known"},
	{"disk", "-overwrite", loadDisk},
	{"refused"},
	{"crowd", "-stay", "4s"}, // longer than its clients ask again
}

// clockLoads are loads between which the clocks of the guest do what clocks
// should not.
var clockLoads = []load{
	{"echo", "-requests", "100", "-connections", "2"},
	{deedSetClock, "1h"},
	{"echo", "-requests", "100", "-connections", "2"},
	{deedSetClock, "-2h"},
	{"echo", "-requests", "100", "-fresh"},
	{deedSuspend, "5s"},
	{"fork", "-requests", "40"},
	{"disk", "-overwrite", loadDisk},
}

// record is the trial in which kmon chooses for itself.
func record(name string, want variants) trial {
	return trial{Name: name, Loads: loads, want: want}
}

// force is a trial in which kmon is told what to use.
func force(name string, use variants) trial {
	return trial{Name: name, Loads: loads, Force: use, want: use}
}

// timingCalls is a trial that measures the time in system calls too, which is
// another variant by itself.
func timingCalls(t trial) trial {
	t.want = maps.Clone(t.want)
	t.want["calls"] = "tp_btf:sys_enter+sys_exit"
	t.Flags = []string{"--syscall-latency"}
	return t
}

// refusals are kernels that no recording is possible on, made of those that
// it is.
var refusals = []trial{
	{Name: "without-btf", Change: hideTypes, refusal: "kernel type information"},
	{Name: "lockdown", Change: lockDown, refusal: "locked down for confidentiality"},
}
