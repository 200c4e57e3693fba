package reports

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"kmon/analyze"
)

// busiest gives the services in the order reports list them: by requests,
// most first, then by messages of streams, then by name.
func busiest(services []analyze.Service) []analyze.Service {
	s := copied(services)
	slices.SortStableFunc(s, func(a, b analyze.Service) int {
		return cmp.Or(cmp.Compare(b.Requests, a.Requests),
			cmp.Compare(b.Streams.MessagesIn+b.Streams.MessagesOut, a.Streams.MessagesIn+a.Streams.MessagesOut),
			cmp.Compare(a.Name, b.Name))
	})
	return s
}

// connected gives the services that traffic comes from or goes to, in the
// order of busiest. Others are listed for what else they did.
func connected(a *analyze.Analysis) []analyze.Service {
	return slices.DeleteFunc(busiest(a.Services), func(s analyze.Service) bool {
		return s.Ends == "" && !s.External && s.Requests == 0
	})
}

// busiestEdges is busiest for edges.
func busiestEdges(edges []analyze.Edge) []analyze.Edge {
	e := copied(edges)
	slices.SortStableFunc(e, func(a, b analyze.Edge) int {
		return cmp.Or(cmp.Compare(b.Requests, a.Requests), cmp.Compare(b.Connections, a.Connections),
			cmp.Compare(a.Client, b.Client), cmp.Compare(a.Server, b.Server), cmp.Compare(a.ServerPort, b.ServerPort))
	})
	return e
}

// latency is the spec of one number of a distribution.
func latency[T any](head, hint string, rank int, of func(*T) (analyze.Distribution, int64)) spec[T] {
	return spec[T]{column{Head: head, Hint: hint, Kind: kindNumber, Rank: rank}, func(t *T) cell {
		d, v := of(t)
		c := cell{Text: quantileText(d, v)}
		if d.Count > 0 && v == 0 {
			c.Tone = toneZero // a burst of one message has no length
		}
		return c
	}}
}

// number is the spec of a plain number column.
func number[T any](head, hint string, rank int, of func(*T) cell) spec[T] {
	return spec[T]{column{Head: head, Hint: hint, Kind: kindNumber, Rank: rank}, of}
}

// odd is the spec of a number column that is shown only where it tells
// something.
func odd[T any](head, hint string, rank int, of func(*T) cell) spec[T] {
	return spec[T]{column{Head: head, Hint: hint, Kind: kindNumber, Rank: rank, Optional: true}, of}
}

type service = analyze.Service

// servicesTable lists what each service answered and how fast.
func servicesTable(a *analyze.Analysis) table {
	return build("services", "Services", connected(a), []spec[service]{
		{column{Head: "Service", Kind: kindName}, func(s *service) cell { return named(s.Name) }},
		number("Requests", hintRequests, 0, func(s *service) cell { return counted(s.Requests) }),
		number("Rate", "requests a second over the recording", 2, func(s *service) cell { return cell{Text: rateText(s.RatePerS)} }),
		latency("p50", hintLatency, 0, func(s *service) (analyze.Distribution, int64) { return s.Latency, s.Latency.P50 }),
		latency("p90", hintLatency, 9, func(s *service) (analyze.Distribution, int64) { return s.Latency, s.Latency.P90 }),
		latency("p95", hintLatency, 5, func(s *service) (analyze.Distribution, int64) { return s.Latency, s.Latency.P95 }),
		latency("p99", hintLatency, 0, func(s *service) (analyze.Distribution, int64) { return s.Latency, s.Latency.P99 }),
		latency("max", hintLatency, 4, func(s *service) (analyze.Distribution, int64) { return s.Latency, s.Latency.Max }),
		odd("Unanswered", hintUnanswered, 3, func(s *service) cell { return alarmed(s.Unanswered, toneBad) }),
		odd("Resets", hintResets, 3, func(s *service) cell { return alarmed(s.Resets, toneWarn) }),
		odd("In flight", hintInFlight, 7, func(s *service) cell { return counted(s.InFlight) }),
		odd("Untimed", hintUntimed, 7, func(s *service) cell { return counted(s.Untimed) }),
		{column{Head: "Named by", Kind: kindName, Hint: "where the name comes from", Rank: 8}, func(s *service) cell { return word(serviceSource(s)) }},
		{column{Head: "Measured on", Hint: hintEnds, Rank: 3, Optional: true}, func(s *service) cell { return endsCell(s) }},
		number("Bytes in", "received by the service", 10, func(s *service) cell { return cell{Text: BytesText(s.BytesIn)} }),
		number("Bytes out", "sent by the service", 10, func(s *service) cell { return cell{Text: BytesText(s.BytesOut)} }),
		number("Coverage", hintCoverage, 1, func(s *service) cell { return covered(s.Coverage, s.Coverage > 0 || s.Requests > 0) }),
	})
}

// endsCell says on whose end a service was measured: its clients' numbers
// include the network.
func endsCell(s *service) cell {
	switch {
	case s.Requests == 0:
		return word("")
	case s.Ends == "server":
		return cell{Text: "own end", Tone: toneZero}
	case s.Ends == "client":
		return cell{Text: "clients' end", Tone: toneWarn}
	}
	return word(s.Ends)
}

// serviceSource words where a service's name comes from.
func serviceSource(s *service) string {
	if s.External && s.Source != "address" {
		return strings.TrimSpace(s.Source + " (external)")
	}
	return s.Source
}

// timedServices are those with a latency.
func timedServices(a *analyze.Analysis) []service {
	return slices.DeleteFunc(busiest(a.Services), func(s service) bool { return s.Latency.Count == 0 })
}

// partsTable splits the latency of each service that was timed.
func partsTable(a *analyze.Analysis) table {
	part := func(name, hint string, of func(*service) *analyze.Distribution) []spec[service] {
		return []spec[service]{
			latency(name+" p50", hint, 0, func(s *service) (analyze.Distribution, int64) { d := of(s); return *d, d.P50 }),
			latency(name+" p95", hint, 1, func(s *service) (analyze.Distribution, int64) { d := of(s); return *d, d.P95 }),
			latency(name+" p99", hint, 0, func(s *service) (analyze.Distribution, int64) { d := of(s); return *d, d.P99 }),
		}
	}
	specs := []spec[service]{
		{column{Head: "Service", Kind: kindName}, func(s *service) cell { return named(s.Name) }},
		number("Timed", "requests with a latency", 2, func(s *service) cell { return counted(s.Latency.Count) }),
		latency("Mean", "mean of the whole latency", 3, func(s *service) (analyze.Distribution, int64) { return s.Latency, s.Latency.Mean }),
	}
	specs = append(specs, part("Upload", hintUpload, func(s *service) *analyze.Distribution { return &s.Upload })...)
	specs = append(specs, part("Server", hintServer, func(s *service) *analyze.Distribution { return &s.Server })...)
	specs = append(specs, part("Download", hintDownload, func(s *service) *analyze.Distribution { return &s.Download })...)
	return build("parts", "Where the time goes", timedServices(a), specs)
}

// streaming are the services with connections that are not request and answer.
func streaming(a *analyze.Analysis) []service {
	return slices.DeleteFunc(busiest(a.Services), func(s service) bool {
		return s.Streams.Connections == 0 && s.Streams.MessagesIn+s.Streams.MessagesOut == 0
	})
}

// streamsTable lists them; one-way bursts alone are only noted.
func streamsTable(a *analyze.Analysis) table {
	return build("streams", "Streams", streaming(a), []spec[service]{
		{column{Head: "Service", Kind: kindName}, func(s *service) cell { return named(s.Name) }},
		number("Connections", hintStreams, 0, func(s *service) cell { return counted(s.Streams.Connections) }),
		number("Messages in", "", 0, func(s *service) cell { return counted(s.Streams.MessagesIn) }),
		number("Messages out", "", 0, func(s *service) cell { return counted(s.Streams.MessagesOut) }),
		number("Rate", "messages a second", 0, func(s *service) cell { return cell{Text: rateText(s.Streams.RatePerS)} }),
		odd("One way", hintOneWay, 0, func(s *service) cell { return counted(s.Streams.OneWay) }),
	})
}

// instance is an instance with the service it belongs to.
type instance struct {
	analyze.Instance
	service string
}

// instancesTable lists the processes, containers or pods behind services.
func instancesTable(a *analyze.Analysis) table {
	all := []instance{}
	for _, s := range connected(a) {
		for _, i := range s.Instances {
			all = append(all, instance{i, s.Name})
		}
	}
	return build("instances", "Instances", all, []spec[instance]{
		{column{Head: "Service", Kind: kindName}, func(i *instance) cell { return named(i.service) }},
		{column{Head: "Instance", Kind: kindName}, func(i *instance) cell { return named(i.Name) }},
		{column{Head: "Host", Kind: kindName, Rank: 2}, func(i *instance) cell { return named(i.Host) }},
		{column{Head: "PIDs", Hint: "the first 16", Rank: 3}, func(i *instance) cell { return word(pidsText(i.PIDs)) }},
		number("Requests", hintRequests, 0, func(i *instance) cell { return counted(i.Requests) }),
		number("Rate", "requests a second", 0, func(i *instance) cell { return cell{Text: rateText(i.RatePerS)} }),
		latency("p50", hintLatency, 0, func(i *instance) (analyze.Distribution, int64) { return i.Latency, i.Latency.P50 }),
		latency("p95", hintLatency, 1, func(i *instance) (analyze.Distribution, int64) { return i.Latency, i.Latency.P95 }),
		latency("p99", hintLatency, 0, func(i *instance) (analyze.Distribution, int64) { return i.Latency, i.Latency.P99 }),
		latency("max", hintLatency, 1, func(i *instance) (analyze.Distribution, int64) { return i.Latency, i.Latency.Max }),
		odd("CPUs", hintCores, 1, func(i *instance) cell {
			if i.CPU == nil {
				return cell{Text: absent}
			}
			return cell{Text: coresText(i.CPU.Cores)}
		}),
		odd("CPU / request", hintPerRequest, 1, func(i *instance) cell {
			if i.CPU == nil {
				return cell{Text: absent}
			}
			return optional(i.CPU.OnCPUPerRequestNs, DurationText)
		}),
	})
}

// pidsText joins process ids by commas.
func pidsText(pids []int32) string {
	texts := make([]string, len(pids))
	for i, p := range pids {
		texts[i] = strconv.Itoa(int(p))
	}
	return strings.Join(texts, ", ")
}

type edge = analyze.Edge

// edgesTable lists who talked to whom and how fast each end saw it.
func edgesTable(a *analyze.Analysis) table {
	return build("edges", "Edges", busiestEdges(a.Edges), []spec[edge]{
		{column{Head: "Client", Kind: kindName}, func(e *edge) cell { return named(e.Client) }},
		{column{Head: "Server", Kind: kindName}, func(e *edge) cell { return named(serverText(e)) }},
		number("Requests", hintRequests, 0, func(e *edge) cell { return counted(e.Requests) }),
		number("Rate", "requests a second", 3, func(e *edge) cell { return cell{Text: rateText(e.RatePerS)} }),
		latency("p50", hintServerLatency, 0, func(e *edge) (analyze.Distribution, int64) { return e.Latency, e.Latency.P50 }),
		latency("p95", hintServerLatency, 8, func(e *edge) (analyze.Distribution, int64) { return e.Latency, e.Latency.P95 }),
		latency("p99", hintServerLatency, 0, func(e *edge) (analyze.Distribution, int64) { return e.Latency, e.Latency.P99 }),
		latency("Client p50", hintClientLatency, 5, func(e *edge) (analyze.Distribution, int64) { return e.ClientLatency, e.ClientLatency.P50 }),
		latency("Client p99", hintClientLatency, 5, func(e *edge) (analyze.Distribution, int64) { return e.ClientLatency, e.ClientLatency.P99 }),
		odd("Client unmeasured", hintUnmeasured, 4, unmeasured),
		latency("Network p50", hintNetwork, 9, func(e *edge) (analyze.Distribution, int64) { return e.Network, e.Network.P50 }),
		latency("Network p99", hintNetwork, 5, func(e *edge) (analyze.Distribution, int64) { return e.Network, e.Network.P99 }),
		odd("Failed connects", hintFailed, 2, func(e *edge) cell { return alarmed(e.Failed, toneBad) }),
		odd("Unanswered", hintUnanswered, 2, func(e *edge) cell { return alarmed(e.Unanswered, toneBad) }),
		odd("Resets", hintResets, 2, func(e *edge) cell { return alarmed(e.Resets, toneWarn) }),
		number("Coverage", hintCoverage, 1, func(e *edge) cell { return covered(e.Coverage, e.Coverage > 0 || e.Requests > 0) }),
	})
}

// unmeasured tells of requests without a latency at the client's end: in alarm where a
// quantile of the others says little.
func unmeasured(e *edge) cell {
	tone := toneNone
	if n := e.ClientUnmeasured; n != nil && often(*n, e.Requests) {
		tone = toneBad
	}
	return known(e.ClientUnmeasured, tone)
}

// serverText is the server of an edge with its port.
func serverText(e *edge) string {
	port := ":" + strconv.Itoa(int(e.ServerPort))
	if e.ServerPort == 0 || strings.HasSuffix(e.Server, port) {
		return e.Server // an address of a peer can hold its port
	}
	return e.Server + " " + port
}

// connectionsTable is the second half of the edges: what the connections
// carried.
func connectionsTable(a *analyze.Analysis) table {
	return build("connections", "Connections of the edges", busiestEdges(a.Edges), []spec[edge]{
		{column{Head: "Client", Kind: kindName}, func(e *edge) cell { return named(e.Client) }},
		{column{Head: "Server", Kind: kindName}, func(e *edge) cell { return named(serverText(e)) }},
		{column{Head: "Kind", Hint: hintKind}, func(e *edge) cell { return word(e.Kind) }},
		{column{Head: "Seen on", Hint: "which ends of the connection were recorded"}, func(e *edge) cell { return word(e.Ends) }},
		{column{Head: "Via", Kind: kindName, Hint: hintVia, Optional: true}, func(e *edge) cell { return named(e.Via) }},
		number("Connections", "", 0, func(e *edge) cell { return counted(e.Connections) }),
		number("Matched", hintMatched, 0, func(e *edge) cell { return counted(e.Matched) }),
		number("Sent", "bytes sent by the client", 0, func(e *edge) cell { return cell{Text: BytesText(e.BytesSent)} }),
		number("Received", "bytes received by the client", 0, func(e *edge) cell { return cell{Text: BytesText(e.BytesReceived)} }),
		number("Retransmits", "TCP segments sent again", 0, func(e *edge) cell { return alarmed(e.Retransmits, toneWarn) }),
		odd("Untimed", hintUntimed, 0, func(e *edge) cell { return counted(e.Untimed) }),
		odd("Stream connections", hintStreams, 0, func(e *edge) cell { return counted(e.Streams.Connections) }),
		odd("Messages in", "messages of streams and one-way traffic, received", 0, func(e *edge) cell { return counted(e.Streams.MessagesIn) }),
		odd("Messages out", "messages of streams and one-way traffic, sent", 0, func(e *edge) cell { return counted(e.Streams.MessagesOut) }),
		odd("Message rate", "messages a second", 0, func(e *edge) cell { return cell{Text: rateText(e.Streams.RatePerS)} }),
		odd("One way", hintOneWay, 0, func(e *edge) cell { return counted(e.Streams.OneWay) }),
	})
}
