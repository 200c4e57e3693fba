package format

import (
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
)

// loads are the kinds of traffic the benchmarks write.
var loads = []struct {
	name string
	make func(n int) []Exchange
}{
	{"steady", func(n int) []Exchange { return traffic(n, 1) }},
	{"bothEnds", bothEnds},
	{"longTail", longTail},
	{"shortLived", shortLived},
}

// bothEnds is a loopback load: each request is a row of the server's end and
// one of the client's, 50 connections of one server and one client process.
func bothEnds(n int) []Exchange {
	r := rand.New(rand.NewPCG(2, 2))
	rows := make([]Exchange, 0, n+1)
	now := int64(1e9)
	for len(rows) < n {
		now += int64(r.ExpFloat64() * 7000)
		server := int64(4000 + r.ExpFloat64()*2000)
		client := server + int64(250_000+r.NormFloat64()*60_000)
		socket := int64(r.IntN(50))
		e := Exchange{SocketID: 1000 + socket, StartNs: now - server, ServerNs: server, RequestBytes: 45, AnswerBytes: 5,
			RequestMessages: 1, AnswerMessages: 1, PID: 500, TID: 500}
		rows = append(rows, e)
		e.SocketID, e.StartNs, e.ServerNs, e.PID, e.TID, e.Flags = 5000+socket, now-client, client, 600, 600, ExchangeClient
		rows = append(rows, e)
	}
	return rows[:n]
}

// longTail is a shop: many threads, sizes and latencies over four decades.
func longTail(n int) []Exchange {
	r := rand.New(rand.NewPCG(3, 3))
	rows := make([]Exchange, n)
	now := int64(1e12)
	for i := range rows {
		now += int64(r.ExpFloat64() * 20_000)
		server := int64(math.Exp(r.NormFloat64()*1.5 + 14))
		download := int64(0)
		messages := int32(1)
		if r.IntN(5) == 0 {
			download = int64(r.ExpFloat64() * 300_000)
			messages = int32(2 + r.IntN(6))
		}
		process := r.IntN(40)
		rows[i] = Exchange{SocketID: 1<<40 + int64(r.IntN(2000))*4321, StartNs: now - server - download, ServerNs: server, DownloadNs: download,
			RequestBytes: int64(200 + r.IntN(600)), AnswerBytes: int64(math.Exp(r.NormFloat64()*1.2 + 8)),
			RequestMessages: 1, AnswerMessages: messages, PID: int32(3000 + process*13), TID: int32(3000 + process*13 + r.IntN(8))}
	}
	return rows
}

// shortLived is a connection for each request.
func shortLived(n int) []Exchange {
	rows := traffic(n, 4)
	for i := range rows {
		rows[i].SocketID = int64(i)*2 + 1e6
		rows[i].Flags = ExchangeClosed
	}
	return rows
}

func BenchmarkAppendExchanges(b *testing.B) {
	for _, load := range loads {
		b.Run(load.name, func(b *testing.B) {
			rows := load.make(500_000)
			b.ReportAllocs()
			b.ResetTimer()
			for b.Loop() {
				w, path := create(b)
				for part := range slices.Chunk(rows, 1000) {
					must(b, w.AppendExchanges(part))
				}
				must(b, w.Close(Final{}))
				b.ReportMetric(float64(w.Size())/float64(len(rows)), "B/row")
				must(b, os.Remove(path))
			}
			b.ReportMetric(float64(b.N)*float64(len(rows))/b.Elapsed().Seconds()/1e6, "Mrows/s")
		})
	}
}

func BenchmarkReadExchanges(b *testing.B) {
	for _, load := range loads {
		b.Run(load.name, func(b *testing.B) {
			rows := load.make(500_000)
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
		})
	}
}

// BenchmarkReadRows reads the widest of the row tables that grow with load.
func BenchmarkReadRows(b *testing.B) {
	w, path := create(b)
	const n = 200_000
	for i := range n {
		must(b, Append(w, Socket{TsNs: int64(i) * 1000, SocketID: int64(i / 2), Event: SocketEvent(2 + i%2), Role: RoleServer, Family: 4,
			LocalAddr: "10.0.0.1", LocalPort: 80, RemoteAddr: "10.0.0.2", RemotePort: int32(20000 + i%30000), PID: 7}))
	}
	must(b, w.Close(Final{}))
	c := open(b, path)
	for b.Loop() {
		rows := 0
		must(b, ReadRows(c, func(r []Socket) error {
			rows += len(r)
			return nil
		}))
		if rows != n {
			b.Fatalf("%d rows", rows)
		}
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds()/1e6, "Mrows/s")
	b.ReportMetric(float64(w.Size())/n, "B/row")
}
