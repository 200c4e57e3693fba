package analyze

import (
	"fmt"

	"kmon/analyze/replay"
	"kmon/analyze/request"
	"kmon/analyze/stat"
)

// quantilesText says how quantiles were computed.
var quantilesText = fmt.Sprintf("nearest rank in log-linear buckets of 64 per power of two, relative error at most %.2f%%; "+
	"count, mean and max are exact; requests without an answer have no latency and are in none of them", 100*stat.RelativeError)

// rate gives things per second over the analyzed time, as far as it was
// recorded.
func (r *run) rate(n int64) float64 {
	ns := r.recordedNs
	if ns <= 0 {
		return 0
	}
	return float64(n) * 1e9 / float64(ns)
}

// counted gives the requests of a service and on which end they were counted:
// what was recorded on its own end counts; a service seen from outside has the
// numbers of its clients.
func (s *serviceSum) counted() (stats *request.Stats, ends string) {
	if s.served.Rows == 0 && (s.seen.Rows > 0 || s.External) {
		return &s.seen, "client"
	}
	return &s.served, "server"
}

// service makes a Service of its sums.
func (r *run) service(s *serviceSum, c coverages, lost []int64, detailed bool) Service {
	stats, ends := s.counted()
	latency := stats.Latency()
	out := Service{
		Name: s.Name, Source: s.Source, External: s.External, Ends: ends,
		Instances: []Instance{},
		Requests:  stats.Requests, RatePerS: r.rate(stats.Requests),
		Latency: distribution(&latency), Upload: distribution(&stats.Upload),
		Server: distribution(&stats.Server), Download: distribution(&stats.Download),
		BytesIn: s.in, BytesOut: s.out,
		Unanswered: stats.Unanswered, InFlight: stats.InFlight, Untimed: stats.Untimed,
		Resets: s.resets, Streams: r.streams(stats, s.streams),
		Coverage: c.of("exchanges", s.captures), Series: r.series(stats, lost, s.captures, detailed),
	}
	if detailed {
		out.PartSeries = r.requestSums(stats, s.captures, func(w *request.Window) []int64 {
			count := w.Latency.Count()
			return []int64{count, w.Parts.UploadNs, max(count*w.Latency.Mean()-w.Parts.UploadNs-w.Parts.DownloadNs, 0), w.Parts.DownloadNs}
		})
	}
	if ends == "client" {
		out.BytesIn += stats.RequestBytes
		out.BytesOut += stats.AnswerBytes
	}
	for _, i := range s.instances {
		latency := i.served.Latency()
		instance := Instance{
			Name: i.Name, Host: i.Host, PIDs: append([]int32{}, i.PIDs...),
			Requests: i.served.Requests, RatePerS: r.rate(i.served.Requests), Latency: distribution(&latency),
		}
		if i.detailed {
			instance.Series = r.series(&i.served, lost, s.captures, true)
		}
		out.Instances = append(out.Instances, instance)
	}
	return out
}

func (r *run) streams(stats *request.Stats, connections int64) Streams {
	return Streams{
		Connections: connections,
		MessagesIn:  stats.MessagesIn, MessagesOut: stats.MessagesOut,
		RatePerS: r.rate(stats.MessagesIn + stats.MessagesOut), OneWay: stats.OneWay,
	}
}

// messagesOf is how many do not read as request and answer.
func messagesOf(s *request.Stats) int64 { return s.MessagesIn + s.MessagesOut + s.OneWay }

// edge makes an Edge of its sums.
func (r *run) edge(e *edgeSum, c coverages, lost []int64, detailed bool) Edge {
	stats := e.primary()
	server, client := e.server.Latency(), e.client.Latency()
	out := Edge{
		Client: e.edgeKey.client, Server: e.edgeKey.server, ServerPort: e.port,
		Ends: e.ends(), Via: e.via,
		Connections: e.sockets.Connections, Failed: e.sockets.Failed,
		Requests: stats.Requests, RatePerS: r.rate(stats.Requests),
		Latency: distribution(&server), ClientLatency: distribution(&client),
		Network: distribution(&e.server.Network), Matched: e.server.Matched, ClientUnmeasured: e.clientUnmeasured(client.Count()),
		BytesSent: stats.RequestBytes, BytesReceived: stats.AnswerBytes,
		Retransmits: e.sockets.Retransmits, Resets: e.sockets.Resets,
		Unanswered: stats.Unanswered, Untimed: stats.Untimed,
		Streams:  r.streams(stats, e.streams()),
		Coverage: c.of("exchanges", e.captures), Series: r.series(stats, lost, e.captures, detailed),
	}
	if detailed {
		out.ByteSeries = r.requestSums(stats, e.captures, func(w *request.Window) []int64 { return []int64{w.Bytes.Requests, w.Bytes.Answers} })
	}
	out.Kind = kindOf(&out)
	return out
}

// clientUnmeasured gives the requests that are not among the client's latencies; nil: its
// end was not recorded. A client that gives up within a second has sent one way, as far
// as its own end tells: the server's counts the request.
func (e *edgeSum) clientUnmeasured(measured int64) *int64 {
	if e.client.Rows == 0 {
		return nil
	}
	n := max(e.client.Requests, e.server.Requests) - measured
	return &n
}

// ends says which ends of the edge's connections were recorded: those with
// exchanges, or of an edge without any, those with sockets.
func (e *edgeSum) ends() string {
	client, server := e.client.Rows > 0, e.server.Rows > 0
	if !client && !server {
		client, server = e.sockets.ClientEnds > 0, e.sockets.ServerEnds > 0
	}
	switch {
	case client && server:
		return "both"
	case server:
		return "server"
	}
	return "client"
}

// kindOf says how the traffic of an edge reads.
func kindOf(e *Edge) string {
	streams := e.Streams.Connections > 0 || e.Streams.MessagesIn > 0 || e.Streams.MessagesOut > 0
	switch {
	case e.Requests > 0 && streams:
		return "mixed"
	case e.Requests > 0:
		return "request"
	case streams || e.Streams.OneWay > 0:
		return "stream"
	}
	return "connect-only"
}

// windows gives the analyzed time as topics count it.
func (r *run) windows() replay.Windows {
	return replay.Windows{
		FromNs: r.frame.FromNs, ToNs: r.frame.ToNs,
		BaseNs: r.frame.BaseNs, WidthNs: r.frame.WidthNs, Count: r.frame.Windows,
	}
}

// requestSums gives sums of each window that some captures recorded.
func (r *run) requestSums(stats *request.Stats, captures map[int32]bool, of func(*request.Window) []int64) SumSeries {
	b := r.newSumsByWindow(r.windows(), captures, len(of(new(request.Window))))
	for i := range stats.Windows {
		w := &stats.Windows[i]
		b.add(w.Index, of(w)...)
	}
	return b.series()
}

// series gives a point for each window that was recorded by some captures, nil:
// by any; detailed ones with classes.
func (r *run) series(stats *request.Stats, lost []int64, captures map[int32]bool, detailed bool) []Point {
	windows := r.seriesWindows(captures)
	points := make([]Point, len(windows))
	for i, w := range windows {
		points[i] = Point{StartNs: w.startNs, Partial: w.partial, Lost: lost[i]}
	}
	for i := range stats.Windows {
		w := &stats.Windows[i]
		p := &points[w.Index]
		p.Requests, p.Errors = w.Requests, w.Errors
		p.Count, p.Max = w.Latency.Count(), w.Latency.Max()
		p.P50, p.P95, p.P99 = w.Latency.Quantile(0.50), w.Latency.Quantile(0.95), w.Latency.Quantile(0.99)
		if detailed {
			p.Classes = classesOf(&w.Latency)
		}
	}
	return withoutDark(points, windows, func(p *Point) bool { return p.Requests == 0 && p.Lost == 0 })
}
