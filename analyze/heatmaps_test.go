package analyze

import (
	"math"
	"testing"

	"kmon/format"
)

// Every latency has a row, and rows are whole buckets of the sketches.
func TestLatencyRows(t *testing.T) {
	for _, c := range []struct{ lowest, highest int64 }{
		{0, 0}, {0, 127}, {5, 128}, {127, 129}, {128, 255}, {128, 256}, {1000, 1000}, {1000, 2_000_000},
		{0, math.MaxInt64}, {math.MaxInt64, math.MaxInt64}, {1 << 62, 1<<62 + 1}, {200, 1 << 40},
	} {
		b := latencyRows(c.lowest, c.highest)
		if len(b) < 2 || len(b) > maxHeatRows+2 {
			t.Errorf("%d to %d: %d bounds", c.lowest, c.highest, len(b))
			continue
		}
		if b[0] > c.lowest || b[1] <= c.lowest && c.lowest < math.MaxInt64 {
			t.Errorf("%d to %d: the first row is %d to %d", c.lowest, c.highest, b[0], b[1])
		}
		if last := len(b) - 1; b[last] < c.highest || b[last-1] > c.highest {
			t.Errorf("%d to %d: the last row is %d to %d", c.lowest, c.highest, b[last-1], b[last])
		}
		for i := 1; i < len(b); i++ {
			if b[i] <= b[i-1] {
				t.Errorf("%d to %d: bound %d after %d", c.lowest, c.highest, b[i], b[i-1])
			}
		}
	}
}

// The heat map of an edge has each latency in its window and row.
func TestLatencyMap(t *testing.T) {
	s := newStory(t, "node1")
	s.process(100, "web")
	s.process(200, "cart")
	s.socket(1, format.RoleClient, 100, 0, "127.0.0.1 40000", "127.0.0.1 80")
	s.socket(2, format.RoleServer, 200, 0, "127.0.0.1 80", "127.0.0.1 40000")
	want := map[int32]map[int64]int64{} // window → latency → count
	for i := range int64(100) {
		at, latency := i*90*ms, (1+i%7)*(1+i%3)*ms
		s.exchange(1, 100, at, 0, latency+50_000, 0, format.ExchangeClient)
		s.exchange(2, 200, at+20_000, 0, latency, 0, 0)
		w := int32((at + 20_000) / second)
		if want[w] == nil {
			want[w] = map[int64]int64{}
		}
		want[w][latency]++
	}
	a := analyzed(t, Options{}, s)
	if len(a.HeatMaps) != 1 || a.HeatMaps[0].Kind != "latency" || a.HeatMaps[0].Subject != "web → cart:80" {
		t.Fatalf("heat maps %+v", a.HeatMaps)
	}
	m := a.HeatMaps[0]
	if m.StartNs != unix0 || m.ColumnNs != second {
		t.Errorf("starts %d, columns of %d ns", m.StartNs, m.ColumnNs)
	}
	for _, c := range m.Cells {
		n := int64(0)
		for latency, count := range want[c.Column] {
			if latency >= m.RowBounds[c.Row] && latency < m.RowBounds[c.Row+1] {
				n += count
				delete(want[c.Column], latency)
			}
		}
		if n != c.Count {
			t.Errorf("column %d, row from %d ns: %d, want %d", c.Column, m.RowBounds[c.Row], c.Count, n)
		}
	}
	for w, left := range want {
		if len(left) > 0 {
			t.Errorf("window %d: not in the map: %v", w, left)
		}
	}
}
