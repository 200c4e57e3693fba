package provider

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what is got into the want parts of testdata")

// TestNodes scans whole nodes: what they look like and what is expected of
// them is in testdata.
func TestNodes(t *testing.T) {
	names, err := filepath.Glob("testdata/*.node")
	if err != nil || len(names) < 6 {
		t.Fatalf("found %d nodes in testdata, %v", len(names), err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".node"), func(t *testing.T) {
			n := readNode(t, name)
			p := newProvider(t, n.root, "")
			got := "hierarchy " + p.Host().CgroupHierarchy + "\n" + show(p.Snapshot(7))
			if *update {
				updateWant(t, name, got)
			} else if want := shortIDs(n.want); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if again := show(p.Snapshot(8)); again != "" {
				t.Errorf("nothing changed, but a second snapshot has\n%s", again)
			}
		})
	}
}

func updateWant(t *testing.T, name, got string) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(string(text), "\nwant\n")
	body := ""
	for line := range strings.Lines(got) {
		body += "\t" + line
	}
	if err := os.WriteFile(name, []byte(strings.TrimRight(head, "\n")+"\n\nwant\n"+body), 0o644); err != nil {
		t.Fatal(err)
	}
}
