package finding

import (
	_ "embed" // the table of thresholds
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/goccy/go-yaml"
)

// RulesText is the table of thresholds as it comes, with what each means.
//
//go:embed rules.yaml
var RulesText []byte

// Rules are the thresholds of all kinds.
type Rules struct {
	Version int
	values  map[string]map[string]float64 // section → name
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
// their place. It fails on another version, and on names that are not there.
func (r *Rules) Override(text []byte) (*Rules, error) {
	o, err := parseRules(text)
	if err != nil {
		return nil, err
	}
	if o.Version != r.Version {
		return nil, fmt.Errorf("version is %d, and this kmon's rules have version %d: begin from its own (kmon analyze --print-rules)", o.Version, r.Version)
	}
	out := &Rules{Version: r.Version, values: map[string]map[string]float64{}}
	for section, values := range r.values {
		out.values[section] = maps.Clone(values)
	}
	for _, section := range slices.Sorted(maps.Keys(o.values)) {
		if out.values[section] == nil {
			return nil, fmt.Errorf("%s is no kind of finding", section)
		}
		for _, name := range slices.Sorted(maps.Keys(o.values[section])) {
			if _, ok := out.values[section][name]; !ok {
				return nil, fmt.Errorf("%s has no threshold %s", section, name)
			}
			out.values[section][name] = o.values[section][name]
		}
	}
	return out, nil
}

func parseRules(text []byte) (*Rules, error) {
	var table map[string]any
	if err := yaml.Unmarshal(text, &table); err != nil {
		return nil, err
	}
	r := &Rules{values: map[string]map[string]float64{}}
	for section, v := range table {
		if section == "version" {
			version, ok := number(v)
			if !ok || version != math.Trunc(version) {
				return nil, errors.New("version is no whole number")
			}
			r.Version = int(version)
			continue
		}
		values, ok := v.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%s is no list of thresholds", section)
		}
		r.values[section] = map[string]float64{}
		for name, v := range values {
			n, ok := number(v)
			if !ok || n < 0 {
				return nil, fmt.Errorf("%s: %s is no number from 0", section, name)
			}
			r.values[section][name] = n
		}
	}
	if r.Version == 0 {
		return nil, errors.New("version is missing")
	}
	return r, nil
}

func number(v any) (float64, bool) {
	switch n := v.(type) {
	case float64:
		return n, !math.IsNaN(n) && !math.IsInf(n, 0)
	case uint64:
		return float64(n), true
	case int64:
		return float64(n), true
	}
	return 0, false
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
