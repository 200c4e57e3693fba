package compare

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// compareLoad compares what was asked of both sides.
func compareLoad(base, new []*run) Load {
	entries := map[string]bool{}
	for _, r := range slices.Concat(base, new) {
		maps.Copy(entries, r.entries)
	}
	l := Load{Entries: append([]string{}, slices.Sorted(maps.Keys(entries))...)}
	l.BaseRatePerS, l.NewRatePerS = enteringRate(base), enteringRate(new)
	if l.BaseRatePerS == nil || l.NewRatePerS == nil {
		l.Text = loadUnknown + lacking(base, new, l) + "."
		return l
	}
	l.Relative = pointer(*l.NewRatePerS / *l.BaseRatePerS - 1)
	l.Same = math.Abs(*l.Relative) <= loadTolerance
	rates := fmt.Sprintf("%.4g requests a second entered base, %.4g new (%s)", *l.BaseRatePerS, *l.NewRatePerS, signed(*l.Relative))
	if l.Same {
		l.Text = "The load is the same: " + rates + "."
	} else {
		l.Text = "The load is not the same: " + rates + ". Latencies are judged only where that can't be why they differ."
	}
	return l
}

// loadUnknown begins Load.Text where no rates are known; why follows.
const loadUnknown = "What was asked of both sides is not known: "

// lacking says why a rate is not known: nothing was recorded, or what was is not in
// windows that can be used.
func lacking(base, new []*run, l Load) string {
	name, runs := "new", new
	switch {
	case l.BaseRatePerS == nil && l.NewRatePerS == nil:
		name, runs = "either side", slices.Concat(base, new)
	case l.BaseRatePerS == nil:
		name, runs = "base", base
	}
	if slices.ContainsFunc(runs, func(r *run) bool { return r.info.Lost > 0 }) {
		return "no requests of " + name + " are in windows without too much loss"
	}
	return "no requests were recorded of " + name
}

// enteringRate gives the requests a second over the windows used; nil: there are
// none.
func enteringRate(runs []*run) *float64 {
	var n, ns float64
	for _, r := range runs {
		n += float64(r.info.Requests)
		ns += float64(r.info.Windows) * float64(r.widthNs)
	}
	if n == 0 {
		return nil
	}
	return pointer(n * 1e9 / ns)
}

// appeared gives the subjects that a has in no run, and b has, sorted.
func (c *comparison) appeared(a, b []*run) []Subject {
	in := func(runs []*run) map[key]float64 {
		all := map[key]float64{}
		for _, r := range runs {
			for k, s := range r.subjects {
				all[k] += s.total(requests)
			}
		}
		return all
	}
	known, list := in(a), []Subject{}
	var keys []key
	for k, n := range in(b) {
		if _, ok := known[k]; !ok && n >= minRequests && c.wanted(k) {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, key.compare)
	for _, k := range keys {
		list = append(list, k.subject())
	}
	return list
}

// services names the services of a list.
func services(list []Subject) string {
	var names []string
	for _, s := range list {
		if s.Type == "service" {
			names = append(names, s.Name)
		}
	}
	return strings.Join(names, ", ")
}
