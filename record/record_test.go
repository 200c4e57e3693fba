package record

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

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
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "proc"), 0o700); err != nil {
		t.Fatal(err)
	}
	p, err := provider.New(provider.Options{Root: os.DirFS(root)})
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{options: o, provider: p}
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

// A host's name is no path.
func TestDefaultName(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for host, want := range map[string]string{"node-a": "kmon-node-a-20260102T030405Z.kmon", "../x": "kmon-..-x-20260102T030405Z.kmon"} {
		if got := DefaultName(host, at); got != want {
			t.Errorf("%q: got %q, want %q", host, got, want)
		}
	}
}
