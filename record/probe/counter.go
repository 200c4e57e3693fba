package probe

import (
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"

	"kmon/bpf"
	"kmon/format"
)

// Counter is a tracepoint or a kernel function whose hits are counted.
type Counter struct {
	Kind format.CounterKind
	Name string // "tcp:tcp_probe", "tcp_sendmsg"
}

// target is the name by which the kernel attaches to it.
func (c Counter) target() string {
	_, name, found := strings.Cut(c.Name, ":")
	if !found {
		return c.Name
	}
	return name
}

// countTracepoint and countFunction are the programs for --count, in the order
// in which counters get them.
var (
	countTracepoint = []string{
		bpf.KmonProgCountTracepoint0, bpf.KmonProgCountTracepoint1, bpf.KmonProgCountTracepoint2, bpf.KmonProgCountTracepoint3,
		bpf.KmonProgCountTracepoint4, bpf.KmonProgCountTracepoint5, bpf.KmonProgCountTracepoint6, bpf.KmonProgCountTracepoint7,
	}
	countFunction = []string{
		bpf.KmonProgCountFunction0, bpf.KmonProgCountFunction1, bpf.KmonProgCountFunction2, bpf.KmonProgCountFunction3,
		bpf.KmonProgCountFunction4, bpf.KmonProgCountFunction5, bpf.KmonProgCountFunction6, bpf.KmonProgCountFunction7,
	}
)

// MaxCounters bounds Calls.Counters.
const MaxCounters = 8

// hook is the program that counts the i-th counter, and what it hangs on.
func (c Counter) hook(i int) hook {
	if c.Kind == format.CounterTracepoint {
		return hook{program: countTracepoint[i], kind: kindRawTracepoint, target: c.target()}
	}
	return hook{program: countFunction[i], kind: kindKprobe, target: c.target()}
}

// Count adds what is named to c: a system call ("fsync"), a tracepoint
// ("tcp:tcp_probe") or a function of the kernel ("tcp_sendmsg"). It asks the
// running kernel whether that can be counted, by attaching to it for a moment;
// an error says why not, and which names are near.
func (c *Calls) Count(name string) error {
	system, event, isTracepoint := strings.Cut(name, ":")
	if system == "syscalls" { // the kernel's tracepoints around one system call
		event = strings.TrimPrefix(strings.TrimPrefix(event, "sys_enter_"), "sys_exit_")
		name, isTracepoint = event, false
	}
	if number := callNumber(name); number >= 0 && !isTracepoint {
		c.Numbers = append(c.Numbers, number)
		slices.Sort(c.Numbers)
		c.Numbers = slices.Compact(c.Numbers)
		return nil
	}
	counter := Counter{Kind: format.CounterFunction, Name: name}
	check := checkFunction
	if isTracepoint {
		counter.Kind, check = format.CounterTracepoint, checkTracepoint
	}
	if slices.Contains(c.Counters, counter) {
		return nil
	}
	if len(c.Counters) == MaxCounters {
		return fmt.Errorf("%s cannot be counted too: at most %d tracepoints and functions are", name, MaxCounters)
	}
	if err := check(name); err != nil {
		return err
	}
	c.Counters = append(c.Counters, counter)
	return nil
}

// checkTracepoint attaches an empty program to a tracepoint for a moment.
func checkTracepoint(name string) error {
	defer debug.FreeOSMemory() // of the kernel's types
	system, event, _ := strings.Cut(name, ":")
	if system == "" || event == "" {
		return fmt.Errorf("%q is no tracepoint; one is named as tcp:tcp_probe", name)
	}
	if !isIn(system, event) {
		return fmt.Errorf("this kernel has no tracepoint %q%s", name, didYouMean(nearTracepoints(event)))
	}
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.RawTracepoint, License: "GPL", Instructions: returnZero()})
	if err != nil {
		return fmt.Errorf("tracepoint %s cannot be counted here: %s", name, firstLine(err))
	}
	defer prog.Close()
	l, err := link.AttachRawTracepoint(link.RawTracepointOptions{Name: event, Program: prog})
	if err != nil {
		return fmt.Errorf("tracepoint %s cannot be counted here: %s", name, firstLine(err))
	}
	return l.Close()
}

// isIn says whether a tracepoint is in a system. One that tracefs does not show
// is in any.
func isIn(system, event string) bool {
	if where := tracepointSystem(event); where != "" {
		return where == system
	}
	spec, err := btf.LoadKernelSpec()
	return err == nil && tracepointType(spec, event) != nil
}

// checkFunction attaches an empty program to a function for a moment.
func checkFunction(name string) error {
	defer debug.FreeOSMemory() // of the kernel's names
	found, err := hasFunction(name)
	if err != nil {
		return fmt.Errorf("function %s cannot be counted, for the kernel's functions cannot be listed: %w", name, err)
	}
	if !found {
		if system := tracepointSystem(name); system != "" {
			return fmt.Errorf("%q is neither a system call nor a function of this kernel%s", name, didYouMean([]string{"the tracepoint " + system + ":" + name}))
		}
		return fmt.Errorf("%q is neither a system call nor a function of this kernel%s", name, didYouMean(nearFunctions(name)))
	}
	if err := tryKprobe(name); err != nil {
		return fmt.Errorf("function %s cannot be counted, for this kernel lets no program hang on it (%s); count a system call or a tracepoint instead", name, firstLine(err))
	}
	return nil
}
