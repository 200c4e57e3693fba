package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"kmon/analyze/compare"
	"kmon/reports"
)

// comparable are captures of a shop that does not exist, by name: before.kmon and
// after.kmon are of the same system, slow.kmon of one whose cart takes twice as
// long; base, new and noise are three runs each of the first, slower of the last.
var comparableCaptures = sync.OnceValues(func() (map[string][]byte, error) {
	dir, err := os.MkdirTemp("", "kmon-compare")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	captures := map[string][]byte{}
	for seed, name := range []string{"before.kmon", "after.kmon", "base/1.kmon", "base/2.kmon", "base/3.kmon", "new/1.kmon", "new/2.kmon", "new/3.kmon",
		"noise/1.kmon", "noise/2.kmon", "noise/3.kmon", "slow.kmon", "slower/1.kmon", "slower/2.kmon", "slower/3.kmon"} {
		out := filepath.Join(dir, fmt.Sprint(seed))
		args := []string{"gen", "-o", out, "-d", "30s", "--nodes", "1", "--rate", "150", "--seed", fmt.Sprint(seed + 1)}
		if strings.HasPrefix(name, "slow") {
			args = append(args, "--fault", "slow-callee:service=cart,size=2,from=1ms")
		}
		if _, stderr, code := kmon(args...); code != codeOK {
			return nil, fmt.Errorf("kmon %s: %s", strings.Join(args, " "), stderr)
		}
		if captures[name], err = os.ReadFile(filepath.Join(out, "node1.kmon")); err != nil {
			return nil, err
		}
	}
	return captures, nil
})

// writeComparable writes them into the working directory, and cut-off.kmon,
// which is after.kmon without its last third.
func writeComparable(t *testing.T) {
	t.Helper()
	captures, err := comparableCaptures()
	check(t, err)
	for name, text := range captures {
		check(t, os.MkdirAll(filepath.Dir(name), 0o755))
		write(t, name, text)
	}
	after := captures["after.kmon"]
	write(t, "cut-off.kmon", after[:len(after)*2/3])
}

// What compare must end with, for every way to ask; never 0 where somebody could
// take damage or too little data for health.
func TestCompareExitCodes(t *testing.T) {
	t.Chdir(writeSamples(t))
	writeComparable(t)
	check(t, os.MkdirAll("mixed", 0o755))
	for _, name := range []string{"1.kmon", "2.kmon"} {
		write(t, "mixed/"+name, read(t, "new/"+name))
	}
	write(t, "mixed/3.kmon", read(t, "cut-off.kmon"))
	check(t, os.MkdirAll("nothing/below", 0o755))
	runs := "--base-runs base --new-runs "
	for _, c := range []struct {
		args string
		code int
		says string // on standard error
	}{
		{runs + "new --min-effect 10%", codeOK, ""},
		{runs + "new --min-effect 10% --threshold p99(service=cart):+15%", codeOK, ""},
		{runs + "new --min-effect 10% --threshold p99(service=cart):<1h", codeOK, ""},
		{runs + "slower", codeGate, "kmon: regression: "},
		{runs + "slower --threshold p99(service=cart):+50%", codeGate, "threshold p99(service=cart):+50% exceeded: "},
		{runs + "new --threshold p99(service=cart):<1us", codeGate, "threshold p99(service=cart):<1us exceeded: "},
		{runs + "new --threshold p99(service=crat):+10%", codeInconclusive, "did you mean cart?"},
		{runs + "new --threshold syscalls:+10%", codeInconclusive, "threshold syscalls:+10%"},
		{"before.kmon after.kmon --min-effect 15%", codeOK, ""},
		{"before.kmon slow.kmon", codeGate, "kmon: regression: "},
		{"slow.kmon before.kmon --min-effect 15%", codeOK, ""},
		{"before.kmon cut-off.kmon --min-effect 15%", codeInconclusive, "damaged"},
		{"cut-off.kmon before.kmon --min-effect 15%", codeInconclusive, "damaged"},
		{runs + "mixed", codeInconclusive, "damaged"},
		{"shop.kmon lossy.kmon", codeInconclusive, "inconclusive: "},
		{"shop.kmon idle.kmon", codeInconclusive, "inconclusive: "},
		{"idle.kmon shop.kmon", codeInconclusive, "inconclusive: "},
		{"shop.kmon cut.kmon", codeInconclusive, "inconclusive: "},
		{"shop.kmon flipped.kmon", codeInconclusive, "inconclusive: "},
		{"shop.kmon running.kmon.part", codeInconclusive, "inconclusive: "},
		{"long-000001.kmon shop.kmon", codeInconclusive, "inconclusive: "},
		{"shop.kmon notes.kmon", codeError, "notes.kmon"},
		{"shop.kmon empty.kmon", codeError, "empty.kmon"},
		{"shop.kmon newer.kmon", codeError, "newer.kmon"},
		{"shop.kmon missing.kmon", codeError, "missing.kmon: no such file"},
		{"shop.kmon ./shop.kmon", codeError, "is BASE and NEW at once"},
		{"--base-runs base --new-runs base", codeError, "is BASE and NEW at once"},
		{"--base-runs base --new-runs nothing", codeError, "nothing: the directory has no run"},
		{"--base-runs base --new-runs missing", codeError, "missing: no such file"},
		{"before.kmon nothing", codeError, "nothing: the directory has no capture"},
		{"before.kmon wombat-*.kmon", codeError, "no file fits the pattern"},
		{"before.kmon after.kmon --noise-from before.kmon", codeError, "noise takes two recordings and more"},
	} {
		_, stderr, code := kmon(append([]string{"compare"}, strings.Fields(c.args)...)...)
		if code != c.code || !strings.Contains(stderr, c.says) || code != codeOK && stderr == "" {
			t.Errorf("kmon compare %s: exit code %d, want %d; standard error %q, want %q in it", c.args, code, c.code, stderr, c.says)
		}
	}
}

// Whatever the outcome says, the exit code does not pass over it.
func TestCompareGate(t *testing.T) {
	failed, open, passed := compare.Judged{Outcome: compare.Failed}, compare.Judged{Outcome: compare.Undecided}, compare.Judged{Outcome: compare.Passed}
	for _, c := range []struct {
		outcome    compare.Outcome
		thresholds []compare.Judged
		code       int
	}{
		{compare.NoChange, nil, codeOK},
		{compare.Improvement, []compare.Judged{passed}, codeOK},
		{compare.Regression, nil, codeGate},
		{compare.Regression, []compare.Judged{open}, codeGate},
		{compare.Inconclusive, nil, codeInconclusive},
		{compare.Inconclusive, []compare.Judged{failed}, codeGate},
		{compare.NoChange, []compare.Judged{open}, codeInconclusive},
		{compare.NoChange, []compare.Judged{passed, open, failed}, codeGate},
		{"", nil, codeInconclusive},
	} {
		if got := codeOf(compareGate(&compare.Result{Outcome: c.outcome, Thresholds: c.thresholds})); got != c.code {
			t.Errorf("%q with %d thresholds: exit code %d, want %d", c.outcome, len(c.thresholds), got, c.code)
		}
	}
}

// Every report is written, whatever the exit code; twice, they are the same.
func TestCompareOutputs(t *testing.T) {
	t.Chdir(t.TempDir())
	writeComparable(t)
	files := strings.Fields("c.html c.md c.json c.txt c.xml c.sarif junit.xml out.sarif")
	args := strings.Fields("compare --base-runs base --new-runs slower -o c.html -o c.md -o c.json -o c.txt -o c.xml -o c.sarif --junit junit.xml --sarif out.sarif")
	var first map[string]string
	for range 2 {
		stdout, _, code := kmon(args...)
		if code != codeGate || !strings.HasPrefix(stdout, "Regression: ") || strings.Count(stdout, "\n") != 1 {
			t.Errorf("exit code %d, standard output %q; want the verdict", code, stdout)
		}
		got := map[string]string{}
		for _, f := range files {
			got[f] = string(read(t, f))
			if first != nil && first[f] != got[f] {
				t.Errorf("%s differs from run to run", f)
			}
		}
		first = got
	}
	if first["c.xml"] != first["junit.xml"] || first["c.sarif"] != first["out.sarif"] {
		t.Error("-o and the flag of a format differ")
	}
	var r compare.Result
	check(t, json.Unmarshal([]byte(first["c.json"]), &r))
	if r.Schema != compare.Schema || r.Outcome != compare.Regression || len(r.Base.Runs) != 3 || r.Base.Runs[0].Name != filepath.Join("base", "1.kmon") || len(r.Flames) == 0 {
		t.Errorf("json: schema %q, outcome %q, runs %+v, %d flames", r.Schema, r.Outcome, r.Base.Runs, len(r.Flames))
	}
	if !strings.Contains(first["c.md"], "kmon compare --base-runs base --new-runs slower`") {
		t.Error("the foot does not say how to make it again")
	}
}

// The parts of a recording are one run, and so are the captures of a directory.
func TestRunsIn(t *testing.T) {
	t.Chdir(writeSamples(t))
	check(t, os.MkdirAll("runs/nodes", 0o755))
	for _, name := range []string{"long-000001.kmon", "long-000002.kmon", "long-000003.kmon", "shop.kmon", "running.kmon.part"} {
		write(t, filepath.Join("runs", name), read(t, name))
	}
	for _, host := range []string{"node-a", "node-b"} {
		writeCapture(t, filepath.Join("runs", "nodes", host+".kmon"), sample{host: host, exchanges: 10})
	}
	write(t, "runs/notes.txt", nil)
	runs, err := runsIn("runs")
	check(t, err)
	var got []string
	for _, r := range runs {
		got = append(got, filepath.ToSlash(r.Name+": "+strings.Join(r.Paths, " ")))
	}
	want := "runs/long-000001.kmon: runs/long-000001.kmon runs/long-000002.kmon runs/long-000003.kmon|" +
		"runs/nodes: runs/nodes/node-a.kmon runs/nodes/node-b.kmon|runs/running.kmon.part: runs/running.kmon.part|runs/shop.kmon: runs/shop.kmon"
	if strings.Join(got, "|") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "|"), want)
	}
	one, err := recordingOf("runs/long-*.kmon")
	if err != nil || len(one.Paths) != 3 {
		t.Errorf("a pattern: %+v, %v", one, err)
	}
}

// The formats that only a comparison has are no formats of an analysis.
func TestComparisonFormats(t *testing.T) {
	for name, want := range map[string]reports.Format{"a.xml": reports.JUnit, "a.sarif": reports.SARIF, "a.MD": reports.Markdown, "a.pdf": ""} {
		got, err := reports.ComparisonFormatForPath(name)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

// codeOf is the exit code that an error ends a verb with.
func codeOf(err error) int {
	switch e := err.(type) {
	case nil:
		return codeOK
	case *exitError:
		return e.code
	}
	return codeError
}

// closedPipe is a standard output whose reader went away.
type closedPipe struct{}

func (closedPipe) Write([]byte) (int, error) { return 0, syscall.EPIPE }

// kmon compare … | head in a script with pipefail: a regression stays one.
func TestClosedPipeKeepsTheExitCode(t *testing.T) {
	t.Chdir(writeSamples(t))
	writeComparable(t)
	for _, c := range []struct {
		args string
		code int
	}{
		{"compare before.kmon slow.kmon", codeGate},
		{"compare before.kmon slow.kmon --format json", codeGate},
		{"compare shop.kmon lossy.kmon", codeInconclusive},
		{"compare before.kmon after.kmon --min-effect 15%", codeOK},
		{"analyze lossy.kmon", codeInconclusive},
		{"analyze shop.kmon", codeOK},
		{"verify flipped.kmon shop.kmon", codeGate},
		{"print shop.kmon exchanges", codeOK},
	} {
		var stderr bytes.Buffer
		code := run(t.Context(), strings.NewReader(""), closedPipe{}, &stderr, strings.Fields(c.args))
		if _, _, want := kmon(strings.Fields(c.args)...); code != c.code || code != want {
			t.Errorf("kmon %s: exit code %d, want %d; with a reader it is %d", c.args, code, c.code, want)
		}
		if strings.Contains(stderr.String(), "pipe") {
			t.Errorf("kmon %s: %s", c.args, stderr.String())
		}
	}
}
