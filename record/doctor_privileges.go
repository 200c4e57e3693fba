package record

import (
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// capability is one that recording uses, and what for (capabilities(7)).
type capability struct {
	name   string
	number uint
	use    string // "": nothing is recorded without
}

// Capabilities maps the capabilities that recording uses to what it lacks without
// them; "": nothing is recorded.
func Capabilities() map[string]string {
	uses := map[string]string{}
	for _, c := range capabilities {
		uses[c.name] = c.use
	}
	return uses
}

var symbolsCapability = capability{"CAP_SYSLOG", unix.CAP_SYSLOG, "the names of the kernel's functions"}

// capabilities are all that recording uses. CAP_SYS_ADMIN stands in for those
// that it cannot do without, CAP_DAC_OVERRIDE for CAP_DAC_READ_SEARCH.
var capabilities = []capability{
	{"CAP_BPF", unix.CAP_BPF, ""},
	{"CAP_PERFMON", unix.CAP_PERFMON, ""},
	{"CAP_SYS_PTRACE", unix.CAP_SYS_PTRACE, "the executables, namespaces and symbols of other users' processes"},
	{"CAP_DAC_READ_SEARCH", unix.CAP_DAC_READ_SEARCH, "files of other users, such as those of container runtimes"},
	symbolsCapability,
	{"CAP_SYS_ADMIN", unix.CAP_SYS_ADMIN, "what kmon's own programs cost in the kernel"},
}

func (c capability) mend() string {
	if c.use == "" {
		return "run as root, or give kmon CAP_BPF and CAP_PERFMON"
	}
	return "give kmon " + c.name + ", which root has, for " + c.use
}

// parseCapabilities reads a set as proc_pid_status(5) has it.
func parseCapabilities(hex string) (set uint64, ok bool) {
	set, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
	return set, err == nil
}

// lackingFrom lists the capabilities that are not in set, nor any that stands in
// for them.
func lackingFrom(set uint64) (all []capability) {
	for _, c := range capabilities {
		has := set&(1<<c.number) != 0
		switch {
		case c.use == "":
			has = has || set&(1<<unix.CAP_SYS_ADMIN) != 0
		case c.number == unix.CAP_DAC_READ_SEARCH:
			has = has || set&(1<<unix.CAP_DAC_OVERRIDE) != 0
		}
		if !has {
			all = append(all, c)
		}
	}
	return all
}

// lacking lists the capabilities that are not in set, and what gives them.
func lacking(set uint64) (names, mends []string) {
	for _, c := range lackingFrom(set) {
		names = append(names, c.name)
		if mend := c.mend(); !slices.Contains(mends, mend) {
			mends = append(mends, mend)
		}
	}
	return names, mends
}

// inHostUsers says whether privileges are those of the host: in a user namespace
// root is only that of the namespace.
func (s subject) inHostUsers() bool {
	fields := strings.Fields(s.read("proc/self/uid_map"))
	return len(fields) != 3 || fields[0] == "0" && fields[1] == "0" && fields[2] == "4294967295"
}

func (s subject) checkPrivileges() Check {
	set, known := effectiveIn(s.root)
	if !known {
		return Check{State: CheckUnknown, Found: "capabilities cannot be read from /proc/self/status"}
	}
	who := "user " + strconv.Itoa(s.uid)
	if s.uid == 0 {
		who = "root"
	}
	names, mends := lacking(set)
	switch {
	case !s.inHostUsers():
		return Check{State: CheckMissing, Found: who + " of a user namespace, which has no rights over the kernel", Mends: []string{"run outside of user namespaces, as root"}}
	case len(names) == 0 && (s.allowed() || s.factsErr != nil):
		return Check{State: CheckOK, Found: who + ", with every capability that recording uses"}
	case len(names) == 0:
		return Check{State: CheckMissing, Found: who + ", with every capability that recording uses, but programs are refused: " + s.facts.Reasons["tracing"],
			Mends: []string{"let the container's seccomp profile or security module allow bpf(2)"}}
	case s.allowed():
		return Check{State: CheckNote, Found: who + ", without " + strings.Join(names, ", "), Mends: mends}
	}
	return Check{State: CheckMissing, Found: who + ", without " + strings.Join(names, ", "), Mends: mends}
}
