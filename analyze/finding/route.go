package finding

import (
	"cmp"
	"math"
	"slices"
)

// route is all edges from one service to another at one port.
type route struct {
	client, server string
	port           int32
	sight          // of the ends that count

	count, answered, failed, connects, bytes series // sums a window
	// repeated is the requests on the route for each that came in to the system on
	// the way to it. If all who ask are asked themselves, nothing comes in: then it
	// is the requests a second.
	repeated series
	entries  []*route // where those come in; none: the route is part of a closed cycle
}

func (r *route) name() string { return r.client + " → " + r.server }

// routesOf adds up the edges of in, sorted by name.
func (s *search) routesOf(in *Input) []*route {
	type key struct {
		client, server string
		port           int32
	}
	byKey, sights := map[key]*route{}, map[int]sight{}
	var list []*route
	for i := range in.Edges {
		e := &in.Edges[i]
		k := key{e.Client.Service, e.Server.Service, e.Port}
		if k.client == k.server || !e.ClientRecorded && !e.ServerRecorded {
			continue
		}
		r := byKey[k]
		if r == nil {
			r = newRoute(k.client, k.server, k.port, len(in.Windows))
			byKey[k], list = r, append(list, r)
		}
		for _, end := range e.recorded() {
			if end.Index < 0 || end.Index >= len(in.Instances) {
				continue
			}
			node := in.Instances[end.Index].Node
			if _, ok := sights[node]; !ok {
				sights[node] = s.sightOf(in, node, requestTable)
			}
			r.see(sights[node])
		}
		r.add(e)
	}
	slices.SortFunc(list, func(a, b *route) int {
		return cmp.Or(cmp.Compare(a.client, b.client), cmp.Compare(a.server, b.server), cmp.Compare(a.port, b.port))
	})
	setEntries(list)
	for _, r := range list {
		r.setRepeated(in.WindowNs)
	}
	return list
}

func newRoute(client, server string, port int32, windows int) *route {
	r := &route{client: client, server: server, port: port, sight: sight{ok: make([]bool, windows), coverage: make(series, windows)}}
	for _, v := range []*series{&r.count, &r.answered, &r.failed, &r.connects, &r.bytes} {
		*v = make(series, windows)
	}
	for i := range windows {
		r.ok[i], r.coverage[i] = true, 1
	}
	return r
}

// recorded are the ends of an edge that were.
func (e *Edge) recorded() []End {
	var ends []End
	if e.ClientRecorded {
		ends = append(ends, e.Client)
	}
	if e.ServerRecorded {
		ends = append(ends, e.Server)
	}
	return ends
}

// see leaves out the windows that an end's node did not see.
func (r *route) see(v sight) {
	r.lacks = cmp.Or(r.lacks, v.lacks)
	for i := range r.ok {
		r.ok[i] = r.ok[i] && v.ok[i]
		r.coverage[i] = min(r.coverage[i], v.coverage[i])
	}
}

// add adds an edge, in each window by the end that counted more: a client that
// gave up has no answer to count, and a server that did not read has no request.
func (r *route) add(e *Edge) {
	for i := range e.Windows {
		w := &e.Windows[i]
		at := &w.AtClient
		if !e.ClientRecorded || e.ServerRecorded && w.AtServer.Count > at.Count {
			at = &w.AtServer
		}
		r.count[i] += float64(max(at.Count, 0))
		r.answered[i] += float64(answered(at))
		r.failed[i] += float64(max(at.Errors, 0) + max(at.InFlight, 0) + max(w.FailedConnects, 0))
		r.connects[i] += float64(max(w.Connects, 0))
		r.bytes[i] += float64(max(at.Bytes, 0))
	}
}

// setEntries finds for each route where its requests come in: the routes of clients
// that nobody asks, from which it can be reached.
func setEntries(list []*route) {
	from, asked := map[string][]*route{}, map[string]bool{}
	for _, r := range list {
		from[r.client] = append(from[r.client], r)
		asked[r.server] = true
	}
	for _, entry := range list {
		if asked[entry.client] {
			continue
		}
		seen := map[string]bool{entry.server: true}
		for next := []string{entry.server}; len(next) > 0; next = next[1:] {
			for _, r := range from[next[0]] {
				r.entries = append(r.entries, entry)
				if !seen[r.server] {
					seen[r.server] = true
					next = append(next, r.server)
				}
			}
		}
	}
}

func (r *route) setRepeated(windowNs int64) {
	r.repeated = blank(len(r.count))
	for i := range r.repeated {
		in, ok := 0.0, r.ok[i]
		for _, e := range r.entries {
			in, ok = in+e.count[i], ok && e.ok[i]
		}
		switch {
		case !ok:
		case len(r.entries) == 0:
			r.repeated[i] = r.count[i] / float64(windowNs) * 1e9
		case in > 0:
			r.repeated[i] = r.count[i] / in
		}
	}
}

// share is by window the part of the requests that another sum is.
func (r *route) share(of series) series {
	v := blank(len(of))
	for i := range v {
		if r.ok[i] && r.count[i] > 0 {
			v[i] = of[i] / r.count[i]
		}
	}
	return v
}

// entered is by window how many of the requests that came in were answered.
func (r *route) entered() series {
	v := blank(len(r.count))
	for i := range v {
		if len(r.entries) == 0 || math.IsNaN(r.repeated[i]) {
			continue
		}
		v[i] = 0
		for _, e := range r.entries {
			v[i] += e.answered[i]
		}
	}
	return v
}
