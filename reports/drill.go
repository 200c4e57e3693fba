package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"kmon/analyze"
)

// Bounds of the details of services in the HTML report.
const (
	drillServices = 400
	drillRows     = 2500 // of all their tables
)

// serviceView is the details of a service: its instances, their connections, and
// requests.
type serviceView struct {
	Anchor, Name, About string
	Tables              []htmlTable
}

// drillPart is the details of services.
type drillPart struct {
	Services []serviceView
	LeftOut  string
}

// newDrillPart lists services in the order of the tables, the busiest first, with
// as many rows as there is room for.
func newDrillPart(a *analyze.Analysis) drillPart {
	d := drillPart{Services: []serviceView{}}
	connections := map[string][]analyze.Connection{}
	for _, c := range a.Connections {
		connections[c.Server] = append(connections[c.Server], c)
	}
	examples := map[string][]analyze.ExampleRequest{}
	for _, x := range a.Examples {
		examples[x.Server] = append(examples[x.Server], x)
	}
	all := connected(a)
	shown := all[:min(len(all), drillServices)]
	each := max(drillRows/max(3*len(shown), 1), 2)
	anchors := map[string]bool{}
	for _, s := range shown {
		if anchor := serviceAnchor(s.Name); !anchors[anchor] {
			anchors[anchor] = true
			d.Services = append(d.Services, newServiceView(&s, connections[s.Name], examples[s.Name], each))
		}
	}
	if more := len(all) - len(d.Services); more > 0 {
		d.LeftOut = CountText(int64(more)) + " more" + plural(more, " service") + " with less traffic: their details are in the json report."
	}
	return d
}

// newServiceView makes the details of one service, with at most so many rows a
// table.
func newServiceView(s *analyze.Service, connections []analyze.Connection, examples []analyze.ExampleRequest, rows int) serviceView {
	anchor := serviceAnchor(s.Name)
	v := serviceView{Anchor: anchor, Name: cut(nameText(s.Name), nameHTML), Tables: []htmlTable{}}
	words := []string{CountText(s.Requests) + plural(int(s.Requests), " request") + " served"}
	if s.Latency.Count > 0 {
		words = append(words, "p99 "+DurationText(s.Latency.P99))
	}
	if s.Unanswered > 0 {
		words = append(words, CountText(s.Unanswered)+" unanswered")
	}
	if s.External {
		words = append(words, "outside of what was recorded")
	}
	v.About = strings.Join(words, ", ")
	slices.SortStableFunc(connections, func(a, b analyze.Connection) int { return cmp.Compare(b.Requests, a.Requests) })
	for _, t := range []table{
		instancesOf(anchor, leading(s.Instances, rows)),
		connectionsOf(anchor, leading(connections, rows)),
		requestsTable(anchor+"-requests", "Requests of "+nameText(s.Name), leading(examples, max(rows, 6)), false),
	} {
		v.Tables = append(v.Tables, filledTables(t)...)
	}
	return v
}

// leading is at most the first n of a list.
func leading[T any](list []T, n int) []T { return list[:min(len(list), n)] }

// detailed says which services have details on the page.
func detailed(a *analyze.Analysis) map[string]bool {
	all := connected(a)
	names := map[string]bool{}
	for _, s := range all[:min(len(all), drillServices)] {
		names[s.Name] = true
	}
	return names
}

// serviceAnchor is the id of a service's details: its name without what an id or a
// link may not hold.
func serviceAnchor(name string) string {
	var b strings.Builder
	for _, r := range cut(name, 80) {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-':
			b.WriteRune(r)
		default:
			b.WriteString("_" + strconv.FormatInt(int64(r), 16))
		}
	}
	return "service-" + b.String()
}

// contrastSpec is the column that compares a p99.
func contrastSpec[T any](hint string, of func(*T) *analyze.Contrast) spec[T] {
	return odd("Against peers", hint, 2, func(t *T) cell {
		c := of(t)
		if c == nil {
			return cell{Text: absent}
		}
		out := cell{Text: ratioText(c.Ratio)}
		if c.Ratio >= slowRatio {
			out.Tone = toneWarn
		}
		return out
	})
}

// instancesOf lists the instances of a service.
func instancesOf(anchor string, instances []analyze.Instance) table {
	type item = analyze.Instance
	t := build(instancesID(anchor), "Instances", instances, []spec[item]{
		{column{Head: "Instance", Kind: kindName}, func(i *item) cell { return named(i.Name) }},
		{column{Head: "Host", Kind: kindName}, func(i *item) cell { return named(i.Host) }},
		number("Requests", "served", 0, func(i *item) cell { return counted(i.Requests) }),
		number("Rate", "", 0, func(i *item) cell { return cell{Text: rateText(i.RatePerS)} }),
		latency("p50", "", 0, func(i *item) (analyze.Distribution, int64) { return i.Latency, i.Latency.P50 }),
		latency("p99", "", 0, func(i *item) (analyze.Distribution, int64) { return i.Latency, i.Latency.P99 }),
		contrastSpec("p99 against the median p99 of the other instances", func(i *item) *analyze.Contrast { return i.Contrast }),
	})
	t.Windowed = true
	return t
}

// instancesID names the table of the instances of a service.
func instancesID(anchor string) string { return anchor + "-instances" }

// connectionsOf lists connections to a service.
func connectionsOf(anchor string, connections []analyze.Connection) table {
	type item = analyze.Connection
	t := build(anchor+"-connections", "Connections", connections, []spec[item]{
		{column{Head: "Client", Kind: kindName}, func(c *item) cell { return named(cmp.Or(c.ClientInstance, c.Client)) }},
		{column{Head: "From", Hint: "the client's address", Kind: kindName}, func(c *item) cell { return named(c.ClientAddress) }},
		{column{Head: "Instance", Kind: kindName}, func(c *item) cell { return named(c.ServerInstance) }},
		{column{Head: "To", Hint: "the server's address", Kind: kindName}, func(c *item) cell { return named(c.ServerAddress) }},
		number("Requests", "", 0, func(c *item) cell { return counted(c.Requests) }),
		odd("Errors", "unanswered, or ended by a reset", 0, func(c *item) cell { return counted(c.Errors) }),
		latency("p50", "within 4%", 0, func(c *item) (analyze.Distribution, int64) { return c.Latency, c.Latency.P50 }),
		latency("p99", "within 4%", 0, func(c *item) (analyze.Distribution, int64) { return c.Latency, c.Latency.P99 }),
		latency("Max", "", 0, func(c *item) (analyze.Distribution, int64) { return c.Latency, c.Latency.Max }),
		number("Sent", "bytes by the client", 0, func(c *item) cell { return cell{Text: BytesText(c.BytesSent)} }),
		number("Received", "bytes by the client", 0, func(c *item) cell { return cell{Text: BytesText(c.BytesReceived)} }),
		odd("Retransmits", "of the ends that were seen closing", 0, func(c *item) cell {
			if c.Retransmits == nil {
				return cell{Text: absent}
			}
			return counted(*c.Retransmits)
		}),
		{column{Head: "Open", Hint: "UTC; before: older than the recording", Kind: kindWord}, func(c *item) cell { return word(openText(c)) }},
	})
	t.WholeSums = true
	return withTimes(t, connections, func(c *item) (from, to int64) { return c.OpenedNs, cmp.Or(c.ClosedNs, stillOpenNs) })
}

// stillOpenNs is later than any recording.
const stillOpenNs = 1 << 62

// openText says from when to when a connection was open.
func openText(c *analyze.Connection) string {
	from, to := "before", "still open"
	if c.OpenedNs > 0 {
		from = clockText(c.OpenedNs)
	}
	if c.ClosedNs > 0 {
		to = clockText(c.ClosedNs)
		if c.CloseReason != "" {
			to += " (" + c.CloseReason + ")"
		}
	}
	return from + " – " + to
}

// slowestRequests are the slowest of all example requests.
func slowestRequests(a *analyze.Analysis, most int) []analyze.ExampleRequest {
	all := slices.DeleteFunc(slices.Clone(a.Examples), func(x analyze.ExampleRequest) bool { return x.Near != analyze.NearSlowest })
	slices.SortStableFunc(all, func(a, b analyze.ExampleRequest) int { return cmp.Compare(b.LatencyNs, a.LatencyNs) })
	return leading(all, most)
}

// slowestListed is how many of the slowest requests the short reports list.
const slowestListed = 10

// slowestTable lists the slowest requests of all services.
func slowestTable(a *analyze.Analysis) table {
	return requestsTable("slowest", "Slowest requests", slowestRequests(a, slowestListed), true)
}

// requestsTable lists requests; in a list of many services the server is a column.
func requestsTable(id, title string, requests []analyze.ExampleRequest, servers bool) table {
	type item = analyze.ExampleRequest
	part := func(head, hint string, of func(*item) int64) spec[item] {
		return number(head, hint, 3, func(x *item) cell { return cell{Text: DurationText(of(x))} })
	}
	who := spec[item]{column{Head: "Near", Hint: "what of the service's latency it is an example of", Kind: kindWord}, func(x *item) cell { return word(x.Near) }}
	if servers {
		who = spec[item]{column{Head: "Server", Kind: kindName}, func(x *item) cell { return named(x.Server) }}
	}
	t := build(id, title, requests, []spec[item]{
		who,
		{column{Head: "Begin", Hint: "UTC", Kind: kindWord}, func(x *item) cell { return word(clockText(x.StartNs)) }},
		{column{Head: "Client", Kind: kindName}, func(x *item) cell { return named(cmp.Or(x.ClientInstance, x.Client)) }},
		{column{Head: "Instance", Hint: "that served it", Kind: kindName, Rank: 4}, func(x *item) cell { return named(x.ServerInstance) }},
		number("Latency", "upload, server and download", 0, func(x *item) cell { return cell{Text: DurationText(x.LatencyNs)} }),
		part("Upload", "from the first to the last byte of the request", func(x *item) int64 { return x.UploadNs }),
		part("Server", "until the first byte of the answer", func(x *item) int64 { return x.ServerNs }),
		part("Download", "until the last byte of the answer", func(x *item) int64 { return x.DownloadNs }),
		number("Request", "bytes", 4, func(x *item) cell { return cell{Text: BytesText(x.RequestBytes)} }),
		number("Answer", "bytes", 4, func(x *item) cell { return cell{Text: BytesText(x.AnswerBytes)} }),
		number("PID/TID", "process and thread on the end that was timed", 5, func(x *item) cell { return word(fmt.Sprintf("%d/%d", x.PID, x.TID)) }),
		{column{Head: "Socket", Hint: "client's address, and the id of table sockets on the end that was timed", Kind: kindName, Rank: 6},
			func(x *item) cell { return named(fmt.Sprintf("%s (%d, %s)", x.ClientAddress, x.SocketID, x.End)) }},
		odd("Lost nearby", "exchanges known to be lost in periods that meet it", 1, func(x *item) cell {
			if x.LostNearby < 0 {
				return cell{Text: "some", Tone: toneWarn}
			}
			c := counted(x.LostNearby)
			if x.LostNearby > 0 {
				c.Tone = toneWarn
			}
			return c
		}),
	})
	return withTimes(t, requests, func(x *item) (from, to int64) { return x.StartNs, x.StartNs + x.LatencyNs })
}
