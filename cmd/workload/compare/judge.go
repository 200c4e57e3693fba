package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"kmon/analyze/compare"
)

// releases are the recordings of both, by number.
type releases struct{ base, next []*compare.Gathered }

// readAll analyzes the captures of a directory.
func readAll(ctx context.Context, out io.Writer, dir string) (r releases, err error) {
	for _, side := range []struct {
		name string
		to   *[]*compare.Gathered
	}{{baseRelease, &r.base}, {nextRelease, &r.next}} {
		paths, err := filepath.Glob(filepath.Join(dir, side.name+"-[0-9][0-9][0-9]"+captureEnding))
		if err != nil {
			return r, err
		}
		for _, path := range paths { // sorted
			g, err := compare.Gather(ctx, compare.Recording{Paths: []string{path}}, compare.Options{})
			if err != nil {
				return r, err
			}
			*side.to = append(*side.to, g)
		}
		fmt.Fprintf(out, "%d recordings of %s read\n", len(paths), side.name)
	}
	if min(len(r.base), len(r.next)) < 2 {
		return r, fmt.Errorf("%s has %d recordings of %s and %d of %s: too few", dir, len(r.base), baseRelease, len(r.next), nextRelease)
	}
	return r, nil
}

// pair is two sides to compare, and the runs of an unchanged system beside them.
type pair struct{ base, new, noise []*compare.Gathered }

// A way is how recordings are compared.
type way struct {
	name string
	side int // recordings a side
	// noise is how many recordings of base, other than those compared, show what
	// identical ones differ by.
	noise int
	// gated: the targets are for it.
	gated bool
}

var ways = []way{
	{name: "two recordings", side: 1, gated: true},
	{name: "two recordings, `--noise-from` 10", side: 1, noise: 10},
	{name: "5 runs a side", side: 5},
	{name: "10 runs a side", side: 10},
}

// identical gives pairs of the same release, both halves.
func (w way) identical(r releases) (list []pair) {
	for _, runs := range [][]*compare.Gathered{r.base, r.next} {
		if w.side == 1 {
			for i := 0; i+1 < len(runs); i += 2 {
				list = append(list, pair{runs[i : i+1], runs[i+1 : i+2], w.others(runs, i)})
			}
			continue
		}
		for i := 0; i+2*w.side <= len(runs); i += max(w.side/2, 1) { // every other run, so that both sides see the same times
			both := [2][]*compare.Gathered{}
			for k, g := range runs[i : i+2*w.side] {
				both[k%2] = append(both[k%2], g)
			}
			list = append(list, pair{both[0], both[1], nil})
		}
	}
	return list
}

// injected gives pairs of base and next.
func (w way) injected(r releases) (list []pair) {
	step := 1
	if w.side > 1 {
		step = max(w.side/4, 1)
	}
	n := min(len(r.base), len(r.next))
	for i := 0; i+w.side <= n; i += step {
		list = append(list, pair{r.base[i : i+w.side], r.next[i : i+w.side], w.others(r.base, i)})
	}
	return list
}

// others gives recordings that are not in a pair that begins at i.
func (w way) others(runs []*compare.Gathered, i int) (list []*compare.Gathered) {
	if w.noise == 0 || len(runs) < w.noise+4 {
		return nil
	}
	for k := range w.noise {
		list = append(list, runs[(i+3+k)%len(runs)])
	}
	return list
}

// tally is what came of pairs.
type tally struct {
	pairs    int
	outcomes map[compare.Outcome]int
	falsely  int // pairs with a regression of what is as before
	tail     int // pairs in which the p99 of tail was found
	work     int // and the CPU time of worker
	blamed   map[string]int
}

func compareAll(list []pair, injected bool) tally {
	t := tally{outcomes: map[compare.Outcome]int{}, blamed: map[string]int{}}
	for _, p := range list {
		r := compare.Compare(p.base, p.new, p.noise, compare.Options{})
		t.pairs++
		t.outcomes[r.Outcome]++
		falsely, tail, work := false, false, false
		for _, c := range r.Changes {
			if c.Outcome != compare.Regression {
				continue
			}
			switch {
			case injected && touched(c, "tail", compare.P99):
				tail = true
			case injected && touched(c, "worker", compare.CPU):
				work = true
			case injected && follows(c):
			default:
				falsely = true
				t.blamed[string(c.Metric)+" of "+c.Subject.Name]++
			}
		}
		for _, is := range []struct {
			what bool
			n    *int
		}{{falsely, &t.falsely}, {tail, &t.tail}, {work, &t.work}} {
			if is.what {
				*is.n++
			}
		}
	}
	return t
}

func touched(c compare.Change, service string, m compare.Metric) bool {
	return c.Subject.Service == service && c.Metric == m
}

// follows says that a change comes of what was put in: what the client sees of tail,
// and that worker answers a little later.
func follows(c compare.Change) bool {
	switch {
	case c.Subject.Service == "tail" || c.Subject.Server == "tail":
		return c.Metric == compare.P99
	case c.Subject.Service == "worker" || c.Subject.Server == "worker":
		return c.Metric != compare.Errors && c.Metric != compare.Retransmits
	}
	return false
}

// judge compares in all ways and writes a table; good: the targets are met.
func judge(r releases) (text string, good bool) {
	var b strings.Builder
	good = true
	fmt.Fprintf(&b, "# How often kmon compare is right\n\n%d recordings of a release and %d of the next, in turn, in which the slow requests of `tail` take %s times as long\n"+
		"(its p99, not its p50) and `worker` computes %s times as much (some 10%% more CPU time per request). `make compare-proof` records and judges them.\n\n", len(r.base), len(r.next), tailTimes, workTimes)
	b.WriteString("| compared | identical pairs | with a regression | outcomes | changed pairs | p99 found | CPU found | with another regression |\n|---|---:|---:|---|---:|---:|---:|---:|\n")
	var blamed []string
	for _, w := range ways {
		same, changed := compareAll(w.identical(r), false), compareAll(w.injected(r), true)
		fmt.Fprintf(&b, "| %s | %d | %d | %s | %d | %d | %d | %d |\n", w.name, same.pairs, same.falsely, same.outcomesText(), changed.pairs, changed.tail, changed.work, changed.falsely)
		for _, t := range []tally{same, changed} {
			for _, name := range t.names() {
				blamed = append(blamed, fmt.Sprintf("- %s: %s in %d", w.name, name, t.blamed[name]))
			}
		}
		if w.gated && (20*same.falsely > same.pairs || 10*changed.tail < 9*changed.pairs || 10*changed.work < 9*changed.pairs) {
			good = false
		}
	}
	if len(blamed) > 0 {
		b.WriteString("\nWhat was blamed falsely:\n\n" + strings.Join(blamed, "\n") + "\n")
	}
	b.WriteString("\nWhat identical recordings differ by (standard deviation of the logarithm, in percent), and by how much the next release differs (median of pairs):\n\n| | base | next | next / base |\n|---|---:|---:|---:|\n")
	b.WriteString(spreads(r))
	return b.String(), good
}

func (t tally) names() []string {
	var list []string
	for name := range t.blamed {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

func (t tally) outcomesText() string {
	var parts []string
	for _, o := range []compare.Outcome{compare.Regression, compare.Improvement, compare.NoChange, compare.Inconclusive} {
		if n := t.outcomes[o]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, o))
		}
	}
	return strings.Join(parts, ", ")
}

// spreads tells how metrics vary over the runs of each release.
func spreads(r releases) string {
	type row struct{ base, next []float64 }
	rows := map[string]*row{}
	for i := range min(len(r.base), len(r.next)) {
		result := compare.Compare(r.base[i:i+1], r.next[i:i+1], nil, compare.Options{})
		for _, c := range result.Changes {
			if c.Base == nil || c.New == nil || c.Base.Value <= 0 || c.New.Value <= 0 {
				continue
			}
			name := string(c.Metric) + " of " + c.Subject.Name
			if rows[name] == nil {
				rows[name] = &row{}
			}
			rows[name].base = append(rows[name].base, math.Log(c.Base.Value))
			rows[name].next = append(rows[name].next, math.Log(c.New.Value))
		}
	}
	var names []string
	for name := range rows {
		names = append(names, name)
	}
	slices.Sort(names)
	var b strings.Builder
	for _, name := range names {
		row := rows[name]
		var ratios []float64
		for i := range row.base {
			ratios = append(ratios, row.next[i]-row.base[i])
		}
		slices.Sort(ratios)
		fmt.Fprintf(&b, "| %s | %.1f | %.1f | %.3f |\n", name, 100*deviation(row.base), 100*deviation(row.next), math.Exp(ratios[len(ratios)/2]))
	}
	return b.String()
}

// deviation is the standard deviation of a sample.
func deviation(list []float64) float64 {
	mean, squares := 0.0, 0.0
	for _, v := range list {
		mean += v / float64(len(list))
	}
	for _, v := range list {
		squares += (v - mean) * (v - mean)
	}
	return math.Sqrt(squares / math.Max(float64(len(list)-1), 1))
}
