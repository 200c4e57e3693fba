package format

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// A directory has every segment byte for byte, a damaged one not at all.
func TestExtract(t *testing.T) {
	w, path := create(t)
	must(t, Append(w, Mark{TsNs: 1, Kind: "user", Text: "one"}, Mark{TsNs: 2, Kind: "user", Text: "two"}))
	must(t, Append(w, Self{TsNs: 1}))
	must(t, w.Close(Final{EndNs: 3}))
	data, err := os.ReadFile(path)
	must(t, err)
	at := bytes.Index(data, []byte("events/self/000001.parquet"))
	data[at+60] ^= 1
	must(t, os.WriteFile(path, data, 0o600))

	c, dir := open(t, path), t.TempDir()
	root, err := os.OpenRoot(dir)
	must(t, err)
	defer root.Close()
	must(t, c.Extract(root))
	s := c.Segments("marks")[0]
	got, err := os.ReadFile(filepath.Join(dir, "marks", "000001.parquet"))
	must(t, err)
	want, err := c.readEntry(s.entry, nil)
	must(t, err)
	if !bytes.Equal(got, want) {
		t.Errorf("the segment has %d bytes, want the %d of the capture", len(got), len(want))
	}
	rows, err := parquet.ReadFile[Mark](filepath.Join(dir, "marks", "000001.parquet"))
	if err != nil || len(rows) != 2 || rows[1].Text != "two" {
		t.Errorf("rows %+v, %v", rows, err)
	}
	for _, name := range []string{"manifest.json", "README.txt", "final.json"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "self")); err == nil {
		t.Error("a damaged segment was written")
	}
	if p := c.Problems(); len(p) != 1 || !p[0].Damage || p[0].Entry != "events/self/000001.parquet" {
		t.Errorf("problems %v", p)
	}
	if err := c.Extract(root); err == nil {
		t.Error("files were overwritten")
	}
}

// Rows of a table file read back, in several row groups.
func TestTableFile(t *testing.T) {
	type row struct {
		Number int64  `parquet:"number,delta"`
		Text   string `parquet:"text,dict"`
	}
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	must(t, err)
	defer root.Close()
	const name = "new/000001.parquet"
	path := filepath.Join(dir, name)
	f, err := CreateTable[row](root, name)
	must(t, err)
	const n = tableGroupRows + 10
	for i := range int64(n) {
		must(t, f.Append([]row{{i, string(rune('a' + i%26))}}))
	}
	must(t, f.Close())
	rows, err := parquet.ReadFile[row](path)
	must(t, err)
	if len(rows) != n || rows[n-1] != (row{n - 1, string(rune('a' + (n-1)%26))}) {
		t.Errorf("%d rows, the last is %+v", len(rows), rows[len(rows)-1])
	}
	if _, err := CreateTable[row](root, name); err == nil {
		t.Error("a file was overwritten")
	}
}
