package finding

import (
	"strings"
	"testing"
)

func TestDefaultRulesAreReadAndShared(t *testing.T) {
	r := DefaultRules()
	if r.Version < 1 {
		t.Errorf("version is %d, want 1 or later", r.Version)
	}
	if got := r.of(Spin, "min_coverage"); got != 0.9 {
		t.Errorf("min_coverage is %v, want 0.9", got)
	}
	kinds := map[string]bool{common: true}
	for _, rule := range rules {
		kinds[string(rule.kind)] = true
	}
	for section := range r.values {
		if !kinds[section] {
			t.Errorf("rules.yaml has thresholds of %s, which no rule finds", section)
		}
	}
}

// Every line of the table that holds a value says what it is.
func TestRulesTextExplainsItself(t *testing.T) {
	for i, line := range strings.Split(string(RulesText), "\n") {
		if strings.HasPrefix(line, "  ") && !strings.HasPrefix(strings.TrimSpace(line), "#") && !strings.Contains(line, "#") {
			t.Errorf("rules.yaml:%d has no comment: %s", i+1, line)
		}
	}
}

func TestOverridePutsValuesInPlace(t *testing.T) {
	own := DefaultRules()
	r, err := own.Override([]byte("version: 1\nall: {min_windows: 6}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.of(Spin, "min_windows"); got != 6 {
		t.Errorf("min_windows is %v after the override, want 6", got)
	}
	if got := r.of(Spin, "min_samples"); got != own.of(Spin, "min_samples") {
		t.Errorf("min_samples is %v, want the value as it was", got)
	}
	if got := own.of(Spin, "min_windows"); got != 3 {
		t.Errorf("the override changed the rules it was made from: min_windows is %v", got)
	}
}

func TestOverrideRefuses(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"another version", "version: 99\n", "--print-rules"},
		{"no version", "all: {min_windows: 4}\n", "version is missing"},
		{"a version of text", "version: first\n", "version is no whole number"},
		{"a part of a version", "version: 1.5\n", "version is no whole number"},
		{"no such kind", "version: 1\nlive-lock: {min_windows: 4}\n", "live-lock is no kind"},
		{"no such threshold", "version: 1\nall: {min_window: 4}\n", "all has no threshold min_window"},
		{"a threshold of text", "version: 1\nall: {min_windows: many}\n", "no number from 0"},
		{"below 0", "version: 1\nall: {min_coverage: -1}\n", "no number from 0"},
		{"not a number", "version: 1\nall: {min_coverage: .nan}\n", "no number from 0"},
		{"without end", "version: 1\nall: {min_coverage: .inf}\n", "no number from 0"},
		{"no table", "version: 1\nall: 3\n", "all is no list"},
		{"no yaml", "version: [1\n", ""},
		{"a list", "- 1\n", "no table of thresholds"},
		{"a key twice", "version: 1\nall:\n  min_windows: 4\n  min_windows: 5\n", "line 4: "},
		{"two documents", "version: 1\n---\nversion: 1\n", "2 YAML documents"},
		{"nothing", "", "version is missing"},
	} {
		_, err := DefaultRules().Override([]byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
}

// An error leads to its line, and what was changed can be listed.
func TestOverrideTellsLinesAndChanges(t *testing.T) {
	base := &Rules{Version: 1, values: map[string]map[string]float64{
		common: {"min_windows": 3, "min_samples": 50}, string(Spin): {"cores": 0.9},
	}}
	_, err := base.Override([]byte("# mine\nversion: 1\n\nspin:\n  cores: 0.8\n  coers: 0.8\n"))
	if err == nil || err.Error() != "line 6: spin has no threshold coers: there are cores" {
		t.Errorf("error %v, want one with the line and the names there are", err)
	}
	r, err := base.Override([]byte("version: 1\nspin:\n  min_windows: 5\n  cores: 0.9\nall:\n  min_samples: 20\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(r.Changed(), " "); got != "all.min_samples=20 spin.min_windows=5" {
		t.Errorf("changed: %s; a value as it was is no change", got)
	}
	if got := r.of(Spin, "min_windows"); got != 5 {
		t.Errorf("min_windows of spin is %v, want its own 5", got)
	}
	if len(base.Changed()) != 0 || base.of(Spin, "min_windows") != 3 {
		t.Error("the rules it was made from are changed")
	}
}

// A kind's own value comes before the one that all share.
func TestOwnThresholdComesFirst(t *testing.T) {
	r := &Rules{Version: 1, values: map[string]map[string]float64{
		common: {"min_windows": 3}, string(Spin): {"min_windows": 9},
	}}
	if got := r.of(Spin, "min_windows"); got != 9 {
		t.Errorf("of spin: %v, want 9", got)
	}
	if got := r.of(Overload, "min_windows"); got != 3 {
		t.Errorf("of overload: %v, want 3", got)
	}
	defer func() {
		if recover() == nil {
			t.Error("a threshold that is nowhere is no panic")
		}
	}()
	r.of(Spin, "nothing_like_it")
}
