package reports

import "kmon/analyze"

// band is requests of about a mean whose parts take so many percent of it.
func band(requests, accounted, mean int64, parts ...analyze.TimePart) analyze.BreakdownBand {
	b := analyze.BreakdownBand{FromNs: mean * 9 / 10, ToNs: mean * 12 / 10, Requests: requests, Accounted: accounted, MeanNs: mean, Parts: []analyze.TimePart{}}
	for _, p := range parts {
		p.Share = float64(p.Ns) / 100
		p.Ns = mean * p.Ns / 100
		b.Parts = append(b.Parts, p)
	}
	return b
}

// part is one of so many percent; callee "": of the serving thread.
func part(name, callee string, percent int64) analyze.TimePart {
	return analyze.TimePart{Name: name, Callee: callee, Ns: percent}
}

// lockBound waits for locks where it is slow; a few of its requests were answered by
// another thread.
func lockBound() *analyze.Breakdown {
	return &analyze.Breakdown{
		Requests: 24_000, Accounted: 21_000, HandedOver: 3_000, UnclearCalls: 41,
		Middle: band(5_400, 5_000, 4*millisecond, part("on-cpu", "", 55), part("run-queue", "", 5), part("callee", "redis", 30), part("unknown", "", 10)),
		Slow: band(510, 450, 60*millisecond, part("on-cpu", "", 5), part("run-queue", "", 2), part("lock", "", 70), part("disk", "", 1),
			part("sleep", "", 2), part("network", "", 2), part("other-wait", "", 1), part("callee", "redis", 8), part("callee", "cart", 4), part("unknown", "", 5)),
	}
}

// calleesOnly is what is known where threads were not recorded.
func calleesOnly(callee string) *analyze.Breakdown {
	return &analyze.Breakdown{
		Requests: 900,
		Middle:   band(180, 0, millisecond, part("callee", callee, 75), part("unknown", "", 25)),
		Slow:     band(20, 0, 8*millisecond, part("callee", callee, 95), part("unknown", "", 5)),
	}
}
