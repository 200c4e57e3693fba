package record

import (
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"kmon/record/provider"
)

// shortfalls are what the recording will lack for want of privileges, in
// sentences: rows without names, not rows.
func (r *recorder) shortfalls(first provider.Snapshot) []string {
	own := os.DirFS("/")
	set, known := effectiveIn(own)
	if !known {
		return nil
	}
	var all []string
	for _, c := range lackingFrom(set) {
		if c.use != "" && c.number != unix.CAP_SYS_ADMIN && c.name != symbolsCapability.name {
			all = append(all, "not seen without "+c.name+": "+c.use)
		}
	}
	if hidden := first.Unreadable; set&(1<<unix.CAP_SYS_PTRACE) != 0 && r.root.Proc != "" && 2*hidden > first.Live {
		all = append(all, "most processes are hidden from kmon, in spite of CAP_SYS_PTRACE: their executables, namespaces and symbols are not known; "+
			"let the security module allow it (docker --security-opt apparmor=unconfined)")
	}
	stacks := slices.Contains(r.running, "cpu") || slices.Contains(r.running, "drop")
	if shown, err := showsAddresses(own); stacks && (err != nil || !shown) {
		all = append(all, "the kernel's functions have no names in stacks: that takes "+symbolsCapability.name+" and kernel.kptr_restrict below 2")
	}
	return all
}

// effectiveIn is the set of capabilities of this process, by its proc.
func effectiveIn(root fs.FS) (set uint64, known bool) {
	text, err := fs.ReadFile(root, "proc/self/status")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		if hex, ok := strings.CutPrefix(line, "CapEff:"); ok {
			return parseCapabilities(hex)
		}
	}
	return 0, false
}
