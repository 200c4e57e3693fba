package record

import (
	"slices"
	"strings"
	"testing"
	"time"

	"kmon/record/probe"
)

// ledger drives a budget by a made-up clock and notes what it decides.
type ledger struct {
	*budget
	now   time.Time
	taken []int // how many steps were in force, at each change
	said  []verdict
}

var quick = pace{window: 2, wait: 10 * time.Second, maxWait: 45 * time.Second, relapse: 5 * time.Second}

func newLedger(limit float64, steps int, p pace) *ledger {
	l := &ledger{budget: newBudget(limit, steps, p), now: time.Unix(1000, 0)}
	l.seconds(1, 1) // the start, which does not count
	return l
}

// seconds lets time pass at a cost.
func (l *ledger) seconds(n int, cost float64) {
	for range n {
		l.now = l.now.Add(time.Second)
		if v, _ := l.look(l.now, cost); v != carryOn {
			l.said = append(l.said, v)
			l.taken = append(l.taken, l.budget.taken)
		}
	}
}

func (l *ledger) expect(t *testing.T, what string, taken ...int) {
	t.Helper()
	if !slices.Equal(l.taken, taken) {
		t.Errorf("%s: steps in force %v, want %v", what, l.taken, taken)
	}
	l.taken = nil
}

func TestBudgetTakesAStepAWindowWhileItIsExceeded(t *testing.T) {
	l := newLedger(0.02, 3, pace{window: 4, wait: 10 * time.Second, maxWait: time.Minute, relapse: time.Minute})
	l.seconds(3, 0.03)
	l.expect(t, "before the window is full")
	l.seconds(1, 0.03)
	l.expect(t, "a full window", 1)
	l.seconds(3, 0.03)
	l.expect(t, "what was before the step does not count after it")
	l.seconds(1, 0.03)
	l.expect(t, "a second window", 2)
	l.seconds(2, 0.05)
	l.expect(t, "half a window at more than twice the limit", 3)
}

func TestBudgetLooksAtTheMean(t *testing.T) {
	l := newLedger(0.02, 3, pace{window: 4, wait: 10 * time.Second, maxWait: time.Minute, relapse: time.Minute})
	for range 20 {
		l.seconds(1, 0.06) // names of stacks, say
		l.seconds(3, 0.005)
	}
	l.expect(t, "spikes with a mean under the limit")
	l.seconds(400, 0.0199)
	l.expect(t, "just under the limit")
}

func TestBudgetSaysOnceThatNothingIsLeft(t *testing.T) {
	l := newLedger(0.02, 1, quick)
	l.seconds(100, 0.5)
	if want := []verdict{shedStep, overAnyway}; !slices.Equal(l.said, want) {
		t.Errorf("verdicts %v, want %v", l.said, want)
	}
	l.said = nil
	l.seconds(2, 0.019)
	l.seconds(100, 0.5)
	if want := []verdict{withinAgain, overAnyway}; !slices.Equal(l.said, want) {
		t.Errorf("within for a moment: verdicts %v, want %v", l.said, want)
	}
	none := newLedger(0.02, 0, quick)
	none.seconds(100, 0.5)
	if want := []verdict{overAnyway}; !slices.Equal(none.said, want) {
		t.Errorf("no steps: verdicts %v, want %v", none.said, want)
	}
}

func TestBudgetTakesStepsBackSlowly(t *testing.T) {
	l := newLedger(0.02, 3, quick)
	l.seconds(4, 0.03)
	l.expect(t, "two steps", 1, 2)
	l.seconds(9, 0.001)
	l.expect(t, "not calm for long enough")
	l.seconds(1, 0.001)
	l.expect(t, "calm", 1)
	l.seconds(9, 0.001)
	l.expect(t, "the wait begins anew with each step")
	l.seconds(1, 0.001)
	l.expect(t, "calm again", 0)
	l.seconds(1000, 0.001)
	l.expect(t, "nothing is left to take back")
}

func TestBudgetKeepsAStepWhileThereIsNoRoom(t *testing.T) {
	l := newLedger(0.02, 3, quick)
	l.seconds(2, 0.03)
	l.expect(t, "a step", 1)
	l.seconds(1000, 0.018)
	l.expect(t, "under the limit, without room for more")
	l.seconds(20, 0.01)
	l.expect(t, "with room", 0)
}

// A step that brings the cost over the limit each time it is taken back: tried
// less and less often, so that recording does not flap.
func TestBudgetBacksOff(t *testing.T) {
	l := newLedger(0.02, 1, quick)
	changes := 0
	var tried []int
	for second := range 600 {
		cost := 0.03
		if l.budget.taken == 1 {
			cost = 0.01
		}
		l.seconds(1, cost)
		if len(l.taken) > changes {
			changes = len(l.taken)
			if l.budget.taken == 0 {
				tried = append(tried, second)
			}
		}
	}
	var waits []int
	for i := 1; i < len(tried); i++ {
		waits = append(waits, tried[i]-tried[i-1])
	}
	// Two seconds at too high a cost, then the wait: 20, 40, at most 45 s, which
	// with a window of 2 s are 46.
	if len(waits) < 5 || waits[0] != 22 || waits[1] != 42 || waits[2] != 48 || waits[len(waits)-1] != 48 {
		t.Errorf("seconds from one attempt to the next: %v", waits)
	}
	// After a long time without need the step is as good as new.
	l.seconds(200, 0.001)
	l.taken = nil
	l.seconds(2, 0.03)
	l.expect(t, "needed again", 1)
	l.seconds(10, 0.001)
	l.expect(t, "taken back after the first wait", 0)
}

// What the recorder says at its end of what it left out.
func TestBudgetIsToldAtTheEnd(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(1000+int64(s), 0) }
	steps := []step{{part: probe.PartUserStacks}, {part: probe.PartBlock}, {probe.PartTCP, 3}}
	told := func(taken int, was []bool, over bool) string {
		o := overhead{
			budget: &budget{limit: 0.02, taken: taken}, steps: steps, at: at(90), over: over, was: was,
			since: []time.Time{at(10), at(40), at(50)}, lasted: []time.Duration{time.Second, 0, 2 * time.Second},
		}
		return strings.Join(o.sentences(), "\n")
	}
	const left = "not recorded, to cost at most 2% of all CPUs (--max-overhead): "
	for _, c := range []struct{ got, want string }{
		{strings.Join((&overhead{}).sentences(), "\n"), ""}, // no limit
		{told(0, []bool{false, false, false}, false), ""},
		{told(0, []bool{true, false, true}, false), left + "user stacks for 1s; exchanges of all but one in 8 connections for 2s"},
		{told(2, []bool{true, true, false}, false), left + "user stacks for 1m21s; disk IO for 50s"},
		{told(3, []bool{true, true, true}, true), left + "user stacks for 1m21s; disk IO for 50s; exchanges of all but one in 8 connections for 42s\n" +
			"recording cost more than 2% of all CPUs for a time, with all left out that can be (--max-overhead)"},
	} {
		if c.got != c.want {
			t.Errorf("got  %q\nwant %q", c.got, c.want)
		}
	}
}
