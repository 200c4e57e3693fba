package record

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"kmon/format"
	"kmon/record/probe"
	"kmon/record/provider"
)

// measureEvery is how often the run time of the programs is measured while it
// counts against a budget: for a tenth of the time. That makes their runs some
// 3 ns longer in the mean.
const measureEvery = time.Second

// overhead holds what recording costs below Options.MaxOverhead. The zero value
// lets it cost what it does.
type overhead struct {
	budget *budget // nil: there is no limit
	steps  []step
	cpus   int
	cpuNs  int64 // of the recorder at the last look
	at     time.Time
	since  []time.Time     // when a step was taken, for those that are
	lasted []time.Duration // how long each step was in force
	was    []bool          // taken at all
	over   bool            // it was not enough at some time
}

// step is one more thing left out.
type step struct {
	part     probe.Part
	sampling int // of PartTCP
}

// partWords are what marks and reports call the parts.
var partWords = map[probe.Part]string{
	probe.PartUserStacks: "user stacks",
	probe.PartOffCPU:     "off-CPU waits and wake-ups",
	probe.PartOnCPU:      "on-CPU samples",
	probe.PartSyscalls:   "system calls",
	probe.PartBlock:      "disk IO",
}

func (s step) String() string {
	if s.part == probe.PartTCP {
		return fmt.Sprintf("exchanges of all but one in %d connections", 1<<s.sampling)
	}
	return partWords[s.part]
}

// stepsOf lists the steps that a session can take, in their order.
func stepsOf(session *probe.Session) []step {
	var steps []step
	for part := range probe.PartTCP {
		if session.Has(part) {
			steps = append(steps, step{part: part})
		}
	}
	if session.Has(probe.PartTCP) {
		for n := 1; n <= probe.MaxTCPSampling; n++ {
			steps = append(steps, step{probe.PartTCP, n})
		}
	}
	return steps
}

// shed is what the first so many steps leave out together.
func shed(steps []step) probe.Shed {
	var all probe.Shed
	for _, s := range steps {
		if s.part == probe.PartTCP {
			all.TCPSampling = s.sampling
		} else {
			all.Parts[s.part] = true
		}
	}
	return all
}

// checkOverhead refuses what is no share.
func (o Options) checkOverhead() error {
	if o.MaxOverhead < 0 || o.MaxOverhead > 1 {
		return fmt.Errorf("a limit of %s of all CPUs makes no sense, it is more than 0%% and at most 100%%", share(o.MaxOverhead))
	}
	return nil
}

// measureEvery is how often the session has its programs measured; 0: as ever.
func (o Options) measureEvery() time.Duration {
	if o.MaxOverhead == 0 {
		return 0
	}
	return measureEvery
}

// beginOverhead begins to watch what recording costs.
func (r *recorder) beginOverhead(cpus int) {
	if r.options.MaxOverhead == 0 {
		return
	}
	steps, p := stepsOf(r.session), defaultPace
	if r.options.pace != nil {
		p = *r.options.pace
	}
	r.overhead = overhead{
		budget: newBudget(r.options.MaxOverhead, len(steps), p), steps: steps, cpus: max(cpus, 1),
		since: make([]time.Time, len(steps)), lasted: make([]time.Duration, len(steps)), was: make([]bool, len(steps)),
	}
}

// cost is what the time since the last look has cost, as a share of all CPUs.
func (r *recorder) cost(now time.Time) float64 {
	o := &r.overhead
	cpuNs, _ := usage()
	own := float64(cpuNs-o.cpuNs) / float64(max(now.Sub(o.at), 1))
	o.cpuNs, o.at = cpuNs, now
	programs, _ := r.session.RunShare()
	cost := (own + programs) / float64(o.cpus)
	if r.options.costs != nil {
		cost = r.options.costs(cost)
	}
	return cost
}

// watchOverhead takes the next step, or takes one back, when it is time.
func (r *recorder) watchOverhead() error {
	o := &r.overhead
	if o.budget == nil {
		return nil
	}
	now := time.Now()
	verdict, cost := o.budget.look(now, r.cost(now))
	limit := share(o.budget.limit)
	switch taken := o.budget.taken; verdict {
	case shedStep:
		o.since[taken-1], o.was[taken-1] = now, true
		return r.changeShed("shed", fmt.Sprintf("%v not recorded from here: recording cost %s of all CPUs, and at most %s are allowed (--max-overhead)",
			o.steps[taken-1], share(cost), limit))
	case recoverStep:
		o.lasted[taken] += now.Sub(o.since[taken])
		return r.changeShed("recover", fmt.Sprintf("%v recorded again from here: recording cost %s of all CPUs, and %s are allowed (--max-overhead)",
			o.steps[taken], share(cost), limit))
	case overAnyway:
		o.over = true
		return r.overheadMark("warning", fmt.Sprintf("recording costs %s of all CPUs, more than the %s allowed (--max-overhead), and nothing is left to leave out; it goes on",
			share(cost), limit))
	case withinAgain:
		return r.overheadMark("recover", fmt.Sprintf("recording costs %s of all CPUs, at most %s are allowed (--max-overhead)", share(cost), limit))
	}
	return nil
}

// changeShed puts the steps that are taken in force, and says so. A part that
// the kernel does not attach again stays left out, which the losses tell.
func (r *recorder) changeShed(kind, text string) error {
	o := &r.overhead
	if err := r.session.SetShed(shed(o.steps[:o.budget.taken])); err != nil {
		return fmt.Errorf("stay within --max-overhead: %w", err)
	}
	return r.overheadMark(kind, text)
}

func (r *recorder) overheadMark(kind, text string) error {
	return r.mark(provider.Clock().MonotonicNs, kind, text)
}

// sentences say which steps were taken, for Result.Warnings.
func (o *overhead) sentences() []string {
	if o.budget == nil {
		return nil
	}
	var parts []string
	for i, s := range o.steps {
		if !o.was[i] {
			continue
		}
		lasted := o.lasted[i]
		if i < o.budget.taken {
			lasted += o.at.Sub(o.since[i])
		}
		parts = append(parts, fmt.Sprintf("%v for %v", s, lasted.Round(time.Second)))
	}
	var all []string
	if len(parts) > 0 {
		all = append(all, fmt.Sprintf("not recorded, to cost at most %s of all CPUs (--max-overhead): %s", share(o.budget.limit), strings.Join(parts, "; ")))
	}
	if o.over {
		all = append(all, fmt.Sprintf("recording cost more than %s of all CPUs for a time, with all left out that can be (--max-overhead)", share(o.budget.limit)))
	}
	return all
}

// taken names the steps that were taken, in their order.
func (o *overhead) taken() []string {
	var names []string
	for i, s := range o.steps {
		if o.was[i] {
			names = append(names, s.String())
		}
	}
	return names
}

// isShed says whether a loss was meant to be.
func isShed(l probe.Lost) bool { return l.Cause == format.LossShed }

// share writes a share of all CPUs.
func share(s float64) string { return strconv.FormatFloat(100*s, 'g', 2, 64) + "%" }
