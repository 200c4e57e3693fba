package analyze

import (
	"cmp"
	"math"
	"slices"

	"kmon/analyze/replay"
	"kmon/analyze/request"
)

const (
	// maxExamplesListed bounds the example requests of all services.
	maxExamplesListed = 2000
	// Of each service as many of its slowest, and near each quantile, are listed.
	slowestListed = 10
	nearListed    = 5
	// nearFactor is how far from a quantile a request may be to stand for it.
	nearFactor = 1.25
)

// What an example is of.
const (
	NearSlowest = "slowest"
	NearP99     = "p99"
	NearP50     = "p50"
)

// listExamples lists example requests of the services that the filter lets
// through: of each the slowest, then some near p99 and p50.
func (r *run) listExamples(services []*serviceSum) []ExampleRequest {
	served := []*serviceSum{}
	for _, s := range services {
		if stats, _ := s.counted(); r.wanted(s.Name) && len(stats.Examples.Slowest) > 0 {
			served = append(served, s)
		}
	}
	requests := func(s *serviceSum) int64 { stats, _ := s.counted(); return stats.Requests }
	slices.SortStableFunc(served, func(a, b *serviceSum) int { return cmp.Compare(requests(b), requests(a)) })
	served = served[:min(len(served), maxExamplesListed)]
	each := maxExamplesListed / max(len(served), 1)
	slices.SortFunc(served, func(a, b *serviceSum) int { return cmp.Compare(a.Name, b.Name) })
	list := []ExampleRequest{}
	for _, s := range served {
		stats, _ := s.counted()
		list = append(list, r.examplesOf(stats, min(slowestListed, max(each/2, 1)), min(nearListed, each/4))...)
	}
	return list
}

// examplesOf picks the examples of one service.
func (r *run) examplesOf(stats *request.Stats, slowest, near int) []ExampleRequest {
	list := []ExampleRequest{}
	taken := stats.Examples.Slowest[:min(len(stats.Examples.Slowest), slowest)]
	for i := range taken {
		list = append(list, r.example(&taken[i], NearSlowest))
	}
	taken = slices.Clone(taken)
	latency := stats.Latency()
	for _, q := range []struct {
		name string
		q    float64
	}{{NearP99, 0.99}, {NearP50, 0.50}} {
		found := nearest(slices.Concat(stats.Examples.Drawn, stats.Examples.Slowest), taken, latency.Quantile(q.q), near)
		for i := range found {
			list = append(list, r.example(&found[i], q.name))
		}
		taken = append(taken, found...)
	}
	return list
}

// nearest gives the examples nearest to a latency that are not taken yet, the
// slowest first.
func nearest(from, taken []request.Example, ns int64, most int) []request.Example {
	distance := func(x request.Example) float64 {
		return math.Abs(math.Log(float64(max(x.LatencyNs(), 1)) / float64(max(ns, 1))))
	}
	var list []request.Example
	for _, x := range from {
		if distance(x) <= math.Log(nearFactor) && !slices.Contains(taken, x) && !slices.Contains(list, x) {
			list = append(list, x)
		}
	}
	order := func(a, b request.Example) int {
		return cmp.Or(cmp.Compare(a.StartNs, b.StartNs), cmp.Compare(a.Capture, b.Capture), cmp.Compare(a.SocketID, b.SocketID))
	}
	slices.SortStableFunc(list, func(a, b request.Example) int { return cmp.Or(cmp.Compare(distance(a), distance(b)), order(a, b)) })
	list = list[:min(len(list), most)]
	slices.SortStableFunc(list, func(a, b request.Example) int { return cmp.Or(cmp.Compare(b.LatencyNs(), a.LatencyNs()), order(a, b)) })
	return list
}

// example writes a request.
func (r *run) example(x *request.Example, near string) ExampleRequest {
	c, e := r.captures[x.Capture], r.edgeOfCell(x.Cell)
	local, remote := address(c, x.Local, x.LocalPort), address(c, x.Remote, x.RemotePort)
	out := ExampleRequest{
		Near: near, Client: e.client, Server: e.server, ServerPort: e.port,
		End: "server", Host: c.Host(), PID: x.PID, TID: x.TID, SocketID: x.SocketID, ClientAddress: remote, ServerAddress: local,
		StartNs: x.StartNs + c.OffsetNs, LatencyNs: x.LatencyNs(), UploadNs: x.UploadNs, ServerNs: x.ServerNs, DownloadNs: x.DownloadNs,
		RequestBytes: x.RequestBytes, AnswerBytes: x.AnswerBytes, RequestMessages: x.RequestMessages, AnswerMessages: x.AnswerMessages,
		LostNearby: lostDuring(c, "exchanges", x.StartNs, x.StartNs+x.LatencyNs()), capture: x.Capture,
	}
	if r.topology.Cells[x.Cell].Client {
		out.End, out.ClientAddress, out.ServerAddress = "client", local, remote
	}
	if x.Flags != 0 {
		out.Flags = x.Flags.String()
	}
	out.ClientInstance, out.ServerInstance = r.instancesOfCell(x.Cell)
	return out
}

// lostDuring is how many rows of a table are known to be lost in periods that meet
// a time (monotonic), -1 if some that nothing counted are.
func lostDuring(c *replay.Capture, table string, startNs, endNs int64) int64 {
	lost := int64(0)
	for i := range c.Losses {
		l := &c.Losses[i]
		if l.Table != table || l.StartNs > endNs || l.EndNs < startNs {
			continue
		}
		if l.Count < 0 {
			return -1
		}
		lost += l.Count
	}
	return lost
}
