package request

import (
	"math"
	"math/bits"
	"reflect"
	"slices"
	"testing"

	"kmon/analyze/replay"
	"kmon/format"
)

// counted adds batches up with one Accumulator.
func counted(list []*replay.Batch) *Partial {
	a := New(frame, fixed{})
	for _, b := range list {
		a.Add(b)
	}
	return a.Partial()
}

// timedRows lists, by socket, the latencies with the start times of all requests
// that have one.
func timedRows(list []*replay.Batch) map[int32][][2]int64 {
	rows := map[int32][][2]int64{}
	for _, b := range list {
		c := b.Columns
		for i, flags := range c.Flags {
			if flags&notPlain == 0 {
				rows[c.Socket[i]] = append(rows[c.Socket[i]], [2]int64{c.UploadNs[i] + c.ServerNs[i] + c.DownloadNs[i], c.StartNs[i]})
			}
		}
	}
	return rows
}

// The slowest requests are those that sorting all rows gives.
func TestSlowestAreThoseOfAllRows(t *testing.T) {
	list := batches(3, 20)
	p := counted(list)
	for socket, rows := range timedRows(list) {
		slices.SortFunc(rows, func(a, b [2]int64) int {
			if a[0] != b[0] {
				return int(b[0] - a[0])
			}
			return int(a[1] - b[1])
		})
		got := p.Stats(socket).Examples.Slowest
		if len(got) != maxSlowest || len(rows) < 5*maxSlowest {
			t.Fatalf("socket %d: %d of %d requests are kept", socket, len(got), len(rows))
		}
		for i, x := range got {
			if x.LatencyNs() != rows[i][0] || x.StartNs != rows[i][1] || x.SocketID != int64(socket) || x.TID != socket/2 || x.AnswerBytes != 2 {
				t.Errorf("socket %d: number %d is %+v, want latency and start %v", socket, i, x, rows[i])
			}
		}
	}
}

// Of each power of two of latency those are drawn whose pick is highest, and no
// more than maxDrawn.
func TestDrawnAreSpreadOverLatencies(t *testing.T) {
	list := batches(4, 20)
	p := counted(list)
	octaves := 0
	for socket, rows := range timedRows(list) {
		want := map[int][]int64{}
		for _, r := range rows {
			octave := bits.Len64(uint64(r[0]))
			want[octave] = append(want[octave], r[1])
		}
		got := map[int][]int64{}
		for _, x := range p.Stats(socket).Examples.Drawn {
			got[x.octave()] = append(got[x.octave()], x.StartNs)
		}
		for octave, starts := range want {
			slices.SortFunc(starts, func(a, b int64) int {
				if uint64(a)*spread > uint64(b)*spread {
					return -1
				}
				return 1
			})
			starts = starts[:min(len(starts), maxDrawn)]
			if !slices.Equal(got[octave], starts) {
				t.Errorf("socket %d: below 2^%d ns those are drawn that began at %v, want %v", socket, octave, got[octave], starts)
			}
			if len(starts) == maxDrawn {
				octaves++
			}
		}
		if len(got) != len(want) {
			t.Errorf("socket %d: %d octaves, want %d", socket, len(got), len(want))
		}
	}
	if octaves < 4 {
		t.Errorf("only %d octaves had more than are drawn: this tests little", octaves)
	}
}

// Scarce memory leaves the same that a lower limit would have: of each kind the
// first.
func TestScarceExamples(t *testing.T) {
	list := batches(5, 20)
	plenty := counted(list)
	scarce := New(frame, fixed{})
	scarce.partial.Frame.MaxExamples = 100
	for _, b := range list {
		scarce.Add(b)
	}
	p := scarce.Partial()
	if p.examples > 100 || p.scarcity == 0 {
		t.Fatalf("%d examples at scarcity %d", p.examples, p.scarcity)
	}
	for cell, s := range plenty.Cells {
		s.Examples.halve(p.scarcity)
		if got := p.Cells[cell].Examples; !reflect.DeepEqual(got.Slowest, s.Examples.Slowest) || !slices.Equal(got.Drawn, s.Examples.Drawn) {
			t.Errorf("cell %d: %+v, want %+v", cell, got, s.Examples)
		}
	}
}

// Rows with strange durations are no examples, and harm nothing.
func TestNegativeLatencyIsNoExample(t *testing.T) {
	list := batches(6, 1)
	c := list[0].Columns
	for i := range c.Flags {
		c.Flags[i] &= format.ExchangeClient
		c.ServerNs[i] = -5 - c.UploadNs[i] - c.DownloadNs[i]
	}
	for cell, s := range counted(list).Cells {
		if s != nil && s.Examples.size() > 0 {
			t.Errorf("cell %d keeps %+v", cell, s.Examples)
		}
	}
}

// What a connection adds up to is what its rows do; of two recorded ends it is the
// server's.
func TestConnectionsAddUp(t *testing.T) {
	list := batches(7, 20)
	p := counted(list)
	rows := timedRows(list)
	if len(p.Connections) != 4 {
		t.Fatalf("%d connections of 4", len(p.Connections))
	}
	for key, c := range p.Connections {
		all := []int64{}
		for _, r := range rows[int32(key.ID)] {
			all = append(all, r[0])
		}
		slices.Sort(all)
		requests, bytes, last := int64(0), int64(0), int64(0)
		for _, b := range list {
			for i, s := range b.Columns.Socket {
				if int64(s) != key.ID {
					continue
				}
				bytes++
				last = max(last, b.Columns.StartNs[i])
				if b.Columns.Flags[i]&format.ExchangeNoRequest == 0 {
					requests++
				}
			}
		}
		if key.ID%2 != 1 || c.Requests != requests || c.Bytes != (Bytes{bytes, 2 * bytes}) || c.LastNs != last || c.Cell != int32(key.ID) {
			t.Errorf("socket %d: %+v, want %d requests, %d bytes sent, the last at %d", key.ID, *c, requests, bytes, last)
		}
		if c.MaxNs != all[len(all)-1] || c.Latency.Count() != int64(len(all)) {
			t.Errorf("socket %d: max %d of %d, want %d of %d", key.ID, c.MaxNs, c.Latency.Count(), all[len(all)-1], len(all))
		}
		for _, q := range []float64{0.5, 0.99} {
			exact := float64(all[int(math.Ceil(q*float64(len(all))))-1])
			if got := float64(c.Latency.Quantile(q)); math.Abs(got-exact) > exact*ConnectionError {
				t.Errorf("socket %d: q%g is %g, exactly %g", key.ID, q, got, exact)
			}
		}
	}
}

func TestCoarseIsNear(t *testing.T) {
	for _, ns := range []int64{0, 1, 15, 31, 32, 33, 1000, 1023, 1024, 123_456_789, 1 << 62} {
		if got, most := coarse(ns), ns/32+1; got < ns-most || got > ns+most {
			t.Errorf("%d is rounded to %d", ns, got)
		}
	}
	if got := coarse(-7); got != 0 {
		t.Errorf("-7 is rounded to %d", got)
	}
}
