package main

import (
	"fmt"

	"kmon/format"
)

// checkThreads holds the rows of threads against what the threads of a load
// counted. Go yields for itself, and interrupts of the waker wake, so that
// there may be a little more than that, never less.
func checkThreads(r *result, capture *format.Capture, truths []truth) error {
	wakes, err := format.All[format.Wake](capture)
	if err != nil {
		return err
	}
	intervals, err := format.All[format.Interval](capture)
	if err != nil {
		return err
	}
	calls, err := format.All[format.Syscall](capture)
	if err != nil {
		return err
	}
	woke, onCPU, yielded := map[[2]int32]int64{}, map[int32]int64{}, map[int32]int64{}
	for _, row := range wakes {
		woke[[2]int32{row.WakerTID, row.TID}] += row.Count
	}
	for _, row := range intervals {
		onCPU[row.TID] += row.OnCPUNs
	}
	for _, row := range calls {
		if row.Name == "sched_yield" {
			yielded[row.PID] += row.Count
		}
	}
	for _, truth := range truths {
		tid := map[string]int32{}
		for _, thread := range truth.Threads {
			tid[thread.Name] = thread.TID
		}
		for _, thread := range truth.Threads {
			switch thread.Name {
			case "waker":
				got := woke[[2]int32{thread.TID, tid["waiter"]}]
				if got < thread.Times || got > thread.Times+thread.Times/5 {
					r.fail(fmt.Errorf("the waiter was woken %d times, and the waker woke it %d times", got, thread.Times))
				}
			case "yielder":
				if got := yielded[truth.Processes[0].PID]; got < thread.Times || got > thread.Times+thread.Times/20 {
					r.fail(fmt.Errorf("%d calls of sched_yield, of which the load made %d", got, thread.Times))
				}
			case "spinner":
				if got := onCPU[thread.TID]; got < thread.TookNs || got > thread.LifeCPUNs*21/20 {
					r.fail(fmt.Errorf("the spinner was on a CPU for %d ns, and spun for %d of the %d in its life", got, thread.TookNs, thread.LifeCPUNs))
				}
			}
		}
	}
	return nil
}
