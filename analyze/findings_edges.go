package analyze

import (
	"cmp"
	"slices"

	"kmon/analyze/finding"
)

// otherServices stands for the ends of edges with few requests.
const otherServices = "other services"

// inputEnd is one end of an edge: an instance, else a service.
type inputEnd struct {
	service string
	entity  int32 // index in inputBuilder.list; -1: several, not known, or not recorded
}

// inputEdge is what tells edges apart.
type inputEdge struct {
	client, server inputEnd
	port           int32
}

// edgeParts is what an edge is made of.
type edgeParts struct {
	inputEdge
	cells, lines []int32 // of the topology
	requests     int64   // on the end with more
	connects     int64
}

// addEdges lists the requests between instances.
func (b *inputBuilder) addEdges() {
	parts := b.edgeParts()
	edges := make([]finding.Edge, len(parts))
	ofLine := make([]int32, len(b.topology.Lines))
	for i := range parts {
		p := &parts[i]
		e := &edges[i]
		*e = finding.Edge{Client: b.edgeEnd(p.client), Server: b.edgeEnd(p.server), Port: p.port, Windows: make([]finding.EdgeWindow, b.windows.Count)}
		for _, cell := range p.cells {
			b.addCell(e, cell)
		}
		for _, line := range p.lines {
			ofLine[line] = int32(i)
			l := &b.topology.Lines[line]
			e.ClientRecorded = e.ClientRecorded || l.ClientRecorded
			e.ServerRecorded = e.ServerRecorded || l.ServerRecorded
		}
		if !b.faultsRecorded(p) {
			for w := range e.Windows {
				e.Windows[w].Retransmits, e.Windows[w].Resets = finding.NotRecorded, finding.NotRecorded
			}
		}
	}
	b.addConnects(edges, ofLine)
	b.addFaults(edges, ofLine)
	b.in.Edges = edges
}

// edgeEnd writes an end.
func (b *inputBuilder) edgeEnd(e inputEnd) finding.End {
	if e.entity < 0 {
		return finding.End{Service: e.service, Index: -1}
	}
	of := &b.list[e.entity]
	return finding.End{Service: of.service, Instance: of.name, Host: of.host, Index: of.index}
}

// instanceEnd gives the end that an instance is.
func (b *inputBuilder) instanceEnd(i int32) inputEnd {
	e := &b.list[i]
	if e.folded || e.rest {
		return inputEnd{e.service, -1}
	}
	return inputEnd{e.service, i}
}

// edgeParts finds which cells and lines make an edge, sorted by name.
func (b *inputBuilder) edgeParts() []edgeParts {
	t, answering := b.topology, b.answering()
	index, list := map[inputEdge]int{}, []edgeParts{}
	at := func(k inputEdge) *edgeParts {
		i, ok := index[k]
		if !ok {
			i = len(list)
			index[k] = i
			list = append(list, edgeParts{inputEdge: k})
		}
		return &list[i]
	}
	for i, cell := range t.Cells {
		e := t.Edges[t.EdgeOf[i]]
		k := inputEdge{inputEnd{t.Services[e.Client].Name, -1}, inputEnd{t.Services[e.Server].Name, -1}, e.ServerPort}
		own, peer := b.instanceEnd(b.instances[cell.Instance]), -1
		if cell.Peer >= 0 {
			peer = int(b.holders[cell.Peer])
		}
		switch {
		case !cell.Client:
			k.server = own
			if peer >= 0 {
				k.client = b.instanceEnd(int32(peer))
			}
		case peer >= 0:
			k.client, k.server = own, b.instanceEnd(int32(peer))
		default:
			k.client = own
			if i := answering[t.Endpoints[cell.Route]]; i > 0 {
				k.server = b.instanceEnd(i - 1)
			}
		}
		p := at(k)
		p.cells = append(p.cells, int32(i))
		p.requests += b.total.Stats(int32(i)).Requests
	}
	connects := b.connectsOfLines()
	for i, l := range t.Lines {
		e := t.RouteEdge[l.Route]
		if e < 0 {
			continue
		}
		k := inputEdge{inputEnd{t.Services[t.Edges[e].Client].Name, -1}, inputEnd{t.Services[t.Edges[e].Server].Name, -1}, t.Edges[e].ServerPort}
		if l.Client >= 0 {
			k.client = b.instanceEnd(b.holders[l.Client])
		}
		if l.Server >= 0 {
			k.server = b.instanceEnd(b.holders[l.Server])
		} else if i := answering[t.Endpoints[l.Route]]; i > 0 {
			k.server = b.instanceEnd(i - 1)
		}
		p := at(k)
		p.lines = append(p.lines, int32(i))
		p.connects += connects[i]
	}
	return b.foldEdges(list)
}

// answering gives for each endpoint, of which only one instance answers, one more
// than its index; 0 for the others.
func (b *inputBuilder) answering() map[int32]int32 {
	found := map[int32]int32{}
	for _, cell := range b.topology.Cells {
		endpoint, i := b.topology.Endpoints[cell.Route], b.instances[cell.Instance]+1
		if cell.Client || endpoint < 0 {
			continue
		}
		if kept, ok := found[endpoint]; ok && kept != i {
			i = 0
		}
		found[endpoint] = i
	}
	return found
}

// connectsOfLines adds the connects of each line up.
func (b *inputBuilder) connectsOfLines() []int64 {
	list := make([]int64, len(b.topology.Lines))
	for k, n := range b.graph.Connects {
		list[k.Line] += n.Opened + n.Failed
	}
	return list
}

// foldEdges makes edges of services of those between instances that have the
// fewest requests, and one of all these where they are still too many.
func (b *inputBuilder) foldEdges(list []edgeParts) []edgeParts {
	b.sortEdges(list, true)
	before, limit := len(list), b.limit()
	for level := 0; len(list) > limit && level < 3; level++ {
		kept := limit / 2
		index := map[inputEdge]int{}
		folded := slices.Clone(list[:kept])
		for _, p := range list[kept:] {
			k := p.folded(level)
			i, ok := index[k]
			if !ok {
				i = len(folded)
				index[k] = i
				folded = append(folded, edgeParts{inputEdge: k})
			}
			to := &folded[i]
			to.cells, to.lines = append(to.cells, p.cells...), append(to.lines, p.lines...)
			to.requests, to.connects = to.requests+p.requests, to.connects+p.connects
		}
		list = folded
		b.sortEdges(list, true)
	}
	if len(list) < before {
		b.remark("%d edges between processes with few requests are folded for findings: there are too many", before-len(list))
	}
	b.sortEdges(list, false)
	return list
}

// folded gives the edge that an edge becomes a part of.
func (p *edgeParts) folded(level int) inputEdge {
	switch level {
	case 0:
		return inputEdge{inputEnd{p.client.service, -1}, inputEnd{p.server.service, -1}, p.port}
	case 1:
		return inputEdge{inputEnd{otherServices, -1}, inputEnd{p.server.service, -1}, p.port}
	}
	return inputEdge{inputEnd{otherServices, -1}, inputEnd{otherServices, -1}, 0}
}

// sortEdges sorts by name, or by what they carry first.
func (b *inputBuilder) sortEdges(list []edgeParts, busy bool) {
	name := func(e inputEnd) entityKey {
		if e.entity < 0 {
			return entityKey{service: e.service}
		}
		return b.list[e.entity].entityKey
	}
	slices.SortFunc(list, func(x, y edgeParts) int {
		if c := cmp.Or(cmp.Compare(y.requests, x.requests), cmp.Compare(y.connects, x.connects)); busy && c != 0 {
			return c
		}
		return cmp.Or(name(x.client).compare(name(y.client)), name(x.server).compare(name(y.server)), cmp.Compare(x.port, y.port))
	})
}

// addCell adds the requests of a cell.
func (b *inputBuilder) addCell(e *finding.Edge, cell int32) {
	client := b.topology.Cells[cell].Client
	e.ClientRecorded, e.ServerRecorded = e.ClientRecorded || client, e.ServerRecorded || !client
	windows := b.total.Stats(cell).Windows
	for i := range windows {
		w := &e.Windows[b.index(windows[i].Index)]
		if client {
			addRequests(&w.AtClient, &windows[i])
		} else {
			addRequests(&w.AtServer, &windows[i])
		}
	}
}

// faultsRecorded says whether retransmits and resets were recorded on a host of the
// edge's ends.
func (b *inputBuilder) faultsRecorded(p *edgeParts) bool {
	on := func(host string) bool {
		at := b.node(host)
		return at >= 0 && b.nodes[at].faults
	}
	if slices.ContainsFunc(p.cells, func(c int32) bool { return b.nodes[b.nodeOf[b.topology.Cells[c].Capture]].faults }) {
		return true
	}
	return slices.ContainsFunc(p.lines, func(i int32) bool {
		l := &b.topology.Lines[i]
		return l.ClientRecorded && l.Client >= 0 && on(b.topology.Holders[l.Client].Host) ||
			l.ServerRecorded && l.Server >= 0 && on(b.topology.Holders[l.Server].Host)
	})
}

// addConnects adds connections by when they were opened.
func (b *inputBuilder) addConnects(edges []finding.Edge, ofLine []int32) {
	first := b.graph.Windows
	for k, n := range b.graph.Connects {
		l := &b.topology.Lines[k.Line]
		if b.topology.RouteEdge[l.Route] < 0 {
			continue
		}
		at := b.windows.Of(first.BaseNs + int64(k.Window)*first.WidthNs)
		w := &edges[ofLine[k.Line]].Windows[at]
		w.Connects += n.Opened
		w.FailedConnects += n.Failed
		if l.ClientRecorded && l.Client >= 0 {
			in := &b.in.Instances[b.list[b.holders[l.Client]].index].Windows[at]
			in.Connects += n.Opened + n.Failed
			in.FailedConnects += n.Failed
		}
	}
	if b.graph.Uncounted > 0 {
		b.remark("%d connects are not looked at for findings: they are between too many processes", b.graph.Uncounted)
	}
}

// addFaults adds retransmits and resets to the edges of their sockets.
func (b *inputBuilder) addFaults(edges []finding.Edge, ofLine []int32) {
	for i, steps := range b.gather.network {
		for k, n := range steps.Faults {
			end, ok := b.graph.Watched[i][k.Socket]
			if !ok || end.Line < 0 || b.topology.RouteEdge[b.topology.Lines[end.Line].Route] < 0 {
				continue
			}
			w := &edges[ofLine[end.Line]].Windows[k.Index]
			if w.Retransmits < 0 {
				continue
			}
			w.Retransmits += n.Retransmits
			if !end.Second {
				w.Resets += n.Resets
			}
		}
	}
}
