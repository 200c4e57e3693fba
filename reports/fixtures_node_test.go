package reports

import (
	"kmon/analyze"
)

// latencies is a series of a disk about a rate of IOs and a median.
func latencies(n int, perS, p50 int64) []analyze.DiskPoint {
	points := []analyze.DiskPoint{}
	for _, w := range waves(n, perS, p50) {
		points = append(points, analyze.DiskPoint{
			StartNs: w.StartNs, Partial: w.Partial, IOs: w.Requests, ReadBytes: w.Requests * 4096, WriteBytes: w.Requests * 8192,
			P50: w.P50, P99: w.P99, Max: w.Max, Count: w.Count,
		})
	}
	return points
}

// nodeDisk is a disk with reads of 4 KiB and writes of 64 KiB.
func nodeDisk(name, kind string, perS, p50 int64) analyze.Disk {
	n := perS * 60
	return analyze.Disk{
		Capture: shopCapture().File, Name: name, Kind: kind, Mounts: []string{}, Below: []string{}, IOs: n, RatePerS: float64(perS),
		ReadBytes: n * 4096 * 3 / 4, WriteBytes: n * 65536 / 4, ReadBytesPerS: float64(perS) * 3072, WriteBytesPerS: float64(perS) * 16384,
		Latency: spread(n, p50), Queue: spread(n*9/10, p50/8), Device: spread(n, p50*7/8), MeanInFlight: float64(perS*p50) / 1e9,
		Operations: []analyze.DiskOperation{
			{Operation: "read", SizeTo: 4096, IOs: n * 3 / 4, Bytes: n * 4096 * 3 / 4, Latency: spread(n*3/4, p50*9/10), Device: spread(n*3/4, p50*8/10)},
			{Operation: "write", SizeTo: 65536, IOs: n / 4, Bytes: n * 65536 / 4, Latency: spread(n/4, p50*2), Device: spread(n/4, p50*3/2)},
			{Operation: "flush", IOs: 12, Latency: spread(12, p50*9), Device: spread(12, p50*9)},
		},
		Users: []analyze.DiskUser{
			{Service: "postgres", IOs: n * 3 / 4, ReadBytes: n * 4096 * 3 / 4, Latency: spread(n*3/4, p50*9/10)},
			{Service: "kernel", Comm: "flusher", IOs: n / 4, WriteBytes: n * 65536 / 4, Latency: spread(n/4, p50*2)},
			{Service: "kernel", Comm: "jbd2/vda1-8", IOs: 12, Latency: spread(12, p50*9)},
		},
		Series: latencies(60, perS, p50), Coverage: 1,
	}
}

// faults is a service's network faults.
func faults(name string, retransmits, sent, received, drops int64) analyze.NetworkCount {
	series := []analyze.NetworkPoint{}
	for i := range int64(60) {
		p := analyze.NetworkPoint{StartNs: start + i*second}
		if i == 24 {
			p.Retransmits, p.Resets, p.Drops = retransmits, sent+received, drops
		}
		series = append(series, p)
	}
	return analyze.NetworkCount{
		Service: name, Retransmits: &retransmits, ResetsSent: &sent, ResetsReceived: &received, Drops: &drops,
		RTT: spread(retransmits*3, 340*microsecond), Series: series, Coverage: 1,
	}
}

// node is the shop with all that the collectors beside tcp tell.
func node() *analyze.Analysis {
	a := cpuShop()
	yes, no := true, false
	vda, sda, mapped := nodeDisk("vda", "disk", 210, 640*microsecond), nodeDisk("sda", "disk", 12, 9*millisecond), nodeDisk("dm-0", "mapping", 200, 660*microsecond)
	vda.Rotational, vda.Mounts, vda.Scheduler, vda.SizeBytes = &no, []string{"/", "/boot/efi"}, "mq-deadline", 100<<30
	sda.Rotational, sda.Model, sda.Errors, sda.Requeues, sda.Coverage = &yes, "ST1000DM010", 3, 41, 0.95
	vda.Coverage, mapped.Coverage, mapped.Below, mapped.Mounts = 0.95, 0.95, []string{"vda"}, []string{"/var/lib/postgresql"}
	idle := analyze.Disk{Capture: vda.Capture, Name: "sdb", Kind: "disk", Mounts: []string{"/srv"}, Below: []string{}, Operations: []analyze.DiskOperation{}, Users: []analyze.DiskUser{}, Series: latencies(60, 0, 0), Coverage: 1}
	a.Disks = []analyze.Disk{mapped, sda, idle, vda}
	a.Captures[0].Coverage = append(a.Captures[0].Coverage, analyze.Coverage{Table: "ios", Seen: 25356, Lost: 1334, Ratio: 0.95})
	cart, nobody := faults("cart", 211, 4, 0, 12), faults("", 0, 36, 0, 41)
	cart.Peer, cart.ResetReason, nobody.Peer, nobody.ResetReason = "10.0.7.21", "TCP_STATE", "10.0.9.30", "NO_SOCKET"
	turnedAway, none := int64(310), int64(0)
	cart.Overflows, nobody.Overflows = &turnedAway, &none
	cart.Series[25].Overflows, cart.Series[26].Overflows = 300, 10
	a.Network = []analyze.NetworkCount{cart, nobody, faults("redis", 0, 0, 0, 0)}
	a.Drops = []analyze.Drop{
		{Capture: vda.Capture, Reason: "NO_SOCKET", Protocol: "TCP", Count: 41, Local: "10.0.7.5:9092", Peer: "10.0.9.30", FirstNs: start + 3*second, LastNs: start + 51*second,
			Stack: []string{"tcp_v4_rcv", "ip_protocol_deliver_rcu", "ip_local_deliver_finish", "ip_local_deliver", "ip_rcv", "__netif_receive_skb_one_core", "process_backlog"}, Coverage: 1},
		{Capture: vda.Capture, Reason: "SOCKET_RCVBUFF", Protocol: "TCP", Count: 12, Service: "cart", Local: "10.0.7.5:8081", Peer: "10.0.7.21", FirstNs: start + 24*second, LastNs: start + 25*second, Stack: []string{}, Coverage: 1},
	}
	a.AcceptQueues = []analyze.AcceptQueue{
		{Capture: vda.Capture, Service: "cart", Address: "0.0.0.0:8081", MaxDepth: 129, Limit: 128, Overflows: 310, Coverage: 1},
		{Capture: vda.Capture, Service: "frontend", Address: "0.0.0.0:8080", MaxDepth: 2, Limit: 4096, Coverage: 1},
	}
	return a
}

// hostileNode has more of everything than anybody wants, with hostile names.
func hostileNode() *analyze.Analysis {
	a := node()
	for i, n := range hostileNames {
		d := nodeDisk(n, n, int64(i), millisecond)
		d.Capture, d.Model, d.Scheduler, d.Mounts, d.Below = n, n, n, hostileNames, hostileNames
		for j, other := range hostileNames {
			d.Operations = append(d.Operations, analyze.DiskOperation{Operation: other, SizeTo: int64(1) << (3 * j), IOs: 1})
			d.Users = append(d.Users, analyze.DiskUser{Service: other, Comm: n, IOs: 1})
			a.Drops = append(a.Drops, analyze.Drop{Capture: n, Reason: other, Protocol: n, Service: n, Local: n, Peer: n, Count: 1, Stack: hostileNames})
		}
		a.Disks = append(a.Disks, d)
		f := faults(n, 1, 2, 3, 4)
		f.Peer, f.ResetReason = n, n
		a.Network = append(a.Network, f)
		a.AcceptQueues = append(a.AcceptQueues, analyze.AcceptQueue{Capture: n, Service: n, Address: n, Overflows: 1})
	}
	return a
}
