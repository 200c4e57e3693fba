package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// slot is a place of the drawing: a service, or a group of services of one layer
// that opens and closes.
type slot struct {
	layer   int
	members []int  // nodes, by name
	name    string // of a group; "" of a single service
	why     string // of a group, what its members have in common
}

// leastGroup is how many services make a group.
const leastGroup = 2

// grouping is one rule: nodes of a layer with the same key are a group. Names say
// what they have in common.
type grouping struct {
	key  func(node int) string // "": the node stays as it is
	name func(key string, members int) string
	why  string
	// single says that earlier groups stay as they are.
	single bool
}

// groupNodes gives the slots of a graph whose layers are known: each node its own
// if there is room for them, else groups by the first rules that suffice: addresses
// outside, names that differ only in numbers, the same first word, the same
// neighbours, and last all but the busiest.
func groupNodes(g *graph, layer []int, most int) []slot {
	slots := make([]slot, len(g.Nodes))
	for i := range slots {
		slots[i] = slot{layer: layer[i], members: []int{i}}
	}
	external := func(i int) bool { return g.Nodes[i].External }
	for _, rule := range []grouping{
		{func(i int) string { return when(external(i), "addresses") },
			func(string, int) string { return "outside" }, "addresses outside of what was recorded", false},
		{func(i int) string { return when(!external(i), stem(g.Nodes[i].Name)) },
			func(key string, _ int) string { return key + " …" }, "their names differ only in numbers", false},
		{func(i int) string { return when(!external(i), firstWord(g.Nodes[i].Name)) },
			func(key string, _ int) string { return key + " …" }, "their names begin alike", false},
		{g.neighbourKey, func(_ string, n int) string { return "alike" }, "the same services call them, and they call the same", true},
	} {
		if len(slots) <= most {
			break
		}
		slots = mergeSlots(slots, rule)
	}
	if len(slots) > most {
		slots = foldQuiet(g, slots, most)
	}
	return slots
}

// when is s if a condition holds, else "".
func when(holds bool, s string) string {
	if holds {
		return s
	}
	return ""
}

// mergeSlots makes groups by a rule; groups of an earlier one join theirs by their
// first member.
func mergeSlots(slots []slot, rule grouping) []slot {
	type place struct {
		layer int
		key   string
	}
	at, merged := map[place]int{}, []slot{}
	for _, s := range slots {
		p := place{s.layer, rule.key(s.members[0])}
		i, ok := at[p]
		if rule.single && len(s.members) > 1 {
			p.key = ""
		}
		if p.key == "" || !ok {
			if p.key != "" {
				at[p] = len(merged)
			}
			merged = append(merged, s)
			continue
		}
		to := &merged[i]
		to.members = append(to.members, s.members...)
		to.name, to.why = rule.name(p.key, len(to.members)), rule.why
	}
	for i := range merged {
		slices.Sort(merged[i].members)
	}
	return merged
}

// foldQuiet leaves the busiest slots and makes one of the others of each layer.
func foldQuiet(g *graph, slots []slot, most int) []slot {
	order := make([]int, len(slots))
	layers := map[int]bool{}
	for i := range slots {
		order[i] = i
		layers[slots[i].layer] = true
	}
	busy := func(i int) (sum float64) {
		for _, n := range slots[i].members {
			sum += g.Nodes[n].Weight
		}
		return sum
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(busy(b), busy(a)) })
	kept := map[int]bool{}
	for _, i := range order[:max(most-len(layers), 0)] {
		kept[slots[i].members[0]] = true
	}
	return mergeSlots(slots, grouping{
		func(i int) string { return when(!kept[i], "quiet") },
		func(string, int) string { return "less busy" }, "they have less traffic than those drawn", false,
	})
}

// stem is a name without what tells replicas and shards apart: words with digits at
// its end, and digits.
func stem(name string) string {
	for {
		i := strings.LastIndexAny(name, "-_./:@")
		if i <= 0 || !strings.ContainsFunc(name[i:], unicode.IsDigit) {
			break
		}
		name = name[:i]
	}
	if short := strings.TrimRightFunc(name, unicode.IsDigit); short != "" {
		return short
	}
	return name
}

// firstWord is the beginning of a name, up to the first sign that divides words.
func firstWord(name string) string {
	if i := strings.IndexAny(name, "-_./:@"); i > 0 {
		return name[:i]
	}
	return name
}

// neighbourKey names the callers and callees of a node.
func (g *graph) neighbourKey(node int) string {
	var words []string
	for i := range g.Edges {
		switch e := &g.Edges[i]; node {
		case e.From:
			words = append(words, fmt.Sprintf(">%d", e.To))
		case e.To:
			words = append(words, fmt.Sprintf("<%d", e.From))
		}
	}
	slices.Sort(words)
	return strings.Join(slices.Compact(words), " ")
}

// groupsText says in words how nodes were grouped; "" when none was.
func groupsText(slots []slot, nodes int) string {
	groups := 0
	for _, s := range slots {
		if len(s.members) >= leastGroup {
			groups++
		}
	}
	if groups == 0 {
		return ""
	}
	return fmt.Sprintf("%s services are drawn in %s places, %s of them groups (dashed twice): services of one layer that are addresses outside, whose names differ only in "+
		"numbers or begin alike, or that have the same neighbours.", CountText(int64(nodes)), CountText(int64(len(slots))), CountText(int64(groups)))
}
