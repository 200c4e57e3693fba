package cpu

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// The windows of a call add up to all of it; of one that was forgotten for want of
// room they don't, or there are none.
func TestCallsByWindow(t *testing.T) {
	data := randomRows(rand.New(rand.NewPCG(7, 8)), 500)
	for _, limit := range []int{maxCountSteps, 100} {
		whole, steps := New(minute()), NewCallSteps(minute())
		steps.limit = limit
		for i := range data.syscalls {
			row := &data.syscalls[i]
			whole.AddSyscall(Source{}, who(row.PID), row)
			steps.Add(Source{}, who(row.PID).Service, row)
		}
		exact := 0
		whole.Calls(func(k CallKey, c *Calls) {
			sum := CountStep{}
			for _, s := range steps.Of(k) {
				sum.Count += s.Count
				sum.Errors += s.Errors
			}
			if sum.Count == c.Count && sum.Errors == c.Errors {
				exact++
			} else if limit == maxCountSteps || sum.Count >= c.Count {
				t.Errorf("limit %d: %v add up to %+v, want %+v", limit, k, sum, *c)
			}
		})
		if all := len(whole.calls.sums); (exact == all) != (limit == maxCountSteps) || exact == 0 && limit == maxCountSteps {
			t.Errorf("limit %d: %d of %d add up", limit, exact, all)
		}
		if steps.used > limit+11*5 {
			t.Errorf("limit %d: %d steps are kept", limit, steps.used)
		}
	}
}

// The windows of two threads add up to all their wake-ups.
func TestWakesByWindow(t *testing.T) {
	data := randomRows(rand.New(rand.NewPCG(7, 9)), 500)
	whole, steps := New(minute()), NewWakeSteps(minute())
	for i := range data.wakes {
		row := &data.wakes[i]
		whole.AddWake(Source{}, who(row.WakerPID), who(row.PID), row)
		steps.Add(Source{}, row)
	}
	for k, pair := range whole.pairs.sums {
		sum := int64(0)
		for _, s := range steps.Of(k) {
			sum += s.Count
		}
		if sum != pair.Count {
			t.Errorf("%v add up to %d, want %d", k, sum, pair.Count)
		}
	}
	if len(whole.pairs.sums) < 10 {
		t.Errorf("%d pairs", len(whole.pairs.sums))
	}
}

// What windows waited for adds up to the waits of the service, also when those of event
// loops were divided.
func TestWaitsByWindow(t *testing.T) {
	for _, open := range []int64{0, 3 * second, 1 << 60} {
		data, p := randomRows(rand.New(rand.NewPCG(9, 10)), 300), New(minute())
		data.addTo(p, 0, 1)
		asked := make([]int64, 60)
		for i := range asked {
			asked[i] = int64(i%3) * second
		}
		p.SplitPolls(0, []int32{1, 2, 3, 4}, asked, open)
		var whole Waits
		for party := range int32(5) {
			if w := p.Waits[party]; w != nil {
				whole.Add(w)
			}
		}
		var sums [Classes]int64
		for _, w := range p.Windows[0] {
			for class, ns := range w.WaitNs {
				sums[class] += ns
			}
		}
		for class, ns := range sums {
			if ns != whole[class].TotalNs {
				t.Errorf("open %d: windows waited %s for %s, the service %s", open, fmt.Sprint(ns), Class(class), fmt.Sprint(whole[class].TotalNs))
			}
		}
		if sums[Callee] == 0 || sums[Poll] != 0 {
			t.Errorf("open %d: not divided: %v", open, sums)
		}
	}
}
