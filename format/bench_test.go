package format

import (
	"slices"
	"testing"
)

func BenchmarkAppendExchanges(b *testing.B) {
	rows := traffic(1_000_000, 1)
	b.ReportAllocs()
	for b.Loop() {
		w, _ := create(b)
		for part := range slices.Chunk(rows, 1000) {
			must(b, w.AppendExchanges(part))
		}
		must(b, w.Close(Final{}))
		b.ReportMetric(float64(w.Size())/float64(len(rows)), "B/row")
	}
	b.ReportMetric(float64(b.N)*float64(len(rows))/b.Elapsed().Seconds()/1e6, "Mrows/s")
}

func BenchmarkReadExchanges(b *testing.B) {
	rows := traffic(1_000_000, 1)
	w, path := create(b)
	must(b, w.AppendExchanges(rows))
	must(b, w.Close(Final{}))
	c := open(b, path)
	var cols ExchangeColumns
	b.ReportAllocs()
	for b.Loop() {
		for _, s := range c.Segments("exchanges") {
			must(b, s.ReadExchanges(&cols))
		}
	}
	b.ReportMetric(float64(b.N)*float64(len(rows))/b.Elapsed().Seconds()/1e6, "Mrows/s")
}
