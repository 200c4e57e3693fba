package reports

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// TestSARIFSchema: the schema that OASIS publishes for SARIF 2.1.0 (errata 01; in
// testdata as it is) takes every log.
func TestSARIFSchema(t *testing.T) {
	file, err := os.Open("testdata/sarif-schema-2.1.0.json")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	document, err := jsonschema.UnmarshalJSON(file)
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource(sarifSchema, document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile(sarifSchema)
	if err != nil {
		t.Fatal(err)
	}
	check := func(text string) error {
		log, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return schema.Validate(log)
	}
	for _, c := range comparisons {
		text := string(renderComparison(t, c.c(), SARIF, Options{}))
		if err := check(text); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		for _, change := range [][2]string{{`"level": "error"`, `"level": "worst"`}, {`"name": "kmon"`, `"title": "kmon"`}, {`"invocations"`, `"calls"`}} {
			if check(strings.Replace(text, change[0], change[1], 1)) == nil {
				t.Errorf("%s: the schema takes %s", c.name, change[1])
			}
		}
	}
}

// TestSARIFForGitHub holds logs against what GitHub's code scanning documents
// beyond the schema: limits, properties that must be there and not be empty, and
// the fingerprint by which it tells results of one line apart.
func TestSARIFForGitHub(t *testing.T) {
	for _, c := range comparisons {
		text := renderComparison(t, c.c(), SARIF, Options{})
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		_, err := w.Write(text)
		if err != nil || w.Close() != nil || packed.Len() > 10_000_000 {
			t.Errorf("%s: %d bytes, GitHub takes 10 MB: %v", c.name, packed.Len(), err)
		}
		var log sarifLog
		if err := json.Unmarshal(text, &log); err != nil {
			t.Fatal(err)
		}
		run := log.Runs[0]
		rules := map[string]bool{}
		for _, r := range run.Tool.Driver.Rules {
			rules[r.ID] = true
			for what, text := range map[string]string{"id": r.ID, "name": r.Name, "short": r.Short.Text, "full": r.Full.Text, "help": r.Help.Text} {
				if limit := map[string]int{"id": 255, "name": 255, "short": 1024, "full": 1024, "help": 1 << 16}[what]; text == "" || len([]rune(text)) > limit {
					t.Errorf("rule %s: %s has %d characters", r.ID, what, len([]rune(text)))
				}
			}
		}
		if len(run.Results) > 5000 {
			t.Errorf("%s: %d results, GitHub shows 5000", c.name, len(run.Results))
		}
		lines := map[string]bool{}
		for _, r := range run.Results {
			hash := r.RuleID + " " + r.Fingerprints["primaryLocationLineHash"]
			if !rules[r.RuleID] || r.Message.Text == "" || lines[hash] || !strings.HasSuffix(hash, ":1") {
				t.Errorf("%s: rule %s, line %s (seen: %v): %.80s", c.name, r.RuleID, hash, lines[hash], r.Message.Text)
			}
			lines[hash] = true
			checkGitHubLocation(t, c.name, r.Locations)
		}
	}
}

func checkGitHubLocation(t *testing.T, name string, list []sarifLocation) {
	t.Helper()
	if len(list) != 1 {
		t.Fatalf("%s: %d locations", name, len(list))
	}
	p := list[0].Physical
	u, err := url.Parse(p.Artifact.URI)
	if err != nil || p.Artifact.URI == "" || u.Scheme != "" && u.Scheme != "file" || u.Host != "" {
		t.Errorf("%s: %q is neither a relative path nor a file: %v", name, p.Artifact.URI, err)
	}
	if r := p.Region; min(r.StartLine, r.StartColumn, r.EndLine, r.EndColumn) < 1 {
		t.Errorf("%s: region %+v", name, r)
	}
}

func TestFileURI(t *testing.T) {
	for _, c := range []struct{ path, want string }{
		{"after.kmon", "after.kmon"}, {"../new/1.kmon", "../new/1.kmon"}, {"/tmp/a b.kmon", "file:///tmp/a%20b.kmon"},
		{`C:\runs\new.kmon`, "file:///C%3A/runs/new.kmon"}, {`runs\new.kmon`, "runs/new.kmon"},
		{"a:b.kmon", "a%3Ab.kmon"}, {"//evil.example/x", "file:///evil.example/x"}, {"100%?#.kmon", "100%25%3F%23.kmon"},
	} {
		if got := fileURI(c.path); got != c.want {
			t.Errorf("%q: got %q, want %q", c.path, got, c.want)
		}
	}
}

// TestJUnitSchema: Jenkins's schema takes every report. It is that of its version 4;
// later ones, and pytest, give <skipped> the attributes of <failure>, which Jenkins
// shows.
func TestJUnitSchema(t *testing.T) {
	tool := command(t, "xmllint", "libxml2-utils")
	text, err := os.ReadFile("testdata/jenkins-junit.xsd")
	if err != nil {
		t.Fatal(err)
	}
	later := bytes.Replace(text, []byte(`<xs:element name="skipped" type="xs:string"/>`), []byte(`<xs:element name="skipped"><xs:complexType mixed="true">
		<xs:attribute name="type" type="xs:string"/><xs:attribute name="message" type="xs:string"/></xs:complexType></xs:element>`), 1)
	schema := filepath.Join(t.TempDir(), "junit.xsd")
	if err := os.WriteFile(schema, later, 0o600); err != nil {
		t.Fatal(err)
	}
	check := func(report string) (string, error) {
		c := exec.Command(tool, "--noout", "--schema", schema, "-")
		c.Stdin = strings.NewReader(report)
		output, err := c.CombinedOutput()
		return string(output), err
	}
	for _, c := range comparisons {
		if said, err := check(string(renderComparison(t, c.c(), JUnit, Options{}))); err != nil {
			t.Errorf("%s: %v: %.600s", c.name, err, said)
		}
	}
	if _, err := check(`<testsuites><testsuite name="x"><testcase title="y"/></testsuite></testsuites>`); err == nil {
		t.Error("the schema takes a test case without a name")
	}
}
