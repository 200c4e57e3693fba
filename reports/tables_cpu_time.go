package reports

import (
	"slices"

	"kmon/analyze"
)

// timeServices is how many services a table of CPU over time lists.
const timeServices = 12

const hintQueueing = "threads that could have run but waited for a CPU, on average"

// cpuPoint is a point of a service's use of the CPUs.
type cpuPoint struct {
	analyze.CPUPoint
	service string
}

// cpuTimeTable lists what the services that used most of the CPUs used over
// time.
func cpuTimeTable(a *analyze.Analysis) table {
	p := cpuPeriod(a).within(timePoints)
	timed := slices.DeleteFunc(workers(a), func(s service) bool { return len(s.CPUSeries) == 0 || s.CPU.OnCPUNs+s.CPU.RunQueueNs == 0 })
	all := []cpuPoint{}
	for _, s := range timed[:min(len(timed), timeServices)] {
		for _, w := range cpuPoints.thin(p, s.CPUSeries) {
			all = append(all, cpuPoint{w, s.Name})
		}
	}
	t := build("cpu-time", "CPUs over time", all, []spec[cpuPoint]{
		{column{Head: "Service", Kind: kindName}, func(w *cpuPoint) cell { return named(w.service) }},
		{column{Head: "UTC"}, func(w *cpuPoint) cell { return word(pointTime(w.StartNs, w.Partial)) }},
		number("CPUs", "CPUs used, on average over the row's time", 0, func(w *cpuPoint) cell { return coresCell(w.OnCPUNs, p.window) }),
		number("Waiting", hintQueueing, 0, func(w *cpuPoint) cell { return coresCell(w.RunQueueNs, p.window) }),
		number("Run queue", hintQueue, 0, func(w *cpuPoint) cell { return lasting(w.RunQueueNs) }),
		odd("Lost", "rows lost in this time, all services", 0, func(w *cpuPoint) cell { return alarmed(w.Lost, toneBad) }),
	})
	note := "Each row is " + roundText(p.window) + "; what was recorded as a sum over longer is spread over it evenly."
	if left := len(timed) - timeServices; left > 0 {
		note += " " + CountText(int64(left)) + " more" + plural(left, " service") + " with less CPU time: their series are in the json report."
	}
	t.Note = joinNotes(note, lossNote(a, "intervals"))
	return t
}

// coresCell is a sum of time as the mean number of CPUs or threads.
func coresCell(ns, window int64) cell {
	if ns == 0 {
		return cell{Text: "0", Tone: toneZero}
	}
	return cell{Text: coresText(float64(ns) / float64(window))}
}
