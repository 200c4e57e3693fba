package analyze

import (
	"cmp"
	"slices"

	"kmon/analyze/request"
	"kmon/analyze/topology"
)

// maxListed is how many external clients of a service, and how many of its
// instances, are listed by name; the rest are one.
const maxListed = 64

// edgeKey is what tells edges apart.
type edgeKey struct {
	client, server string
	port           int32
}

// edgeSum is what an edge adds up from cells and sockets.
type edgeSum struct {
	edgeKey
	via            string
	sockets        topology.RouteStats
	client, server request.Stats // counted on either end
	captures       map[int32]bool
}

// primary gives the end that the edge's requests are counted on: the
// server's when it was recorded.
func (e *edgeSum) primary() *request.Stats {
	if e.server.Rows > 0 {
		return &e.server
	}
	return &e.client
}

// serviceSum is what a service adds up.
type serviceSum struct {
	topology.Service
	served    request.Stats // on its own end
	seen      request.Stats // on the ends of its clients
	in, out   int64         // bytes on its own ends
	streams   int64
	resets    int64
	instances []instanceSum
	captures  map[int32]bool
}

type instanceSum struct {
	topology.Instance
	served   request.Stats
	detailed bool // told window by window
}

// detailInstances chooses those that are told window by window: of services that have
// several, the busiest.
func detailInstances(services []*serviceSum) {
	var all []*instanceSum
	for _, s := range services {
		for i := range s.instances {
			if len(s.instances) > 1 && s.instances[i].served.Requests > 0 {
				all = append(all, &s.instances[i])
			}
		}
	}
	for i, among := range mostOf(len(all), maxClassed, func(i int) int64 { return all[i].served.Requests }) {
		all[i].detailed = among
	}
}

// assemble makes the Analysis of what was counted, but for what conclude adds.
func (r *run) assemble() *Analysis {
	a := &Analysis{
		Schema: Schema, Version: r.options.Version,
		StartNs: r.start, EndNs: r.end, WindowNs: r.frame.WidthNs,
		Filter:    Filter{Since: r.options.Since, Until: r.options.Until, Services: r.options.Services},
		Quantiles: quantilesText,
	}
	c := r.coverage()
	edges := r.sumEdges()
	services := r.sumServices(edges)
	lost := r.lostPerWindow("exchanges")
	a.Edges = []Edge{}
	detailed := mostOf(len(edges), maxClassed, func(i int) int64 { return edges[i].primary().Requests })
	for i, e := range edges {
		if r.wanted(e.edgeKey.client, e.edgeKey.server) {
			a.Edges = append(a.Edges, r.edge(e, c, lost, detailed[i]))
		}
	}
	a.HeatMaps = r.latencyMaps(edges)
	a.Services = []Service{}
	var all request.Stats
	detailInstances(services)
	spent := r.breakdowns()
	detailed = mostOf(len(services), maxClassed, func(i int) int64 { stats, _ := services[i].counted(); return stats.Requests })
	streaming := mostOf(len(services), maxClassed, func(i int) int64 { stats, _ := services[i].counted(); return messagesOf(stats) })
	for i, s := range services {
		if r.wanted(s.Name) {
			service := r.service(s, c, lost, detailed[i])
			if stats, _ := s.counted(); streaming[i] && messagesOf(stats) > 0 {
				service.StreamSeries = r.requestSums(stats, s.captures, func(w *request.Window) []int64 {
					return []int64{w.Messages.In, w.Messages.Out, w.Messages.OneWay}
				})
			}
			service.Breakdown = spent[s.Name]
			a.Services = append(a.Services, service)
			stats, _ := s.counted()
			all.Merge(stats)
		}
	}
	a.Series = r.series(&all, lost, nil, true)
	r.contrastEdges(a, edges)
	contrastInstances(a.Services)
	a.Connections, a.Examples = r.listConnections(), r.listExamples(services)
	return a
}

// conclude adds what is known once every table was read.
func (r *run) conclude(a *Analysis) error {
	for _, c := range r.captures {
		if err := c.NarrowStacks(); err != nil {
			return err
		}
	}
	a.Captures = r.describeCaptures(r.coverage())
	a.NotRecorded = r.listUnrecorded()
	a.Losses, a.LeftOut = r.losses(), r.leftOut()
	a.Marks = r.marks()
	a.Warnings = r.warnings(a)
	a.Verdict = r.verdict(a)
	return nil
}

// wanted says whether any of the names passes the filter.
func (r *run) wanted(names ...string) bool {
	if len(r.options.Services) == 0 {
		return true
	}
	return slices.ContainsFunc(names, func(name string) bool { return slices.Contains(r.options.Services, name) })
}

// sumEdges adds the cells and sockets up by edge, sorted.
func (r *run) sumEdges() []*edgeSum {
	t := r.topology
	sums := make([]*edgeSum, len(t.Edges))
	for i, e := range t.Edges {
		sums[i] = &edgeSum{
			edgeKey: edgeKey{t.Services[e.Client].Name, t.Services[e.Server].Name, e.ServerPort},
			via:     e.Via, sockets: e.RouteStats, captures: map[int32]bool{},
		}
	}
	for i, cell := range t.Cells {
		e, stats := sums[t.EdgeOf[i]], r.total.Stats(int32(i))
		e.captures[cell.Capture] = true
		if cell.Client {
			e.client.Merge(stats)
		} else {
			e.server.Merge(stats)
		}
	}
	return r.foldExternal(sums)
}

// foldExternal makes one client of all but the busiest external clients of
// each service and gives the edges sorted by name.
func (r *run) foldExternal(sums []*edgeSum) []*edgeSum {
	external := map[string]bool{}
	for _, s := range r.topology.Services {
		external[s.Name] = s.External
	}
	slices.SortStableFunc(sums, func(a, b *edgeSum) int {
		return cmp.Or(cmp.Compare(b.primary().Requests, a.primary().Requests), compareEdges(a, b))
	})
	clients := map[string]int{}
	index := map[edgeKey]*edgeSum{}
	var folded []*edgeSum
	for _, e := range sums {
		if external[e.edgeKey.client] && e.edgeKey.client != topology.UnknownPeer && e.edgeKey.client != topology.OtherExternal {
			clients[e.edgeKey.server]++
			if clients[e.edgeKey.server] > maxListed {
				e.edgeKey.client = topology.OtherExternal
			}
		}
		if first, ok := index[e.edgeKey]; ok {
			first.merge(e)
			continue
		}
		index[e.edgeKey] = e
		folded = append(folded, e)
	}
	slices.SortFunc(folded, compareEdges)
	return folded
}

func compareEdges(a, b *edgeSum) int {
	return cmp.Or(cmp.Compare(a.edgeKey.client, b.edgeKey.client),
		cmp.Compare(a.edgeKey.server, b.edgeKey.server), cmp.Compare(a.port, b.port))
}

func (e *edgeSum) merge(o *edgeSum) {
	e.client.Merge(&o.client)
	e.server.Merge(&o.server)
	e.sockets.Add(o.sockets)
	for c := range o.captures {
		e.captures[c] = true
	}
}

// sumServices adds edges and cells up by service, sorted by name. A service
// without an edge is not listed here: topics add those that did other work,
// see run.serviceOf.
func (r *run) sumServices(edges []*edgeSum) []*serviceSum {
	index := map[string]*serviceSum{}
	known := map[string]topology.Service{topology.OtherExternal: {Name: topology.OtherExternal, Source: topology.SourceAddress, External: true}}
	for _, s := range r.topology.Services {
		known[s.Name] = s
	}
	get := func(name string) *serviceSum {
		if index[name] == nil {
			index[name] = &serviceSum{Service: known[name], captures: map[int32]bool{}}
		}
		return index[name]
	}
	for _, e := range edges {
		client, server := get(e.edgeKey.client), get(e.edgeKey.server)
		server.served.Merge(&e.server)
		server.seen.Merge(&e.client)
		server.in += e.server.RequestBytes
		server.out += e.server.AnswerBytes
		client.in += e.client.AnswerBytes
		client.out += e.client.RequestBytes
		server.resets += e.sockets.Resets
		server.streams += e.streams()
		for c := range e.captures {
			client.captures[c], server.captures[c] = true, true
		}
	}
	r.sumInstances(index)
	services := make([]*serviceSum, 0, len(index))
	for _, s := range index {
		services = append(services, s)
	}
	slices.SortFunc(services, func(a, b *serviceSum) int { return cmp.Compare(a.Name, b.Name) })
	return services
}

// streams counts the stream connections at the edge's primary end.
func (e *edgeSum) streams() int64 {
	if e.server.Rows > 0 {
		return e.sockets.ServerStreams
	}
	return e.sockets.ClientStreams
}

// sumInstances gives each service its instances: the busiest by name, the
// rest as one.
func (r *run) sumInstances(index map[string]*serviceSum) {
	t := r.topology
	sums := make([]instanceSum, len(t.Instances))
	for i := range sums {
		sums[i].Instance = t.Instances[i]
	}
	for i, cell := range t.Cells {
		if !cell.Client {
			sums[cell.Instance].served.Merge(r.total.Stats(int32(i)))
		}
	}
	slices.SortFunc(sums, func(a, b instanceSum) int {
		return cmp.Or(cmp.Compare(b.served.Requests, a.served.Requests),
			cmp.Compare(a.Name, b.Name), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Service, b.Service))
	})
	for _, i := range sums {
		if s := index[t.Services[i.Service].Name]; s != nil {
			s.addInstance(i)
		}
	}
	for _, s := range index {
		slices.SortFunc(s.instances, func(a, b instanceSum) int {
			return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Host, b.Host))
		})
	}
}

func (s *serviceSum) addInstance(i instanceSum) {
	if len(s.instances) < maxListed {
		s.instances = append(s.instances, i)
		return
	}
	last := &s.instances[maxListed-1]
	last.served.Merge(&i.served)
	if last.Host != i.Host {
		last.Host = ""
	}
	last.Name, last.PIDs = topology.OtherProcesses, []int32{}
}
