package record

import (
	"slices"
	"strings"
	"testing"

	"kmon/format"
	"kmon/record/probe"
	"kmon/record/provider"
)

// A configuration may name every collector that there is.
func TestConfigurationKnowsTheCollectors(t *testing.T) {
	if got, want := provider.Collectors, probe.Collectors(); !slices.Equal(got, want) {
		t.Errorf("a configuration may name %q, there are %q", got, want)
	}
}

// What kmon keeps of its own command line is without secrets too.
func TestOwnCommandLineWithoutSecrets(t *testing.T) {
	o := Options{Command: []string{"mysql", "-phunter2", "shop"}}
	o.CommandLine = append([]string{"/usr/bin/kmon", "record", "-o", "x.kmon", "--"}, o.Command...)
	r := &recorder{options: o}
	m := r.manifest(probe.Plan{}, format.Host{}, format.ClockPair{})
	if got := strings.Join(m.CommandLine, " "); got != "/usr/bin/kmon record -o x.kmon -- mysql -p*** shop" {
		t.Errorf("command line %q", got)
	}
	if got := m.Options["command"]; got != "mysql -p*** shop" {
		t.Errorf("command %q", got)
	}
	if o.Command[1] != "-phunter2" {
		t.Error("the command to run was changed")
	}
}
