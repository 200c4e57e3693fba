package reports

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"kmon/analyze"
)

var update = flag.Bool("update", false, "write the golden files of testdata")

// cases are the analyses every format is tried on.
var cases = []struct {
	name string
	a    func() *analyze.Analysis
	gold bool // small enough to keep
}{
	{"shop", shop, true},
	{"empty", empty, true},
	{"lossy", lossy, true},
	{"hostile", hostile, true},
	{"cpu", cpuShop, true},
	{"hostile threads", hostileThreads, false},
	{"node", node, true},
	{"hostile node", hostileNode, false},
	{"limping", limping, true},
	{"silent", silent, true},
	{"hostile findings", func() *analyze.Analysis { return hostileFindings(110) }, false},
	{"busy", busyShop, false},
	{"hostile stacks", hostileShop, false},
	{"nothing", func() *analyze.Analysis { return &analyze.Analysis{} }, true},
	{"many", func() *analyze.Analysis { return many(300, 2000) }, false},
}

// options are those of the goldens.
var options = Options{Width: 120, Command: "kmon analyze node-1.kmon -o report.html"}

// endings are the formats with the ending of their golden.
var endings = []struct {
	format Format
	ending string
}{{Text, "txt"}, {Markdown, "md"}, {JSON, "json"}, {HTML, "html"}}

// render writes a report to memory.
func render(t *testing.T, a *analyze.Analysis, f Format, o Options) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, a, f, o); err != nil {
		t.Fatalf("%s: %v", f, err)
	}
	return b.Bytes()
}

func TestGolden(t *testing.T) {
	for _, c := range cases {
		if !c.gold {
			continue
		}
		for _, e := range endings {
			if e.format == JSON && len(c.a().Services) > 0 {
				continue // TestJSONKeepsAll reads it back instead
			}
			path := filepath.Join("testdata", c.name+"."+e.ending+".golden")
			got := render(t, c.a(), e.format, options)
			if e.format == HTML {
				got = reviewable(t, got)
			}
			checkGolden(t, path, got)
		}
	}
}

// checkGolden holds a report against its golden, which -update writes anew.
func checkGolden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs from the golden at byte %d: see go test -update and git diff", path, firstDifference(got, want))
	}
}

// firstDifference is where two texts part.
func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}
