package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// readmeUnit is the systemd unit in the README.
func readmeUnit(t *testing.T) string {
	t.Helper()
	_, after, found := strings.Cut(string(read(t, "../../README.md")), "```ini\n")
	unit, _, ends := strings.Cut(after, "```")
	if !found || !ends {
		t.Fatal("README.md has no unit")
	}
	return unit
}

// setting is the value of a line of a unit.
func setting(t *testing.T, unit, name string) string {
	t.Helper()
	for line := range strings.Lines(unit) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+"="); ok {
			return value
		}
	}
	t.Fatalf("the unit has no %s", name)
	return ""
}

// The command of the unit is one that kmon takes, to the triggers.
func TestUnitStartsKmon(t *testing.T) {
	unit := readmeUnit(t)
	words, err := splitWords(strings.ReplaceAll(setting(t, unit, "ExecStart"), "%%", "%"))
	check(t, err)
	if len(words) < 2 || filepath.Base(words[0]) != "kmon" || words[1] != "record" {
		t.Fatalf("ExecStart is %q", words)
	}
	var f recordFlags
	cmd := &cobra.Command{}
	f.register(cmd)
	check(t, cmd.ParseFlags(words[2:]))
	options, err := f.options()
	check(t, err)
	if options.Ring != 10*time.Minute || options.MaxSizeBytes != 1<<30 || len(options.Triggers) != 2 || len(cmd.Flags().Args()) > 0 {
		t.Errorf("the options are %+v", options)
	}
	if state := "/var/lib/" + setting(t, unit, "StateDirectory"); filepath.Dir(options.Output) != state {
		t.Errorf("it writes %s, its directory is %s", options.Output, state)
	}
}

// systemd finds nothing wrong with the unit.
func TestUnitIsSound(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("there is no systemd-analyze")
	}
	self, err := os.Executable() // verify looks for the program
	check(t, err)
	path := filepath.Join(t.TempDir(), "kmon.service")
	check(t, os.WriteFile(path, []byte(strings.ReplaceAll(readmeUnit(t), "/usr/local/bin/kmon", self)), 0o600))
	out, err := exec.Command("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", path).CombinedOutput()
	if err != nil || strings.Contains(string(out), "kmon.service") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

// The capabilities of the unit are enough for a user who has no others.
func TestUnitHasTheCapabilitiesItNeeds(t *testing.T) {
	need(t, "setpriv")
	unit := readmeUnit(t)
	list := "-all"
	for _, name := range strings.Fields(setting(t, unit, "AmbientCapabilities")) {
		list += ",+" + strings.ToLower(strings.TrimPrefix(name, "CAP_"))
	}
	if setting(t, unit, "CapabilityBoundingSet") != setting(t, unit, "AmbientCapabilities") {
		t.Error("the unit may get capabilities that it has not")
	}
	dir, err := os.MkdirTemp("", "kmon-unit") // whose parents all can enter
	check(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	const nobody = 65534
	check(t, os.Chown(dir, nobody, nobody))
	self, err := os.Executable()
	check(t, err)
	binary := filepath.Join(dir, "kmon")
	check(t, os.WriteFile(binary, read(t, self), 0o755))
	cmd := exec.Command("setpriv", fmt.Sprint("--reuid=", nobody), fmt.Sprint("--regid=", nobody), "--clear-groups", "--no-new-privs",
		"--inh-caps="+list, "--ambient-caps="+list, "--bounding-set="+list,
		binary, "record", "--ring", "10s", "-o", filepath.Join(dir, "node.kmon"), "-d", "1s", "--trigger", "pressure(memory)>99%")
	cmd.Env, cmd.Dir = []string{actAsKmon + "=1", "PATH=" + os.Getenv("PATH")}, dir
	if _, err := os.Stat("/proc/pressure/memory"); err != nil {
		cmd.Args = cmd.Args[:len(cmd.Args)-2]
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	dumps := glob(t, filepath.Join(dir, "node-*.kmon"))
	if len(dumps) != 1 {
		t.Fatalf("it wrote %v and said %s", dumps, out)
	}
	info, stderr, code := kmon("info", dumps[0])
	if code != codeOK || strings.Contains(info, "capability") {
		t.Errorf("exit code %d: %s%s", code, info, stderr)
	}
}
