package reports

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// webTools is where `make web-tools` puts what this file needs, by npm.
const webTools = "../.ci/web/node_modules"

// webTool gives the path of a file of theirs. Without it the test is skipped, except
// in CI.
func webTool(t *testing.T, parts ...string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: the page is no Go code")
	}
	path, err := filepath.Abs(filepath.Join(append([]string{webTools}, parts...)...))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("no %s, which CI must have: make web-tools", path)
	}
	t.Skipf("no %s: make web-tools", path)
	return ""
}

// axeRun gives the faults that axe-core calls serious or critical, with where the
// first of each stands.
// Charts but the first of a section are left out: they are alike, and many.
const axeRun = `axe.run({exclude: [".chart:not(:first-child)"]}, {resultTypes: ["violations"]}).then(r => r.violations
	.filter(v => v.impact === "serious" || v.impact === "critical")
	.map(v => v.impact + " " + v.id + ", " + v.nodes.length + " times: " + v.nodes.slice(0, 3).map(n => n.html.slice(0, 200) + " (" + n.any.concat(n.all, n.none).map(c => c.message).join("; ").slice(0, 200) + ")").join(" | ")))`

// TestAccessible: axe-core finds no serious or critical fault in a page with all
// that there can be, light or dark, whole or narrowed to a range, nor in one of a
// comparison.
func TestAccessible(t *testing.T) {
	axe, err := os.ReadFile(webTool(t, "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	picked := fmt.Sprintf("kmonView.pick(%d, %d)", start/millisecond+20_000, start/millisecond+31_000)
	for _, c := range []struct {
		name   string
		page   []byte
		scheme string
		first  string
	}{
		{"all", render(t, shots(), HTML, options), "light", "0"},
		{"all, narrowed", render(t, shots(), HTML, options), "dark", picked},
		{"comparison", renderComparison(t, worse(), HTML, compareOptions), "light", ""},
		{"comparison", renderComparison(t, worse(), HTML, compareOptions), "dark", ""},
		{"comparison, unsure", renderComparison(t, unsure(), HTML, compareOptions), "light", ""},
	} {
		b := show(t, c.page, 1280, 800)
		if c.first != "" { // a comparison has no scripts
			b.ready()
		}
		b.ask("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": c.scheme}}}, nil)
		// the numbers of charts are alike: one of them will do
		run[any](b, `for (const d of document.querySelectorAll("details")) d.open = !d.closest(".chart:not(:first-child), #glance")`)
		run[any](b, string(axe)+"\n;true")
		if c.first != "" {
			run[any](b, c.first)
		}
		for _, fault := range run[[]string](b, axeRun) {
			t.Errorf("%s, %s: %s", c.name, c.scheme, fault)
		}
	}
}

// TestValidHTML: html-validate finds no fault in any golden page, by the rules of the
// standard and of accessibility.
func TestValidHTML(t *testing.T) {
	tool := webTool(t, ".bin", "html-validate")
	config, err := filepath.Abs("../.ci/web/htmlvalidate.json")
	if err != nil {
		t.Fatal(err)
	}
	dir, pages := t.TempDir(), []string{}
	goldens, err := filepath.Glob("testdata/*.html.golden")
	if err != nil || len(goldens) == 0 {
		t.Fatalf("no goldens: %v", err)
	}
	for _, golden := range goldens {
		text, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, strings.TrimSuffix(filepath.Base(golden), ".golden"))
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		pages = append(pages, path)
	}
	output, err := exec.Command(tool, append([]string{"--config", config, "--formatter", "json"}, pages...)...).Output()
	var results []struct {
		FilePath string
		Messages []struct {
			RuleID, Message, Selector string
			Line                      int
		}
	}
	if json.Unmarshal(output, &results) != nil {
		t.Fatalf("html-validate: %v: %.400s", err, output)
	}
	faults := 0
	for _, r := range results {
		for _, m := range r.Messages {
			if faults++; faults <= 20 {
				t.Errorf("%s:%d: %s (%s) at %s", filepath.Base(r.FilePath), m.Line, m.Message, m.RuleID, m.Selector)
			}
		}
	}
	if err != nil && faults == 0 {
		t.Errorf("html-validate: %v", err)
	}
}
