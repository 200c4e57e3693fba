package format

import (
	"archive/zip"
	"bytes"
	"flag"
	"io"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the tables of FORMAT.md")

func TestSpecsDescribeEveryColumn(t *testing.T) {
	if len(specs) != len(tables) {
		t.Fatalf("%d tables are described, there are %d", len(specs), len(tables))
	}
	for i, s := range specs {
		tab := tables[i]
		if s.table != tab.name || len(s.columns) != len(tab.columns) {
			t.Errorf("description %d is of %s with %d columns, the table is %s with %d", i, s.table, len(s.columns), tab.name, len(tab.columns))
			continue
		}
		for k, c := range s.columns {
			if c.column != tab.columns[k].name {
				t.Errorf("%s: description %d is of %s, the column is %s", s.table, k, c.column, tab.columns[k].name)
			}
			if c.unit == "" || c.zero == "" || c.text == "" {
				t.Errorf("%s.%s lacks unit, zero or meaning", s.table, c.column)
			}
			enum := c.unit == unitEnum || c.unit == unitFlags
			if enum != (tab.columns[k].words != nil) {
				t.Errorf("%s.%s: unit %s, but words: %v", s.table, c.column, c.unit, tab.columns[k].words)
			}
		}
	}
}

// TestFormatDocument holds FORMAT.md against the schema; -update rewrites it.
func TestFormatDocument(t *testing.T) {
	const begin, end = "<!-- tables: written by go test -update -->\n", "<!-- end of tables -->\n"
	data, err := os.ReadFile("FORMAT.md")
	must(t, err)
	doc := strings.ReplaceAll(string(data), "\r\n", "\n")
	head, rest, ok := strings.Cut(doc, begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("FORMAT.md lacks %q or %q", begin, end)
	}
	want := head + begin + markdownTables() + "\n" + end + tail
	if doc == want {
		return
	}
	if !*update {
		t.Fatal("the tables of FORMAT.md differ from the schema: go test ./format -update")
	}
	must(t, os.WriteFile("FORMAT.md", []byte(want), 0o644))
}

func TestReadmeIsInTheCapture(t *testing.T) {
	r, err := zip.OpenReader(writeSample(t, 1))
	must(t, err)
	defer r.Close()
	f, err := r.Open(readmeName)
	must(t, err)
	got, err := io.ReadAll(f)
	must(t, err)
	if string(got) != readmeText() || !bytes.Contains(got, []byte("socket_id")) {
		t.Errorf("README.txt is %q", got)
	}
}

// TestWordsGoBothWays holds that every stored number has one word and back.
func TestWordsGoBothWays(t *testing.T) {
	for name, w := range wordsOf {
		for v := int64(-3); v < 1<<14; v++ {
			text := w.text(v)
			if got, err := w.parse(text); got != v || err != nil {
				t.Fatalf("%s: %d is %q is %d, %v", name, v, text, got, err)
			}
			if strings.ContainsAny(text, " \"\t\n") {
				t.Fatalf("%s: word %q cannot stand in the text form", name, text)
			}
		}
		if _, err := w.parse("nonsense"); err == nil {
			t.Errorf("%s takes any word", name)
		}
	}
}

// TestColumnEncodings holds what every other reader can rely on: the columns
// are stored as FORMAT.md says.
func TestColumnEncodings(t *testing.T) {
	path := writeSample(t, 3000)
	c := open(t, path)
	for _, name := range c.Tables() {
		s := c.Segments(name)[0]
		must(t, s.read(func(o *openSegment) error {
			for _, col := range tableNamed(name).columns {
				chunks := o.columns[col.name]
				if len(chunks) != 1 || chunks[0].codec != codecZstd || chunks[0].kind != col.kind {
					t.Errorf("%s.%s is stored as %+v", name, col.name, chunks)
					continue
				}
				must(t, o.pages(chunks[0], func(p *page) error {
					want := map[string]int64{"plain": encodingPlain, "delta": encodingDelta, "dict": encodingRLEDict}[col.encoding]
					if p.kind != pageDictionary && p.encoding != want {
						t.Errorf("%s.%s has encoding %d, want %s", name, col.name, p.encoding, col.encoding)
					}
					return nil
				}))
			}
			return nil
		}))
	}
}
