package probe

import (
	"errors"
	"slices"

	"github.com/cilium/ebpf"

	"kmon/bpf"
)

// Rung is one variant of a ladder, and whether the kernel supports it.
type Rung struct {
	Variant string
	Answer  Answer
	Why     string // not Available
	Mend    string // what would make it available; "": nothing is known to
}

// Ladder is an indicator with all its variants, the best first.
type Ladder struct {
	Collector, Indicator string
	Rungs                []Rung
}

// Survey asks facts about every variant of every ladder, not only until one is
// found, as NewPlan does. It is a pure function. Ladders are sorted by
// collector.
func Survey(facts Facts) []Ladder {
	var ladders []Ladder
	for _, ind := range indicators {
		ladder := Ladder{Collector: ind.collector, Indicator: ind.name}
		for _, v := range ind.ladder {
			if slices.ContainsFunc(ladder.Rungs, func(r Rung) bool { return r.Variant == v.name }) {
				continue // the same hook for another place of the state
			}
			ladder.Rungs = append(ladder.Rungs, facts.rung(v))
		}
		ladders = append(ladders, ladder)
	}
	order := Collectors()
	slices.SortStableFunc(ladders, func(a, b Ladder) int {
		return slices.Index(order, a.Collector) - slices.Index(order, b.Collector)
	})
	return ladders
}

func (f Facts) rung(v variant) Rung {
	answer, why := f.supportsVariant(v)
	if answer == Available {
		return Rung{Variant: v.name, Answer: answer}
	}
	r := Rung{Variant: v.name, Answer: answer, Why: why}
	for _, h := range v.hooks {
		if answer, _ := f.supports(h); answer == NotSupported && !h.optional {
			r.Mend = f.mend(h)
			break
		}
	}
	return r
}

// since is the first kernel that has what a program needs and that kernels on
// which kmon otherwise works may lack (bpf/README.md).
var since = map[string]string{
	bpf.KmonProgTcpSend:             "6.3",
	bpf.KmonProgBlockStart:          "6.3",
	bpf.KmonProgBlockIssue:          "6.0",
	bpf.KmonProgBlockGetrq:          "6.0",
	bpf.KmonProgNetDropReceiver:     "6.11",
	bpf.KmonProgNetDrop:             "5.17",
	bpf.KmonProgNetResetSentReason:  "6.10",
	bpf.KmonProgNetRetransmitResult: "6.16",
	bpf.KmonProgFindCpuMemory:       "5.19",
}

// mend says what gives a kernel the hook that it lacks.
func (f Facts) mend(h hook) string {
	for _, field := range fieldsOf[h.program] {
		switch {
		case f.Fields[field]:
		case field == accountDelay, field == accountSlices, field == queueArrival, field == queueQueued:
			return "a kernel with CONFIG_SCHED_INFO"
		case field == queueClock:
			return "a kernel with CONFIG_FAIR_GROUP_SCHED"
		}
	}
	allowed := f
	allowed.Tracing, allowed.Fentry, allowed.Kprobe, allowed.Sampling = Available, Available, Available, Available
	if answer, _ := allowed.supports(h); answer != Available && since[h.program] != "" {
		return "Linux " + since[h.program] + " or later"
	}
	switch h.kind {
	case kindIterator:
		if h.lists() && f.Listing == NotSupported {
			return "run in the host's pid namespace (docker --pid=host, Kubernetes hostPID: true)"
		}
	case kindFexit:
		return "a kernel with CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS that lets programs hang on its functions"
	case kindKprobe:
		return "a kernel with CONFIG_KPROBE_EVENTS"
	case kindSample:
		return "a kernel with CONFIG_PERF_EVENTS that lets CPUs be sampled"
	}
	return ""
}

// Permitted gives the facts as they would be with the privileges that this
// process lacks, at best: what it was not allowed to try is taken to work.
func (f Facts) Permitted() Facts {
	for _, name := range f.Denied {
		switch name {
		case "tracing":
			f.Tracing = Available
		case "sampling":
			f.Sampling = Available
		case "fentry":
			f.Fentry = Available
		case "kprobe":
			f.Kprobe = Available
		}
	}
	return f
}

// TooOld returns ErrTooOld if the kernel's types show that it is; it needs no
// privileges.
func (f Facts) TooOld() error {
	if f.Fields[taskStorage] {
		return nil
	}
	return ErrTooOld
}

// Everything is what is known of a kernel that has all that any ladder names:
// facts of a kernel that is not at hand are made by taking away from them.
func Everything() Facts {
	f := Facts{
		Tracepoints: map[string]bool{}, Arguments: map[string]int{}, Functions: map[string]int{},
		Fields: map[string]bool{}, Reasons: map[string]string{},
		Tracing: Available, Sampling: Available, Listing: Available, Fentry: Available, Kprobe: Available,
	}
	for _, field := range allFields() {
		f.Fields[field] = true
	}
	for _, h := range allHooks() {
		switch h.kind {
		case kindTracepoint:
			f.Tracepoints[h.target] = true
			f.Arguments[h.target] = max(f.Arguments[h.target], h.arguments)
		case kindFexit, kindKprobe:
			f.Functions[h.target] = 1
		}
	}
	return f
}

// TryLoad loads the programs of a plan as Start does, attaches none of them,
// and unloads them. That it returns nil is the only proof that this kernel's
// verifier takes them.
func TryLoad(plan Plan, o Options) error {
	spec, err := planned(plan, o)
	if err != nil {
		return err
	}
	collection, err := ebpf.NewCollection(spec)
	if err != nil {
		return errors.New(firstLine(err))
	}
	collection.Close()
	return nil
}
