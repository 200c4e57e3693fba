package reports

import (
	"fmt"

	"kmon/analyze"
)

// mesh is a company of about n services: clients outside, gateways, teams with
// services that call others a tier further and shards of databases; some edges are
// slow, some unanswered.
func mesh(n int) *analyze.Analysis {
	a := shop()
	a.Services, a.Edges = []analyze.Service{}, []analyze.Edge{}
	tiers := [][]string{{}, {}, {}, {}, {}}
	add := func(tier int, name string) { tiers[tier] = append(tiers[tier], name) }
	for i := range max(n/12, 1) {
		add(0, fmt.Sprintf("203.0.113.%d", i+1))
	}
	for i := range max(n/30, 1) {
		add(1, fmt.Sprintf("gateway-%d", i+1))
	}
	teams := []string{"cart", "search", "payments", "catalog", "users", "mail", "stock"}
	for i := range n / 3 {
		add(2, fmt.Sprintf("%s-%s", teams[i%7], []string{"api", "worker", "admin", "feed", "sync"}[i/7%5])+when(i >= 35, fmt.Sprintf("-%d", i/35)))
	}
	for i := range n / 4 {
		add(3, fmt.Sprintf("%s-cache-%02d", teams[i%7], i/7))
	}
	for i := range max(n-len(tiers[0])-len(tiers[1])-n/3-n/4, 1) {
		add(4, fmt.Sprintf("postgres-%s-%02d", teams[i%7], i/7))
	}
	for tier, names := range tiers {
		for i, name := range names {
			s := shopService(name, int64(1+(i*7919)%400), int64(200+(i*104729)%9000)*microsecond)
			s.External, s.Series = tier == 0, s.Series[:5]
			if tier == 0 {
				s = analyze.Service{Name: name, Source: "address", External: true, Instances: []analyze.Instance{}, Series: []analyze.Point{}}
			}
			a.Services = append(a.Services, s)
			for k := 1; tier+k < len(tiers) && k < 3; k++ {
				to := tiers[tier+k]
				if len(to) == 0 {
					continue
				}
				a.Edges = append(a.Edges, contrasted(shopEdge(name, to[(i*k)%len(to)], int32(8000+k), int64(1+(i*6007)%250), millisecond), len(a.Edges)))
			}
		}
	}
	return a
}

// contrasted gives edge number i something to compare with, and now and then a
// fault.
func contrasted(e analyze.Edge, i int) analyze.Edge {
	ratio := []float64{1, 1.1, 0.8, 1, 2.2, 1, 1.2, 5.5}[i%8]
	if i%9 != 4 {
		e.Contrast = &analyze.Contrast{Ratio: ratio, P99: int64(ratio * float64(millisecond)), ReferenceP99: millisecond,
			Reference: []string{"peers", "its own quiet windows"}[i%2], End: "client", Requests: e.Requests}
	}
	if i%23 == 11 {
		e.Unanswered = 3
	}
	return e
}

// drilled is the shop with connections and example requests.
func drilled() *analyze.Analysis {
	a := shop()
	for i := range a.Edges {
		a.Edges[i] = contrasted(a.Edges[i], i)
	}
	three := int64(3)
	for i, server := range []string{"cart", "checkout", "postgres"} {
		s := &a.Services[[]int{1, 2, 4}[i]]
		other := s.Instances[0]
		other.Name = server + "-slow"
		other.Contrast = &analyze.Contrast{Ratio: 3.2, P99: 32, ReferenceP99: 10, Reference: "peers", End: "server", Requests: 999}
		s.Instances = append(s.Instances, other)
		for k := range int64(6) {
			c := analyze.Connection{
				Client: "frontend", ClientInstance: "frontend-7d9f", Server: server, ServerInstance: server + "-7d9f", ServerPort: 8081, Among: "busiest", End: "server", Host: "node-1",
				SocketID: 100 + k, ClientAddress: fmt.Sprintf("10.0.0.5:%d", 40000+k), ServerAddress: "10.0.0.7:8081", Requests: 2400 - k, Latency: spread(2400-k, millisecond*(k+1)),
				BytesSent: 744000, BytesReceived: 6960000, OpenedNs: start + k*second,
			}
			if k%2 == 1 {
				c.Retransmits, c.ClosedNs, c.CloseReason = &three, start+50*second, "peer"
			}
			a.Connections = append(a.Connections, c)
		}
		for k, near := range []string{"slowest", "slowest", "slowest", "slowest", "slowest", "p99", "p99", "p50", "p50"} {
			ns := (900 - int64(k)*90 - int64(i)) * millisecond
			a.Examples = append(a.Examples, analyze.ExampleRequest{
				Near: near, Client: "frontend", ClientInstance: "frontend-7d9f", Server: server, ServerInstance: server + "-7d9f", ServerPort: 8081, End: "server", Host: "node-1",
				PID: 1200, TID: 1207, SocketID: 100 + int64(k), ClientAddress: "10.0.0.5:40000", ServerAddress: "10.0.0.7:8081", StartNs: start + int64(25+k)*second + 123*millisecond,
				LatencyNs: ns, UploadNs: ns / 100, ServerNs: ns - ns/100 - ns/10, DownloadNs: ns / 10, RequestBytes: 310, AnswerBytes: 2900, RequestMessages: 2, AnswerMessages: 3,
				LostNearby: int64(k%2) * 40,
			})
		}
	}
	return a
}
