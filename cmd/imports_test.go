// Package cmd_test holds the import rules of the whole module.
package cmd_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "kmon"

// areas says which areas of the module an area may import besides itself. An
// area is the first part of a package's path.
var areas = map[string][]string{
	"format":  {},
	"bpf":     {},
	"record":  {"bpf", "format"},
	"analyze": {"format"},
	"reports": {"analyze"},
	"cmd":     {"format", "bpf", "record", "analyze", "reports"},
}

// homes says in which areas a foreign module may be imported.
var homes = map[string][]string{
	"github.com/cilium/ebpf":        {"bpf", "record"},
	"github.com/parquet-go":         {"format"},
	"github.com/klauspost/compress": {"format"},
	"github.com/spf13/cobra":        {"cmd"},
}

// ground are the packages under analyze that topics stand on. All others but
// compare are topics and do not know each other.
var ground = []string{"analyze/replay", "analyze/stat"}

// synthetic records nothing.
const synthetic = module + "/record/synthetic"

// listed is what go list tells of a package. Imports leaves out those of tests.
type listed struct {
	ImportPath string
	Imports    []string
}

// area gives the first part of a path within the module, "" for foreign ones.
func area(importPath string) string {
	rest, ours := strings.CutPrefix(importPath, module+"/")
	if !ours {
		return ""
	}
	first, _, _ := strings.Cut(rest, "/")
	return first
}

// topic gives the topic a package belongs to: analyze/NAME, or "".
func topic(importPath string) string {
	parts := strings.Split(strings.TrimPrefix(importPath, module+"/"), "/")
	if len(parts) < 2 || parts[0] != "analyze" || parts[1] == "compare" {
		return ""
	}
	if name := parts[0] + "/" + parts[1]; !slices.Contains(ground, name) {
		return name
	}
	return ""
}

// broken gives the rule that an import breaks, or "".
func broken(from, to string) string {
	fromArea, toArea := area(from), area(to)
	allowed, known := areas[fromArea]
	if !known {
		return fmt.Sprintf("%s is no area of the design", fromArea)
	}
	if toArea != "" && toArea != fromArea && !slices.Contains(allowed, toArea) {
		return fmt.Sprintf("%s may import %v of ours", fromArea, allowed)
	}
	if from == synthetic && toArea != "" && toArea != "format" {
		return "record/synthetic makes captures on any system and imports format alone"
	}
	for prefix, home := range homes {
		if (to == prefix || strings.HasPrefix(to, prefix+"/")) && !slices.Contains(home, fromArea) {
			return fmt.Sprintf("%s is imported in %v only", prefix, home)
		}
	}
	if a, b := topic(from), topic(to); a != "" && b != "" && a != b {
		return "topics do not import each other"
	}
	if fromArea == "analyze" && topic(from) != "" && to == module+"/analyze" {
		return "topics do not import analyze, which imports them"
	}
	if strings.HasPrefix(to, module+"/analyze/compare") && fromArea == "analyze" {
		return "compare imports analyze, never the reverse"
	}
	return ""
}

func TestImports(t *testing.T) {
	for _, system := range []string{"linux", "darwin", "windows"} {
		packages := list(t, system)
		if len(packages) < len(areas) {
			t.Errorf("%s: go list shows %d packages only: %v", system, len(packages), packages)
		}
		for _, p := range packages {
			for _, to := range p.Imports {
				if rule := broken(p.ImportPath, to); rule != "" {
					t.Errorf("%s: %s imports %s, but %s", system, p.ImportPath, to, rule)
				}
			}
		}
	}
}

// list gives the packages of the module as they are on a system.
func list(t *testing.T, system string) []listed {
	t.Helper()
	command := exec.Command("go", "list", "-deps", "-json=ImportPath,Imports", "./...")
	command.Dir = ".."
	command.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
	var problems bytes.Buffer
	command.Stderr = &problems
	out, err := command.Output()
	if err != nil {
		t.Fatalf("go list for %s: %v\n%s", system, err, problems.String())
	}
	var packages []listed
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		if area(p.ImportPath) != "" && p.ImportPath != module+"/cmd" {
			packages = append(packages, p)
		}
	}
}

func TestBroken(t *testing.T) {
	for imports, want := range map[string]string{
		"kmon/record/probe kmon/bpf":                               "",
		"kmon/record/probe kmon/analyze":                           "record may import",
		"kmon/record/synthetic kmon/format":                        "",
		"kmon/record/synthetic kmon/record/probe":                  "imports format alone",
		"kmon/format kmon/bpf":                                     "format may import",
		"kmon/bpf kmon/format":                                     "bpf may import",
		"kmon/analyze/request kmon/format":                         "",
		"kmon/analyze/request kmon/analyze/replay":                 "",
		"kmon/analyze/request kmon/analyze/topology":               "topics do not import each other",
		"kmon/analyze/request/deep kmon/analyze/request":           "",
		"kmon/analyze/request kmon/analyze":                        "topics do not import analyze",
		"kmon/analyze kmon/analyze/request":                        "",
		"kmon/analyze kmon/analyze/compare":                        "never the reverse",
		"kmon/analyze/compare kmon/analyze":                        "",
		"kmon/analyze kmon/record":                                 "analyze may import",
		"kmon/reports kmon/format":                                 "reports may import",
		"kmon/reports kmon/analyze":                                "",
		"kmon/cmd/kmon kmon/record":                                "",
		"kmon/util fmt":                                            "no area of the design",
		"kmon/record github.com/cilium/ebpf/link":                  "",
		"kmon/cmd/kmon github.com/cilium/ebpf":                     "imported in [bpf record] only",
		"kmon/analyze github.com/parquet-go/parquet-go":            "imported in [format] only",
		"kmon/reports github.com/klauspost/compress/zstd":          "imported in [format] only",
		"kmon/record github.com/spf13/cobra":                       "imported in [cmd] only",
		"kmon/format github.com/parquet-go/parquet-go/compress":    "",
		"kmon/format github.com/klauspost/compress/zstd":           "",
		"kmon/analyze github.com/klauspost/compressor":             "",
		"kmon/record/provider github.com/klauspost/compress/gzip ": "imported in [format] only",
	} {
		from, to, _ := strings.Cut(strings.TrimSpace(imports), " ")
		got := broken(from, to)
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", imports, got, want)
		}
	}
}
