package probe

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"

	"kmon/record/hostfs"
)

// Answer is what is known of one kernel feature. Only NotSupported steps down
// a ladder of variants: a feature that could not be asked about is an error,
// not an absence.
type Answer int

// The three answers.
const (
	CouldNotTell Answer = iota
	Available
	NotSupported
)

func (a Answer) String() string {
	return [...]string{"could not tell", "available", "not supported"}[a]
}

// Facts is what planning needs to know of a kernel. It is a plain value, so
// that plans for kernels that are not at hand can be tested.
type Facts struct {
	// Tracepoints holds the names among those asked for that the kernel has
	// (typedef btf_trace_NAME in its BTF).
	Tracepoints map[string]bool
	// Arguments holds how many arguments those tracepoints have.
	Arguments map[string]int
	// Words are the kernel's reasons for drops and resets.
	Words Reasons
	// Functions holds the number of parameters of those functions among the
	// ones asked for that the kernel's BTF describes.
	Functions map[string]int
	// Fields holds the fields of kernel types, among those asked for, that the
	// kernel has, as "task_struct.se.sum_exec_runtime".
	Fields map[string]bool
	// ListenDrops is the number of that counter in the kernel's struct
	// linux_mib; 0: not known.
	ListenDrops uint32
	// Sampling says whether CPUs may be sampled by a software clock.
	Sampling Answer
	// Tracing, Fentry and Kprobe say whether programs of these types may be
	// loaded and attached here.
	Tracing, Fentry, Kprobe Answer
	// Listing says whether the kernel lists the threads of the whole machine, and
	// their files, to this process: it lists those of its pid namespace.
	Listing Answer
	// Reasons explains the answers that are not Available, by field name.
	Reasons map[string]string
	// Denied are those names whose answer could not be told for want of
	// privileges.
	Denied []string
}

// ownPIDs is why nothing is listed of what is older than the recording.
const ownPIDs = "kmon runs in a pid namespace of its own, and the kernel lists only the threads of that"

// ReadFacts asks the running kernel about the hooks that any ladder names.
// Whether fexit and kprobe work is tried out, by attaching an empty program
// for a moment, only when trials is true or a preferred tracepoint is missing.
// It needs the privileges that recording needs.
func ReadFacts(trials bool) (Facts, error) {
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		return Facts{}, fmt.Errorf("kernel type information (BTF, CONFIG_DEBUG_INFO_BTF, usually /sys/kernel/btf/vmlinux): %w", err)
	}
	defer debug.FreeOSMemory() // the types are several MB, mapped until collected
	facts := Facts{Tracepoints: map[string]bool{}, Arguments: map[string]int{}, Functions: map[string]int{}, Reasons: map[string]string{}}
	for _, hook := range allHooks() {
		switch hook.kind {
		case kindTracepoint:
			if def := tracepointType(spec, hook.target); def != nil {
				facts.Tracepoints[hook.target] = true
				facts.Arguments[hook.target] = arguments(def)
			}
		case kindFexit, kindKprobe:
			var fn *btf.Func
			if spec.TypeByName(hook.target, &fn) == nil {
				if proto, ok := fn.Type.(*btf.FuncProto); ok {
					facts.Functions[hook.target] = len(proto.Params)
				}
			}
		}
	}
	facts.Fields = fieldsIn(spec)
	facts.readListenDrops()
	facts.Words = readReasons(spec)
	facts.Listing = Available
	if hostfs.OwnPIDs() {
		facts.Listing, facts.Reasons["listing"] = NotSupported, ownPIDs
	}
	facts.answer("tracing", &facts.Tracing, tryTracing("inet_sock_set_state", ebpf.AttachTraceRawTp))
	if facts.Tracing == Available {
		if err := checkKernel(); err != nil {
			return Facts{}, err
		}
	}
	facts.answer("sampling", &facts.Sampling, trySampling())
	if !trials && facts.hasAllTracepoints() {
		facts.Reasons["fentry"], facts.Reasons["kprobe"] = "not asked", "not asked"
		return facts, nil
	}
	facts.answer("fentry", &facts.Fentry, tryTracing("tcp_sendmsg", ebpf.AttachTraceFExit))
	facts.answer("kprobe", &facts.Kprobe, tryKprobe("release_sock"))
	return facts, nil
}

// arguments counts what a tracepoint gives its programs. Its type is that of the
// function which is called, with the callback's data first.
func arguments(tracepoint *btf.Typedef) int {
	if pointer, ok := tracepoint.Type.(*btf.Pointer); ok {
		if proto, ok := pointer.Target.(*btf.FuncProto); ok {
			return len(proto.Params) - 1
		}
	}
	return 0
}

func (f Facts) hasAllTracepoints() bool {
	for _, h := range allHooks() {
		if h.kind == kindTracepoint && !f.Tracepoints[h.target] {
			return false
		}
	}
	return true
}

// answer turns the error of a trial into an Answer. A kernel that refuses by
// policy what its BTF describes (EPERM with every capability) does not support
// it as far as a ladder is concerned, but only once a plain tracing program
// was allowed: else the recorder simply lacks privileges.
func (f *Facts) answer(name string, answer *Answer, err error) {
	switch {
	case err == nil:
		*answer = Available
		return
	case errors.Is(err, ebpf.ErrNotSupported), errors.Is(err, os.ErrNotExist):
		*answer = NotSupported
	case errors.Is(err, os.ErrPermission) && f.Tracing == Available:
		*answer = NotSupported
	default:
		*answer = CouldNotTell
		if errors.Is(err, os.ErrPermission) {
			f.Denied = append(f.Denied, name)
		}
	}
	f.Reasons[name] = firstLine(err)
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

func returnZero() asm.Instructions {
	return asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}
}

// tryTracing loads and attaches an empty program for one moment.
func tryTracing(target string, attach ebpf.AttachType) error {
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.Tracing, AttachType: attach, AttachTo: target,
		License: "GPL", Instructions: returnZero(),
	})
	if err != nil {
		return err
	}
	defer prog.Close()
	l, err := link.AttachTracing(link.TracingOptions{Program: prog})
	if err != nil {
		return err
	}
	return l.Close()
}

func tryKprobe(target string) error {
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.Kprobe, License: "GPL", Instructions: returnZero()})
	if err != nil {
		return err
	}
	defer prog.Close()
	l, err := link.Kprobe(target, prog, nil)
	if err != nil {
		return err
	}
	return l.Close()
}
