//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// actAsRecorder makes the test binary a kmon that records nothing: record runs
// its command and takes the capture from $KMON_TEST_CAPTURES, everything else is
// kmon.
const actAsRecorder = "KMON_TEST_RECORDER"

func init() { actingAs[actAsRecorder] = recordNothing }

func recordNothing() {
	if len(os.Args) < 2 || os.Args[1] != "record" {
		main()
		return
	}
	root := newRoot()
	cmd, rest, err := root.Find(os.Args[1:])
	if err == nil {
		err = cmd.ParseFlags(rest)
	}
	if err == nil {
		err = cmd.ValidateArgs(cmd.Flags().Args())
	}
	command := cmd.Flags().Args()
	if err == nil && len(command) == 0 {
		err = usagef("no command to record")
	}
	if err == nil {
		err = exec.Command(command[0], command[1:]...).Run()
	}
	if err == nil {
		name := cmd.Flag("output").Value.String()
		var text []byte
		if text, err = os.ReadFile(filepath.Join(os.Getenv("KMON_TEST_CAPTURES"), name)); err == nil {
			err = os.WriteFile(name, text, 0o600)
		}
	}
	os.Exit(conclude(os.Stderr, root, err))
}

// ciStep is a step of an example.
type ciStep struct {
	run    string
	always bool // also after a failure
}

// githubSteps gives what a workflow of GitHub runs.
func githubSteps(t *testing.T, text string) (steps []ciStep) {
	var workflow struct {
		Jobs map[string]struct {
			RunsOn string `yaml:"runs-on"`
			Steps  []struct {
				Run  string         `yaml:"run"`
				Uses string         `yaml:"uses"`
				If   string         `yaml:"if"`
				With map[string]any `yaml:"with"`
			} `yaml:"steps"`
		} `yaml:"jobs"`
	}
	check(t, yaml.Unmarshal([]byte(text), &workflow))
	for name, job := range workflow.Jobs {
		for i, s := range job.Steps {
			if (s.Run == "") == (s.Uses == "") {
				t.Errorf("step %d of %s runs and uses nothing, or both", i+1, name)
			}
			if s.Run != "" {
				steps = append(steps, ciStep{s.Run, s.If == "always()"})
			}
		}
	}
	return steps
}

// gitlabSteps gives what a job of GitLab runs.
func gitlabSteps(t *testing.T, text string) (steps []ciStep) {
	var jobs map[string]struct {
		Script       []string `yaml:"script"`
		AllowFailure struct {
			ExitCodes int `yaml:"exit_codes"`
		} `yaml:"allow_failure"`
		Artifacts struct {
			Reports struct {
				JUnit string `yaml:"junit"`
			} `yaml:"reports"`
		} `yaml:"artifacts"`
	}
	check(t, yaml.Unmarshal([]byte(text), &jobs))
	for name, job := range jobs {
		if job.AllowFailure.ExitCodes != codeInconclusive || job.Artifacts.Reports.JUnit != "junit.xml" {
			t.Errorf("%s allows exit code %d to fail and has tests in %q", name, job.AllowFailure.ExitCodes, job.Artifacts.Reports.JUnit)
		}
		for _, line := range job.Script {
			steps = append(steps, ciStep{run: line})
		}
	}
	return steps
}

// ciExample gives the example in the README that begins with a line.
func ciExample(t *testing.T, first string) string {
	t.Helper()
	_, text, found := strings.Cut(string(read(t, "../../README.md")), "```yaml\n"+first+"\n")
	text, _, closed := strings.Cut(text, "```")
	if !found || !closed {
		t.Fatalf("the README has no example %s", first)
	}
	return text
}

// TestCIExamples runs what the README's examples for CI run, on captures of the
// same version and of a slower one.
func TestCIExamples(t *testing.T) {
	for _, tool := range []string{"bash", "git"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is missing", tool)
		}
	}
	github, gitlab := githubSteps(t, ciExample(t, "# .github/workflows/load.yml")), gitlabSteps(t, ciExample(t, "# .gitlab-ci.yml"))
	captures, err := comparableCaptures()
	check(t, err)
	for _, c := range []struct {
		name, side string
		steps      []ciStep
		files      string
		code       int
	}{
		{"github, the same", "new", github, "compare.md compare.html junit.xml kmon.sarif summary comment", codeOK},
		{"github, slower", "slower", github, "compare.md compare.html junit.xml kmon.sarif summary comment", codeGate},
		{"gitlab, the same", "new", gitlab, "compare.md compare.html junit.xml", codeOK},
		{"gitlab, slower", "slower", gitlab, "compare.md compare.html junit.xml", codeGate},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, side := range []string{"base", "new"} {
				check(t, os.MkdirAll(filepath.Join(dir, "captures", side), 0o755))
				from := side
				if side == "new" {
					from = c.side
				}
				for i, n := range []string{"1", "2", "3", "4", "5"} {
					// Five runs of each, of which there are three: none is of both sides.
					text := captures[from+"/"+string(rune('1'+i%3))+".kmon"]
					write(t, filepath.Join(dir, "captures", side, n+".kmon"), text)
				}
			}
			work := ciRepository(t, dir)
			code := codeOK
			for _, s := range c.steps {
				if code == codeOK || s.always {
					if got := runStep(t, dir, work, s.run); code == codeOK {
						code = got
					}
				}
			}
			if code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			for _, name := range strings.Fields(c.files) {
				if info, err := os.Stat(filepath.Join(work, name)); err != nil || info.Size() == 0 {
					t.Errorf("%s: %v", name, err)
				}
			}
			checkPublished(t, work, c.code == codeGate)
		})
	}
}

// checkPublished reads what a service would.
func checkPublished(t *testing.T, work string, failed bool) {
	t.Helper()
	var suites struct {
		Suites []struct {
			Failures int `xml:"failures,attr"`
		} `xml:"testsuite"`
	}
	check(t, xml.Unmarshal(read(t, filepath.Join(work, "junit.xml")), &suites))
	failures := 0
	for _, s := range suites.Suites {
		failures += s.Failures
	}
	if (failures > 0) != failed {
		t.Errorf("%d tests failed", failures)
	}
	if text, err := os.ReadFile(filepath.Join(work, "kmon.sarif")); err == nil {
		var log struct{ Runs []struct{ Results []any } }
		check(t, json.Unmarshal(text, &log))
		if (len(log.Runs[0].Results) > 0) != failed {
			t.Errorf("%d results in SARIF", len(log.Runs[0].Results))
		}
	}
}

// ciRepository gives a clone of a repository with a load test, beside programs
// that stand for the service's.
func ciRepository(t *testing.T, dir string) string {
	t.Helper()
	self, err := os.Executable()
	check(t, err)
	programs := map[string]string{
		"kmon": actAsRecorder + "=1 exec '" + self + `' "$@"`,
		"sudo": `exec "$@"`,
		"gh":   `while [ $# -gt 1 ]; do shift; done; exec cp "$1" comment`,
	}
	check(t, os.Mkdir(filepath.Join(dir, "bin"), 0o755))
	for name, text := range programs {
		check(t, os.WriteFile(filepath.Join(dir, "bin", name), []byte("#!/bin/sh\n"+text+"\n"), 0o755))
	}
	check(t, os.MkdirAll(filepath.Join(dir, "origin"), 0o755))
	check(t, os.WriteFile(filepath.Join(dir, "origin", "load-test.sh"), []byte("#!/bin/sh\ntrue\n"), 0o755))
	git := "git -c user.name=t -c user.email=t@t -c init.defaultBranch=main "
	if code := runStep(t, dir, filepath.Join(dir, "origin"), git+"init -q && git add . && "+git+"commit -qm one && git clone -q . ../work"); code != 0 {
		t.Fatal("no repository")
	}
	return filepath.Join(dir, "work")
}

// runStep runs a step as the services do: a shell that ends at the first
// failure.
func runStep(t *testing.T, dir, work, script string) int {
	t.Helper()
	cmd := exec.Command("bash", "-e", "-c", script)
	cmd.Dir = work
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"), "KMON_TEST_CAPTURES="+filepath.Join(dir, "captures"),
		"GITHUB_BASE_REF=main", "GITHUB_STEP_SUMMARY=summary", "PR=1", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME=main")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	check(t, cmd.Start())
	code := exitCodeOf(t, cmd)
	if code != codeOK && code != codeGate {
		t.Errorf("%s\n%s", script, out.String())
	}
	return code
}
