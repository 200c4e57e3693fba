package reports

import (
	"strings"

	"kmon/analyze"
)

// One-line explanations, used as column hints and as notes.
const (
	hintRequests      = "requests served, counted on the server's end where that was recorded"
	hintEnds          = "own end: the service itself was recorded; clients' end: it was not, so its numbers are what its clients saw, network included"
	hintLatency       = "from the first byte of the request received to the last byte of the answer sent; of answered requests only"
	hintUpload        = "from the first to the last message of the request"
	hintServer        = "from the last message of the request to the first of the answer: the service at work"
	hintDownload      = "from the first to the last message of the answer"
	hintServerLatency = "latency on the server's end; of answered requests only"
	hintClientLatency = "latency as the client saw it: first byte sent to last byte received; without requests that it gave up or nobody answered (Client unmeasured)"
	hintUnmeasured    = "requests that are in no latency at the client's end: the client gave them up, a reset ended them, nobody answered until the recording ended, or they were not timed"
	hintNetwork       = "client latency less server latency, per request that both have: network and queues"
	hintCoverage      = "seen / (seen + lost): 100% means no loss is known"
	hintUnanswered    = "requests whose connection ended without an answer"
	hintInFlight      = "requests that had no answer yet when the recording ended"
	hintUntimed       = "requests counted without a latency: their connection was joined midway or interleaved"
	hintResets        = "connections that ended by a reset or timeout"
	hintFailed        = "connects that ended without a connection"
	hintStreams       = "connections whose messages do not pair as request and answer: message rates only, no latency"
	hintOneWay        = "bursts with neither request nor answer to them: pushes, greetings, goodbyes"
	hintMatched       = "requests seen on both ends"
	hintVia           = "service address that was translated on the way (destination NAT)"
	hintKind          = "request, stream, mixed, or connect-only"
)

// definition is a term and what it means in plain words.
type definition struct {
	Term, Meaning string
}

// Spans divides Meaning for HTML.
func (d definition) Spans() []span { return spans(d.Meaning) }

// span is a part of a text; Code is what somebody may type.
type span struct {
	Text string
	Code bool
}

// spans divides a text at its backticks, if these are in pairs.
func spans(text string) (list []span) {
	parts := strings.Split(text, "`")
	if len(parts)%2 == 0 {
		return []span{{Text: text}}
	}
	for i, part := range parts {
		if part != "" {
			list = append(list, span{part, i%2 == 1})
		}
	}
	return list
}

// definitions is the "how to read" section.
func definitions(a *analyze.Analysis) []definition {
	d := []definition{
		{"Request", "A burst of messages to a service on one connection and the burst that answers it. It is counted on the server's end, or on the client's where the server was not recorded. One request at a time per connection is assumed; connections that break this are streams."},
		{"Latency", "Time from the first byte of the request received to the last byte of the answer sent, before the next request on that connection. It has three parts. A request that nobody answered has none."},
		{"Upload", "Time " + hintUpload + ": a large or slowly sent request."},
		{"Server", "Time " + hintServer + ", or waiting for others."},
		{"Download", "Time " + hintDownload + ": a large answer, or a slow reader."},
		{"Client latency", "Time from the first byte the client sent to the last byte it received. Needs the client's end in a capture. Requests that the client gave up, or that a reset ended first, have none, so that an edge of timeouts can have a fast p99: Client unmeasured counts them."},
		{"Network", "Client latency less server latency, for requests seen on both ends: network and queues."},
		{"p50, p90, p95, p99", "Half, 90%, 95%, 99% of the timed requests took at most this long."},
		{"Coverage", "Events seen, divided by events seen and lost. At 100% no loss is known. Below 90% treat numbers as hints."},
	}
	d = append(d, cpuDefinitions(a)...)
	d = append(d, nodeDefinitions(a)...)
	d = append(d, definition{absent, "Not measured, or nothing to measure. It never means 0."})
	if a.Quantiles != "" {
		d = append(d, definition{"Quantiles", visible(a.Quantiles)})
	}
	return d
}

// oddities explains the unusual counts that are present, one line each.
func oddities(a *analyze.Analysis) []definition {
	var sum struct{ unanswered, unmeasured, inFlight, untimed, resets, failed, streams, oneWay, clients int64 }
	for i := range a.Services {
		s := &a.Services[i]
		sum.unanswered += s.Unanswered
		sum.inFlight += s.InFlight
		sum.untimed += s.Untimed
		sum.resets += s.Resets
		sum.streams += s.Streams.Connections
		sum.oneWay += s.Streams.OneWay
		if s.Ends == "client" {
			sum.clients++
		}
	}
	for i := range a.Edges {
		sum.failed += a.Edges[i].Failed
		if n := a.Edges[i].ClientUnmeasured; n != nil {
			sum.unmeasured += *n
		}
	}
	notes := []definition{}
	for _, o := range []struct {
		n             int64
		term, meaning string
	}{
		{sum.unanswered, "unanswered", hintUnanswered},
		{sum.unmeasured, "client unmeasured", hintUnmeasured},
		{sum.failed, "failed connects", hintFailed},
		{sum.resets, "resets", hintResets},
		{sum.inFlight, "in flight", hintInFlight},
		{sum.untimed, "untimed", hintUntimed},
		{sum.streams, "streams", hintStreams},
		{sum.oneWay, "one way", hintOneWay},
		{sum.clients, "measured on the clients' end", "services that were not recorded themselves: their numbers are what their clients saw, network included"},
	} {
		if o.n > 0 {
			notes = append(notes, definition{o.term + " (" + CountText(o.n) + ")", o.meaning})
		}
	}
	return notes
}
