package analyze

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"kmon/analyze/request"
)

// unknownClockNs is taken for how far clocks differ of which nothing is known but
// that both were set.
const unknownClockNs = 2e9

// ClockPeer is how far the wall clock of a capture's host is ahead of another's, as
// what both saw tells; after Clock.ShiftNs, if that is not 0.
type ClockPeer struct {
	Host    string `json:"host"` // the other
	AheadNs int64  `json:"ahead_ns"`
	// ErrorNs is how far AheadNs may be off; absent: not known.
	ErrorNs *int64 `json:"error_ns,omitempty"`
	// Source is requests (seen on both ends: the server's time of each lies within
	// the client's) or connections (seen opening on both ends; AheadNs then holds
	// the way from one to the other).
	Source string `json:"source"`
}

// clockPair is what is known of two hosts' clocks.
type clockPair struct {
	client, server int32 // captures
	ClockPeer            // of the server's
}

// clockPairs lists what is known of the clocks of captures of different hosts, by
// capture: by their requests, else by their connections.
func (r *run) clockPairs() []clockPair {
	known := map[request.ClockKey]clockPair{}
	for _, d := range r.graph.ClockDifferences() {
		k := request.ClockKey{Client: int32(d.Client.Index), Server: int32(d.Server.Index)}
		known[k] = clockPair{k.Client, k.Server, ClockPeer{Host: d.Client.Host(), AheadNs: d.AheadNs, Source: "connections"}}
	}
	for k, b := range r.total.Clocks {
		client, server := r.captures[k.Client], r.captures[k.Server]
		ahead, off := b.AheadNs()
		ahead += server.OffsetNs - client.OffsetNs
		known[k] = clockPair{k.Client, k.Server, ClockPeer{Host: client.Host(), AheadNs: ahead, ErrorNs: &off, Source: "requests"}}
	}
	var list []clockPair
	for k, p := range known {
		if r.captures[k.Client].Host() != r.captures[k.Server].Host() {
			list = append(list, p)
		}
	}
	slices.SortFunc(list, func(a, b clockPair) int {
		return cmp.Or(cmp.Compare(a.client, b.client), cmp.Compare(a.server, b.server))
	})
	return list
}

// boundNs is how far the two clocks may differ.
func (p *clockPair) boundNs() int64 {
	ahead := max(p.AheadNs, -p.AheadNs, 0)
	if p.ErrorNs == nil {
		return min(2*min(ahead, unknownClockNs), unknownClockNs)
	}
	return min(min(ahead, math.MaxInt64/4)+min(max(*p.ErrorNs, 0), math.MaxInt64/4), math.MaxInt64/2)
}

// clockWarnings tells of clocks that differ by more than a millisecond, and of times
// that were shifted for that.
func (r *run) clockWarnings() []string {
	var list []string
	for _, host := range slices.Sorted(maps.Keys(r.options.shiftNs)) {
		how, by := "behind: its times are put forward", r.options.shiftNs[host]
		if by < 0 {
			how, by = "ahead: its times are put back", -by
		}
		list = append(list, fmt.Sprintf("the clock of %s is %s %s, as requests tell that both ends recorded", host, how, duration(by)))
	}
	for _, p := range r.clockPairs() {
		if max(p.AheadNs, -p.AheadNs) <= clockWarnNs {
			continue
		}
		text := fmt.Sprintf("the clocks of %s and %s differ by about %s", r.captures[p.client].Host(), r.captures[p.server].Host(), duration(max(p.AheadNs, -p.AheadNs)))
		if p.ErrorNs != nil {
			text += fmt.Sprintf(" (± %s)", duration(*p.ErrorNs))
		}
		list = append(list, text+", as their "+p.Source+" tell; their ends are matched accordingly")
	}
	return list
}

// alignNs is how far a clock must be off before times are shifted: windows of the
// findings are of seconds.
const alignNs = 100e6

// clockShifts says by host what has to be added to its times so that all tell the
// same, where requests that both ends recorded bound the difference. Right is the
// clock of a group of hosts that needs the least shifting, of two the first one's.
// Hosts whose clock is right enough, or was not compared, are left out.
func (r *run) clockShifts() map[string]int64 {
	shifts := map[string]int64{}
	seen := map[string]bool{}
	pairs := r.clockPairs()
	for _, c := range r.captures {
		if seen[c.Host()] {
			continue
		}
		group := []string{c.Host()}
		ahead := map[string]int64{c.Host(): 0} // of the first of the group
		for i := 0; i < len(group); i++ {
			for _, p := range pairs {
				client, server := r.captures[p.client].Host(), r.captures[p.server].Host()
				if p.ErrorNs == nil || *p.ErrorNs > alignNs || client != group[i] && server != group[i] {
					continue
				}
				other, by := server, p.AheadNs
				if server == group[i] {
					other, by = client, -p.AheadNs
				}
				if _, known := ahead[other]; !known {
					ahead[other] = ahead[group[i]] + by
					group = append(group, other)
				}
			}
		}
		right := middleClock(group, ahead)
		for _, host := range group {
			seen[host] = true
			if off := ahead[host] - right; max(off, -off) > alignNs {
				shifts[host] = -off
			}
		}
	}
	return shifts
}

// middleClock is the one from which the others are the least apart, taken together;
// of several the first.
func middleClock(group []string, ahead map[string]int64) (middle int64) {
	least := math.Inf(1)
	for _, host := range group {
		sum := 0.0
		for _, other := range group {
			sum += math.Abs(float64(ahead[host]) - float64(ahead[other]))
		}
		if sum < least {
			least, middle = sum, ahead[host]
		}
	}
	return middle
}

// clockPeers lists for each capture the hosts that its clock was compared with.
func (r *run) clockPeers() map[int32][]ClockPeer {
	peers := map[int32][]ClockPeer{}
	for _, p := range r.clockPairs() {
		peers[p.server] = append(peers[p.server], p.ClockPeer)
	}
	return peers
}

// clockErrorNs bounds how far the clocks of any two hosts may differ, by the ways
// from one to the other over hosts that were compared.
func (r *run) clockErrorNs() int64 {
	var hosts []string
	for _, c := range r.captures {
		if !slices.Contains(hosts, c.Host()) {
			hosts = append(hosts, c.Host())
		}
	}
	n := len(hosts)
	far := make([][]int64, n)
	for i := range far {
		far[i] = slices.Repeat([]int64{unknownClockNs}, n)
		far[i][i] = 0
	}
	for _, p := range r.clockPairs() {
		i, j := slices.Index(hosts, r.captures[p.client].Host()), slices.Index(hosts, r.captures[p.server].Host())
		far[i][j] = min(far[i][j], p.boundNs())
		far[j][i] = far[i][j]
	}
	worst := int64(0)
	for k := range n {
		for i := range n {
			for j := range n {
				far[i][j] = min(far[i][j], far[i][k]+far[k][j])
			}
		}
	}
	for i := range n {
		worst = max(worst, slices.Max(far[i]))
	}
	return worst
}
