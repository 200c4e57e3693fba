package analyze

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"kmon/analyze/cpu"
	"kmon/analyze/finding"
	"kmon/analyze/replay"
	"kmon/analyze/topology"
	"kmon/format"
)

const (
	// maxLimits bounds the cgroups and disks with a limit: 8 bytes a window each.
	maxLimits = 4096
	// atLimit is the part of a limit of IO from which on a cgroup is at it. What
	// is done within a second is counted, and IO comes in bursts.
	atLimit = 0.95
)

// quotaKey is who has a quota of CPU time: a process, or all of a cgroup.
type quotaKey struct {
	cgroup string
	pid    int32 // 0: all
}

// quota is what is known of one.
type quota struct {
	cores       float64 // the least; 0: none
	setBy       string  // of the latest row with one
	unknown     bool    // how long it throttled is not
	throttledNs []int64 // by window
}

// limitedKey is a cgroup with limits on a disk.
type limitedKey struct {
	device int64
	setBy  string
}

// limits is what a capture tells of limits of cgroups.
type limits struct {
	quotas  map[quotaKey]*quota
	limited map[limitedKey][]int64 // ns at the limit, by window
	rows    []int64                // by window
	folded  bool
}

// addLimits reads table limits for the findings.
func (r *run) addLimits(ctx context.Context, _ *Analysis) error {
	for _, c := range r.captures {
		l := &limits{quotas: map[quotaKey]*quota{}, limited: map[limitedKey][]int64{}, rows: make([]int64, r.gather.windows.Count)}
		frame := cpu.Frame{Windows: r.gather.windows}
		reached := map[limitedKey]int64{}
		err := eachRow(ctx, c, "limits", func(row *format.Limit) {
			start, end := row.StartNs+c.OffsetNs, row.EndNs+c.OffsetNs
			l.rows[frame.Of(end)]++
			if row.DeviceID == 0 {
				l.addQuota(&frame, row, start, end)
				return
			}
			k := limitedKey{row.DeviceID, row.SetBy} // cgroups below one tell the same
			if atItsLimit(row) && row.StartNs >= reached[k] {
				if sums := l.disk(k, &frame); sums != nil {
					reached[k] = row.EndNs
					frame.Spread(sums, row.EndNs-row.StartNs, start, end)
				}
			}
		})
		if err != nil {
			return fmt.Errorf("%s: reading limits of cgroups: %w", c.Path, err)
		}
		r.gather.limits = append(r.gather.limits, l)
	}
	return nil
}

func (l *limits) addQuota(frame *cpu.Frame, row *format.Limit, start, end int64) {
	k := quotaKey{row.Cgroup, row.PID}
	q := l.quotas[k]
	if q == nil {
		if len(l.quotas) >= maxLimits {
			l.folded = true
			return
		}
		k.cgroup = strings.Clone(k.cgroup) // the row's may hold a whole page alive
		q = &quota{throttledNs: make([]int64, frame.Count)}
		l.quotas[k] = q
	}
	if row.QuotaNs > 0 && row.PeriodNs > 0 {
		if cores := float64(row.QuotaNs) / float64(row.PeriodNs); q.cores == 0 || cores < q.cores {
			q.cores = cores
		}
		if q.setBy != row.SetBy {
			q.setBy = strings.Clone(row.SetBy)
		}
	}
	if row.ThrottledNs < 0 {
		q.unknown = true
		return
	}
	frame.Spread(q.throttledNs, row.ThrottledNs, start, end)
}

func (l *limits) disk(k limitedKey, frame *cpu.Frame) []int64 {
	sums := l.limited[k]
	if sums == nil {
		if len(l.limited) >= maxLimits {
			l.folded = true
			return nil
		}
		k.setBy = strings.Clone(k.setBy)
		sums = make([]int64, frame.Count)
		l.limited[k] = sums
	}
	return sums
}

// atItsLimit says whether as much was done as one of the limits of a row allows.
func atItsLimit(row *format.Limit) bool {
	s := float64(row.EndNs-row.StartNs) / 1e9
	for _, l := range [][2]int64{
		{row.ReadBytes, row.ReadBytesPerS}, {row.WriteBytes, row.WriteBytesPerS}, {row.Reads, row.ReadsPerS}, {row.Writes, row.WritesPerS},
	} {
		if l[1] > 0 && s > 0 && float64(l[0]) >= atLimit*float64(l[1])*s {
			return true
		}
	}
	return false
}

// limitsRecorded says which captures looked for limits.
func (r *run) limitsRecorded() map[int32]bool {
	have := map[int32]bool{}
	for i, c := range r.captures {
		k := collector(c, "proc")
		if c.Rows["limits"] > 0 || k != nil && k.Variants["limits"] != "" && k.Missing["limits"] == "" {
			have[int32(i)] = true
		}
	}
	return have
}

// addQuotas adds the quotas of cgroups to the instances of their processes. Of
// several that one cgroup above them has set, one tells all.
func (b *inputBuilder) addQuotas() {
	for i := range b.in.Instances {
		in := &b.in.Instances[i]
		if b.nodes[in.Node].has.Limits > 0 && in.Service != topology.OtherProcesses { // many have many
			in.LimitCores = 0
			for w := range in.Windows {
				in.Windows[w].ThrottledNs = 0
			}
		}
	}
	for i, c := range b.captures {
		l := b.gather.limits[i]
		if l.folded {
			b.remark("%s: some limits of cgroups are not looked at for findings: there are too many", b.label(c))
		}
		for at, sets := range b.quotasOf(c, l) {
			for _, q := range sets {
				b.addQuota(&b.in.Instances[at], q)
			}
		}
	}
}

// quotasOf gives the quotas of each instance by who set them; of those with one
// setter the one that throttled most.
func (b *inputBuilder) quotasOf(c *replay.Capture, l *limits) map[int]map[string]*quota {
	list := map[int]map[string]*quota{}
	for owner, party := range b.run.parties().owned[c.Index] {
		at := b.instanceOf(party)
		if owner < 0 || at < 0 || b.in.Instances[at].LimitCores < 0 {
			continue
		}
		o := c.Owners.Get(owner)
		for _, k := range []quotaKey{{o.Cgroup, 0}, {o.Cgroup, o.PID}} {
			q := l.quotas[k]
			if q == nil || o.Cgroup == "" {
				continue
			}
			if list[at] == nil {
				list[at] = map[string]*quota{}
			}
			if kept := list[at][q.setBy]; kept == nil || more(q, kept) {
				list[at][q.setBy] = q
			}
		}
	}
	return list
}

// more says whether a quota throttled more than another, or else is tighter.
func more(q, kept *quota) bool {
	sum := func(list []int64) (all int64) {
		for _, ns := range list {
			all += ns
		}
		return all
	}
	order := cmp.Or(cmp.Compare(sum(q.throttledNs), sum(kept.throttledNs)), slices.Compare(q.throttledNs, kept.throttledNs),
		cmp.Compare(kept.cores, q.cores))
	return order > 0
}

func (b *inputBuilder) addQuota(in *finding.Instance, q *quota) {
	if q.cores > 0 && (in.LimitCores <= 0 || q.cores < in.LimitCores) {
		in.LimitCores = q.cores
	}
	for w := range in.Windows {
		switch ns := &in.Windows[w].ThrottledNs; {
		case q.unknown:
			*ns = finding.NotRecorded
		case *ns >= 0:
			*ns += q.throttledNs[w]
		}
	}
}

// addLimited adds how long cgroups were at their limits of IO to a disk.
func (b *inputBuilder) addLimited(d *finding.Disk, capture int, id int64) {
	if !b.tables.limits[int32(capture)] {
		return
	}
	for w := range d.Windows {
		d.Windows[w].LimitedNs = max(d.Windows[w].LimitedNs, 0)
	}
	tree := b.gather.trees[capture]
	for k, sums := range b.gather.limits[capture].limited {
		if tree.Whole(k.device) != id {
			continue
		}
		for w, ns := range sums {
			d.Windows[w].LimitedNs += ns
		}
	}
}
