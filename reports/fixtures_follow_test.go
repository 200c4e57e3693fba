package reports

import "kmon/analyze"

// followShop is a minute of a shop of which everything is known by window: seconds 20
// to 29 are slow, and the cart asks redis in seconds 40 to 49 only.
func followShop() *analyze.Analysis {
	a, d := node(), drilled()
	a.Connections, a.Examples, a.Edges = d.Connections, d.Examples, d.Edges
	for i := range a.Edges {
		e := &a.Edges[i]
		if e.Requests > 0 {
			e.Series, _ = knownSeries(60, func(_, i int) int64 { return int64(1+i) * 100 * microsecond })
		}
		switch e.Server {
		case "cart":
			e.Series = slowSeries()
			e.ByteSeries = sumsEach(60, second, func(w int64) []int64 { return []int64{2048, within(w, 20, 30, 1<<20, 1024)} })
		case "redis":
			for w := range e.Series {
				if w < 40 || w >= 50 {
					e.Series[w] = analyze.Point{StartNs: e.Series[w].StartNs}
				}
			}
		}
	}
	for i := range a.Services {
		s := &a.Services[i]
		if len(s.Series) > 0 {
			s.Series = slowSeries()
			s.Requests = 20 * 60
			for k := range s.Instances {
				s.Instances[k].Requests = s.Requests
			}
		}
		if s.Name == "cart" { // one of two is slow
			s.Instances = append(s.Instances, s.Instances[0])
			s.Instances[1].Name = "cart-slow"
			s.Instances[0].Series, _ = knownSeries(60, func(_, i int) int64 { return int64(1+i) * 100 * microsecond })
			s.Instances[1].Series = slowSeries()
		}
		if s.Name == "cart" {
			s.PartSeries = sumsEach(60, second, func(w int64) []int64 {
				return []int64{20, 20 * millisecond, within(w, 20, 30, 200, 20) * millisecond, 0}
			})
			s.Streams = analyze.Streams{Connections: 1, MessagesIn: 600, MessagesOut: 1200}
			s.StreamSeries = sumsEach(60, second, func(w int64) []int64 { return []int64{10, within(w, 20, 30, 50, 14), within(w, 21, 22, 3, 0)} })
		}
		if s.Name == "checkout" {
			s.Breakdown.Slow.Series = sumsEach(60, second, func(w int64) []int64 {
				return bandSums(&s.Breakdown.Slow, within(w, 20, 30, 51, 0))
			})
			s.Breakdown.Middle.Series = sumsEach(60, second, func(w int64) []int64 { return bandSums(&s.Breakdown.Middle, within(w, 20, 30, 0, 108)) })
			s.WaitCounts = []analyze.SumSeries{sumsEach(12, 5*second, func(w int64) []int64 { return []int64{within(w, 4, 6, 5000, 100), within(w, 4, 6, 100, 2) * second} }), {}}
			s.WaitSeries = sumsEach(60, second, func(w int64) []int64 { return []int64{within(w, 20, 30, 10*second, second), 19 * second / 60} })
		}
	}
	a.Series = served(a.Services)
	a.Threads[0].Series = sumsEach(12, 5*second, func(w int64) []int64 { return []int64{within(w, 4, 6, 5*second, second), 100 * millisecond} })
	followDisks(a)
	a.Wakes[0].Series = sumsEach(12, 5*second, func(w int64) []int64 { return []int64{within(w, 4, 6, 20_000, 5100), within(w, 4, 6, 5, 9)} })
	a.AcceptQueues[0].Series = mostEach(60, second, func(w int64) ([]int64, []int64) {
		return []int64{within(w, 25, 26, 310, 0)}, []int64{within(w, 24, 26, 129, 0), within(w, 24, 26, 128, 0)}
	})
	a.Drops[1].Series = sumsEach(60, second, func(w int64) []int64 { return []int64{within(w, 24, 25, 12, 0)} })
	for i := range a.Services {
		if m := a.Services[i].Memory; m != nil && m.MaxCurrentBytes > 0 { // the cart's, looked at every 5 s
			m.Series = mostEach(60, second, func(w int64) ([]int64, []int64) {
				if w%5 != 0 {
					return []int64{0}, []int64{-1, -1}
				}
				return []int64{within(w, 25, 26, 1, 0)}, []int64{(200 + w) << 20, within(w, 20, 26, 505, 300) << 20}
			})
		}
	}
	a.Syscalls[0].Series = sumsEach(12, 5*second, func(w int64) []int64 { return []int64{within(w, 4, 6, 15_000, 432), 0, within(w, 4, 6, 3*second, 0)} })
	return a
}

// followDisks has what asked for IO by window: the flusher writes in seconds 20 to 29
// only, and is slow.
func followDisks(a *analyze.Analysis) {
	for i := range a.Disks {
		if d := &a.Disks[i]; d.Name == "vda" {
			d.Users[0].Series = mostEach(60, second, func(w int64) ([]int64, []int64) {
				return []int64{150, 150 * 4096, 0, 150 * millisecond}, []int64{within(w, 21, 22, 90, 4) * millisecond}
			})
			d.Users[1].Series = mostEach(60, second, func(w int64) ([]int64, []int64) {
				n := within(w, 20, 30, 300, 0)
				return []int64{n, 0, n * 65536, n * 20 * millisecond}, []int64{within(w, 20, 30, 200*millisecond, -1)}
			})
			d.Operations[1].Series = mostEach(60, second, func(w int64) ([]int64, []int64) {
				n := within(w, 20, 30, 300, 0)
				return []int64{n, n * 65536, n * 5 * millisecond, n * 20 * millisecond}, []int64{within(w, 20, 30, 200*millisecond, -1)}
			})
		}
	}
}

// slowSeries is slow in seconds 20 to 29, and has faults in second 52.
func slowSeries() []analyze.Point {
	points, _ := knownSeries(60, func(w, i int) int64 {
		return int64(1+i) * 100 * microsecond * within(int64(w), 20, 30, 10, 1)
	})
	points[52].Errors = 7
	return points
}

// within is inside for windows [from, to), else outside.
func within(w, from, to, inside, outside int64) int64 {
	if w >= from && w < to {
		return inside
	}
	return outside
}

func sumsEach(n int, width int64, of func(w int64) []int64) analyze.SumSeries {
	s := analyze.SumSeries{WidthNs: width}
	for w := range int64(n) {
		s.Points = append(s.Points, analyze.SumPoint{StartNs: start + w*width, Sums: of(w)})
	}
	return s
}

// mostEach is sumsEach with the largest values.
func mostEach(n int, width int64, of func(w int64) (sums, most []int64)) analyze.SumSeries {
	s := sumsEach(n, width, func(w int64) []int64 { sums, _ := of(w); return sums })
	for w := range s.Points {
		_, s.Points[w].Max = of(int64(w))
	}
	return s
}

// bandSums are the sums of a window with so many of a band's requests.
func bandSums(b *analyze.BreakdownBand, requests int64) []int64 {
	sums := []int64{requests}
	for _, p := range b.Parts {
		sums = append(sums, p.Ns*requests)
	}
	return sums
}
