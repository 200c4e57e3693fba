package record

import "time"

// budget decides what is left out so that recording costs no more than it may.
// It knows neither the kernel nor a clock: each second it is told what that
// second cost, and answers what to do.
//
// It takes one step at a time, in a fixed order, when the mean cost of a window
// is above the limit. It takes steps back in the reverse order, one at a time
// too, when the mean of as long as the step must wait is below calmShare of the
// limit. A step that had to be taken again soon waits twice as long the next
// time. No window and no wait reaches back over a change.
type budget struct {
	limit float64 // share of the time of all CPUs; 0: there is none
	pace  pace
	steps int // how many there are
	taken int // the first so many are in force

	window mean // of the last looks
	wait   mean // since the last change, or the last wait that was not calm
	waits  []time.Duration
	backAt []time.Time // when the step was taken back; zero: never
	began  bool        // a look has been before
	over   bool        // all steps are taken, and that is not enough
}

// mean is that of some costs.
type mean struct {
	sum   float64
	count int
	since time.Time // of the look before the first
}

func (m *mean) add(cost float64) { m.sum, m.count = m.sum+cost, m.count+1 }

func (m mean) value() float64 { return m.sum / float64(max(m.count, 1)) }

// pace is how fast steps follow each other.
type pace struct {
	window  int           // looks over which the mean is taken, at least; half of them when it is over twice the limit
	wait    time.Duration // of calm before a step is first taken back
	maxWait time.Duration
	relapse time.Duration // a step taken again so soon had better waited
	every   time.Duration // between looks; 0: tickEvery. For tests
}

var defaultPace = pace{window: 4, wait: 10 * time.Second, maxWait: 10 * time.Minute, relapse: 30 * time.Second}

// calmShare of the limit is what leaves room to record more.
const calmShare = 0.7

// verdict is what the budget has decided.
type verdict int

const (
	carryOn     verdict = iota
	shedStep            // the step before taken has just been taken
	recoverStep         // step taken has just been taken back
	overAnyway          // nothing is left to leave out
	withinAgain         // it is within the limit after overAnyway
)

func newBudget(limit float64, steps int, p pace) *budget {
	b := &budget{limit: limit, pace: p, steps: steps, waits: make([]time.Duration, steps), backAt: make([]time.Time, steps)}
	for i := range b.waits {
		b.waits[i] = p.wait
	}
	return b
}

// look takes the cost of the time since the last look, as a share of all CPUs,
// and returns the verdict with the mean cost that it rests on.
func (b *budget) look(now time.Time, cost float64) (verdict, float64) {
	if !b.began { // what came before is the start of the recording
		b.began = true
		b.restart(now)
		return carryOn, cost
	}
	b.window.add(cost)
	b.wait.add(cost)
	mean, looks := b.window.value(), b.window.count
	switch {
	case mean > b.limit && looks >= b.pace.window, mean > 2*b.limit && 2*looks >= b.pace.window:
		return b.tooMuch(now), mean
	case looks < b.pace.window:
		return carryOn, mean
	}
	b.window = newMean(now)
	if b.over {
		b.over = false
		return withinAgain, mean
	}
	if b.taken == 0 || now.Sub(b.wait.since) < b.waits[b.taken-1] {
		return carryOn, mean
	}
	return b.waited(now)
}

// tooMuch takes the next step, if there is one.
func (b *budget) tooMuch(now time.Time) verdict {
	b.restart(now)
	if b.taken == b.steps {
		if b.over {
			return carryOn
		}
		b.over = true
		return overAnyway
	}
	step := b.taken
	if back := b.backAt[step]; !back.IsZero() && now.Sub(back) < b.pace.relapse {
		b.waits[step] = min(2*b.waits[step], b.pace.maxWait)
	} else {
		b.waits[step] = b.pace.wait
	}
	b.taken++
	return shedStep
}

// waited takes a step back if the cost was low meanwhile.
func (b *budget) waited(now time.Time) (verdict, float64) {
	mean := b.wait.value()
	b.restart(now)
	if mean > calmShare*b.limit {
		return carryOn, mean
	}
	b.taken--
	b.backAt[b.taken] = now
	return recoverStep, mean
}

// restart lets no cost of before count any more.
func (b *budget) restart(now time.Time) { b.window, b.wait = newMean(now), newMean(now) }

func newMean(now time.Time) mean { return mean{since: now} }
