package probe

import (
	"bufio"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf/btf"

	"kmon/record/spelling"
)

// What the kernel calls its tracepoints and functions. Lists of all of them
// are made only for the sake of a message: they take time and memory.

// nearNames is how many names a message offers.
const nearNames = 3

// btfTracepoint begins the name of the type that a tracepoint has in BTF.
const btfTracepoint = "btf_trace_"

// tracepointType is the type that a tracepoint has in BTF; nil: the kernel has
// no such tracepoint.
func tracepointType(spec *btf.Spec, event string) (def *btf.Typedef) {
	if spec.TypeByName(btfTracepoint+event, &def) != nil {
		return nil
	}
	return def
}

// tracefs is where the kernel lists its tracepoints by system; "": it is not
// mounted.
func tracefs() string {
	for _, dir := range []string{"/sys/kernel/tracing", "/sys/kernel/debug/tracing"} {
		if _, err := os.Stat(dir + "/events"); err == nil {
			return dir
		}
	}
	return ""
}

// tracepointSystem is the system of a tracepoint; "": there is none of that
// name, or tracefs is not mounted.
func tracepointSystem(event string) string {
	if event == "" || strings.ContainsAny(event, `/*?[\`) {
		return ""
	}
	found, err := filepath.Glob(path.Join(tracefs(), "events/*", event, "id"))
	if err != nil || len(found) == 0 {
		return ""
	}
	return filepath.Base(path.Dir(path.Dir(found[0])))
}

// nearTracepoints lists tracepoints with a name like event, as they are asked
// for.
func nearTracepoints(event string) []string {
	if system := tracepointSystem(event); system != "" {
		return []string{system + ":" + event}
	}
	near := spelling.Near(event, tracepointNames(), nearNames)
	for i, name := range near {
		if system := tracepointSystem(name); system != "" {
			near[i] = system + ":" + name
		}
	}
	return near
}

func tracepointNames() []string {
	var names []string
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		return nil
	}
	for t, err := range spec.All() {
		if err != nil {
			return names
		}
		if def, ok := t.(*btf.Typedef); ok && strings.HasPrefix(def.Name, btfTracepoint) {
			names = append(names, strings.TrimPrefix(def.Name, btfTracepoint))
		}
	}
	return names
}

// hasFunction says whether the kernel has a function.
func hasFunction(name string) (bool, error) {
	found := false
	err := eachFunction(func(function []byte) bool {
		found = string(function) == name
		return !found
	})
	return found, err
}

// nearFunctions lists functions and system calls with a name like this.
func nearFunctions(name string) []string {
	candidates := CallNames()
	// A part of the list is better than none: this is for a message.
	_ = eachFunction(func(function []byte) bool {
		if d := len(function) - len(name); d < len(name) && -d < len(name) {
			candidates = append(candidates, string(function))
		}
		return true
	})
	return spelling.Near(name, candidates, nearNames)
}

// eachFunction calls do for each function of the kernel and its modules until it
// returns false.
func eachFunction(do func(name []byte) bool) error {
	file, err := os.Open("/proc/kallsyms")
	if err != nil {
		return err
	}
	defer file.Close()
	return scanFunctions(file, do)
}

// scanFunctions reads lines of "address type name [module]".
func scanFunctions(r io.Reader, do func(name []byte) bool) error {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Bytes()
		kind := 0
		for kind < len(line) && line[kind] != ' ' {
			kind++
		}
		if kind+3 > len(line) || line[kind+1]|0x20 != 't' {
			continue
		}
		name := line[kind+3:]
		for end, c := range name {
			if c == '\t' || c == ' ' {
				name = name[:end]
				break
			}
		}
		if !do(name) {
			return nil
		}
	}
	return lines.Err()
}
