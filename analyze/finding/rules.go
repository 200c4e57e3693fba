package finding

import (
	_ "embed" // the table of thresholds
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// RulesText is the table of thresholds as it comes, with what each means.
//
//go:embed rules.yaml
var RulesText []byte

// Rules are the thresholds of all kinds.
type Rules struct {
	Version int
	values  map[string]map[string]float64 // section → name
	changed map[string]float64            // "section.name" that Override gave
}

// common is the section that all kinds share.
const common = "all"

// DefaultRules gives the table as it comes.
func DefaultRules() *Rules {
	r, err := parseRules(RulesText)
	if err != nil {
		panic(err) // tested
	}
	return r
}

// Override gives the rules with the values of a table in the same form put in
// their place. A kind may be given a value of its own for a threshold that all
// share. Errors begin with the line: another version, names that are not there,
// values that are no numbers from 0.
func (r *Rules) Override(text []byte) (*Rules, error) {
	t, err := parseTable(text)
	if err != nil {
		return nil, err
	}
	if t.version != r.Version {
		return nil, fmt.Errorf("line %d: version is %d, and this kmon's rules have version %d: begin from its own (kmon analyze --print-rules)", t.versionLine, t.version, r.Version)
	}
	out := &Rules{Version: r.Version, values: map[string]map[string]float64{}, changed: maps.Clone(r.changed)}
	for section, values := range r.values {
		out.values[section] = maps.Clone(values)
	}
	for _, e := range t.entries {
		if out.values[e.section] == nil {
			return nil, fmt.Errorf("line %d: %s is no kind of finding with thresholds: there are %s", e.line, e.section, listed(r.values))
		}
		was, own := r.values[e.section][e.name]
		if _, shared := r.values[common][e.name]; !own && !shared {
			return nil, fmt.Errorf("line %d: %s has no threshold %s: there are %s", e.line, e.section, e.name, listed(r.values[e.section]))
		}
		out.values[e.section][e.name] = e.value
		if !own || was != e.value {
			if out.changed == nil {
				out.changed = map[string]float64{}
			}
			out.changed[e.section+"."+e.name] = e.value
		}
	}
	return out, nil
}

// Changed lists the thresholds that Override changed, "kind.name=value", sorted.
func (r *Rules) Changed() []string {
	list := []string{}
	for _, name := range slices.Sorted(maps.Keys(r.changed)) {
		list = append(list, name+"="+strconv.FormatFloat(r.changed[name], 'f', -1, 64))
	}
	return list
}

// listed names the keys of a map, sorted.
func listed[V any](m map[string]V) string {
	return strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}

// parseRules reads a whole table.
func parseRules(text []byte) (*Rules, error) {
	t, err := parseTable(text)
	if err != nil {
		return nil, err
	}
	r := &Rules{Version: t.version, values: map[string]map[string]float64{}}
	for _, e := range t.entries {
		if r.values[e.section] == nil {
			r.values[e.section] = map[string]float64{}
		}
		r.values[e.section][e.name] = e.value
	}
	return r, nil
}

// of gives a threshold of a kind; one that all share if the kind has none of
// its own. A name that is nowhere is a mistake in the code.
func (r *Rules) of(kind Kind, name string) float64 {
	if v, ok := r.values[string(kind)][name]; ok {
		return v
	}
	v, ok := r.values[common][name]
	if !ok {
		panic(fmt.Sprintf("rules.yaml has no %s of %s", name, kind))
	}
	return v
}
