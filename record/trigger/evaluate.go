package trigger

import (
	"maps"
	"slices"
)

// Evaluate gives the conditions that hold at nowNs, CLOCK_MONOTONIC, and do not
// rest, in the order in which they were given; of several services the one that
// is furthest over. Call it about once a second.
func (w *Watch) Evaluate(nowNs int64) []Fired {
	if w == nil {
		return nil
	}
	for _, in := range w.windows {
		in.begin(nowNs)
	}
	var fired []Fired
	for _, c := range w.conditions {
		f, holds := w.holds(c, nowNs)
		if !holds || nowNs < c.restsNs {
			continue
		}
		c.restsNs = nowNs + w.rest.Nanoseconds()
		fired = append(fired, f)
	}
	for _, in := range w.windows {
		in.slide(nowNs)
	}
	w.faults.slide()
	w.bury()
	return fired
}

// bury drops the processes that ended before the last Evaluate.
func (w *Watch) bury() {
	for _, e := range w.ended[1] {
		w.forget(e.pid, e.startNs)
	}
	w.ended[0], w.ended[1] = w.ended[1][:0], w.ended[0]
	w.last, w.lastOf = 0, nil
}

// Crowded says whether more services were busy at once than can be watched.
func (w *Watch) Crowded() bool {
	return w != nil && slices.ContainsFunc(w.windows, func(in *window) bool { return in.crowded })
}

// holds measures what a condition is about.
func (w *Watch) holds(c *watched, nowNs int64) (Fired, bool) {
	f := Fired{Condition: c.Condition}
	switch {
	case c.resource != "":
		// Read at the start; gone now, it is not over anything.
		f.Value, _ = pressure(w.root, c.resource)
	case c.window == nil:
		f.Value = w.faults.rate(c.measure.faults, c.over)
	case c.below && w.lostNs != 0 && nowNs-w.lostNs <= c.over.Nanoseconds()+secondNs:
		return f, false
	default:
		return c.served(nowNs)
	}
	return f, f.Value > c.bound
}

// served holds a condition about requests against each service.
func (c *watched) served(nowNs int64) (worst Fired, holds bool) {
	names := []string{c.service}
	if c.service == "" {
		names = slices.Sorted(maps.Keys(c.window.services))
	}
	for _, name := range names {
		if f, ok := c.servedBy(name, nowNs); ok && (!holds || f.Value > worst.Value) {
			worst, holds = f, true
		}
	}
	return worst, holds
}

func (c *watched) servedBy(name string, nowNs int64) (Fired, bool) {
	f := Fired{Condition: c.Condition, Service: name}
	counts := c.window.services[name]
	switch {
	case counts == nil:
		return f, false
	case c.measure.requests:
		f.Requests = counts.requests()
		f.Value = float64(f.Requests) / c.window.seconds(nowNs)
		return f, c.window.full() && c.outOfBound(f.Value)
	}
	var sum histogram
	counts.latencies(&sum)
	f.Requests, f.Value = sum.count, float64(sum.quantile(c.measure.quantile))
	enough := c.measure.quantile == 1 || sum.count >= MinRequests && sum.above(int64(c.bound)) >= minSlow
	return f, enough && f.Value > c.bound
}

// outOfBound compares a number of requests. Too few are those that were more
// once: a service that was never asked has not gone silent.
func (c *watched) outOfBound(value float64) bool {
	if !c.below {
		return value > c.bound
	}
	below := value < c.bound
	was := c.armed
	c.armed = c.armed || !below
	return below && was
}
