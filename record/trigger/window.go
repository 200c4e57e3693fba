package trigger

import "time"

// window is the last seconds of requests, in slots that are dropped one by one.
type window struct {
	over     time.Duration
	slotNs   int64
	slots    int             // in use, at most maxSlots
	startNs  [maxSlots]int64 // of each slot; 0: never begun
	at       int             // the slot that counts
	any      bool            // a condition is about any service
	named    map[string]bool // services that conditions are about
	services map[string]*counts
	crowded  bool // a service found no room
}

// counts are the requests to one service, by slot.
type counts struct {
	timed   [maxSlots]histogram
	untimed [maxSlots]int64 // requests without a latency
	dropped bool            // not of the window any more
}

func newWindow(over time.Duration) *window {
	w := &window{over: over, named: map[string]bool{}, services: map[string]*counts{}}
	w.slotNs = max(over.Nanoseconds()/maxSlots, time.Second.Nanoseconds())
	w.slots = int(over.Nanoseconds() / w.slotNs)
	return w
}

// want has the window count a service's requests; "": any's.
func (w *window) want(service string) {
	if service == "" {
		w.any = true
	} else {
		w.named[service] = true
	}
}

func (w *window) wants(service string) bool { return w.any || w.named[service] }

// of gives a service's counts, nil if there is no room for them.
func (w *window) of(service string) *counts {
	c := w.services[service]
	if c == nil && w.wants(service) {
		if len(w.services) >= maxServices && !w.named[service] {
			w.crowded = true
			return nil
		}
		c = &counts{}
		w.services[service] = c
	}
	return c
}

// begin notes when the first slot began: a second before the first Evaluate.
func (w *window) begin(nowNs int64) {
	if w.startNs[w.at] == 0 {
		w.startNs[w.at] = nowNs - secondNs
	}
}

// full says whether the window is as long as it is to be.
func (w *window) full() bool { return w.startNs[(w.at+1)%w.slots] != 0 }

// seconds is how long the window is at nowNs.
func (w *window) seconds(nowNs int64) float64 {
	first := w.startNs[(w.at+1)%w.slots]
	if first == 0 {
		first = w.startNs[0]
	}
	return float64(nowNs-first) / 1e9
}

// slide drops the oldest slot once the newest is as long as it is to be, and
// the services that had no request in the whole window.
func (w *window) slide(nowNs int64) {
	if nowNs-w.startNs[w.at] < w.slotNs-slackNs {
		return
	}
	w.at = (w.at + 1) % w.slots
	w.startNs[w.at] = nowNs
	for name, c := range w.services {
		c.timed[w.at], c.untimed[w.at] = histogram{}, 0
		if !w.named[name] && c.requests() == 0 {
			c.dropped = true
			delete(w.services, name)
		}
	}
}

// slackNs: Evaluate is called about once a second.
const slackNs = 500_000_000

func (c *counts) add(slot int, latencyNs int64, timed bool) {
	if timed {
		c.timed[slot].add(latencyNs)
	} else {
		c.untimed[slot]++
	}
}

func (c *counts) requests() int64 {
	n := int64(0)
	for i := range c.timed {
		n += c.timed[i].count + c.untimed[i]
	}
	return n
}

// latencies puts those of the whole window into sum.
func (c *counts) latencies(sum *histogram) {
	*sum = histogram{}
	for i := range c.timed {
		if c.timed[i].count > 0 {
			sum.merge(&c.timed[i])
		}
	}
}
