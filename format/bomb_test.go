package format

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// A file of some KB with segments of a hundred thousand equal rows each had
// them all read: by those who keep a table, gigabytes.
func TestRowsTakeRoomInTheFile(t *testing.T) {
	bomb := parquetOf(t, make([]Mark, freeRows))
	z := new(buildZip).add(manifestName, manifestJSON(t, nil))
	for i := range 4 {
		z.add(fmt.Sprintf("events/marks/%06d.parquet", i+1), bomb)
	}
	z.add("events/marks/000005.parquet", parquetOf(t, []Mark{{TsNs: 1, Kind: "user", Text: "sound"}}))
	c := open(t, rewrite(t, z.bytes()))
	rows, err := All[Mark](c)
	must(t, err)
	if len(rows) != freeRows+1 || rows[freeRows].Text != "sound" {
		t.Errorf("got %d rows, want those of one segment and the one behind the bombs", len(rows))
	}
	if !hasProblem(c, "events/marks/000004.parquet at offset") || !hasProblem(c, "more than a recording has") {
		t.Errorf("problems are %v", c.Problems())
	}
	counted := 0
	must(t, c.eachSegment("marks", func(_ []columnValues, n int) error {
		counted += n
		return nil
	}))
	if counted != len(rows) {
		t.Errorf("by columns there are %d rows, by rows %d", counted, len(rows))
	}
}

// A text of a megabyte that thousands of rows share stands in the file once,
// and was printed thousands of times.
func TestSharedTextsCountForEachRow(t *testing.T) {
	rows := make([]Mark, 200)
	for i := range rows {
		rows[i] = Mark{TsNs: int64(i), Kind: "user", Text: strings.Repeat("x", 1<<20)}
	}
	c := captureOf(t, map[string][]byte{"events/marks/000001.parquet": parquetOf(t, rows)})
	if got, err := All[Mark](c); err != nil || len(got) != 0 {
		t.Errorf("got %d rows, %v; want none", len(got), err)
	}
	if !hasProblem(c, "rows with texts of more than") {
		t.Errorf("problems are %v", c.Problems())
	}
}

// Columns of zeros are hardly anything in the file, and each was decompressed,
// also when no kmon knows it.
func TestPagesTakeRoomInTheFile(t *testing.T) {
	long(t)
	const columns, rows = 200, 30_000
	group := parquet.Group{}
	row := make(parquet.Row, columns)
	for i := range row {
		group[fmt.Sprintf("c%03d", i)] = parquet.Leaf(parquet.Int64Type)
		row[i] = parquet.Int64Value(0).Level(0, 0, i)
	}
	var b bytes.Buffer
	w := parquet.NewGenericWriter[any](&b, parquet.NewSchema("zeros", group), parquet.Compression(&parquet.Zstd))
	for range rows {
		_, err := w.WriteRows([]parquet.Row{row})
		must(t, err)
	}
	must(t, w.Close())
	c := captureOf(t, map[string][]byte{"events/zeros/000001.parquet": b.Bytes()})
	must(t, c.eachSegment("zeros", func([]columnValues, int) error {
		t.Error("the segment is read")
		return nil
	}))
	if !hasProblem(c, fmt.Sprintf("%d bytes become more than", b.Len())) {
		t.Errorf("problems are %v", c.Problems())
	}
}

// A directory that states more entries than fit in it had memory taken for
// them before that was seen.
func TestDirectoryOfManyEntriesInFewBytes(t *testing.T) {
	z := new(buildZip).add(manifestName, manifestJSON(t, nil))
	data := append(bytes.Clone(z.buf), z.central...)
	data = appendEnd(data, maxEntries, int64(len(z.central)), int64(len(z.buf)))
	_, _, err := readDirectory(bytes.NewReader(data), int64(len(data)))
	if !errors.Is(err, errNoDirectory) {
		t.Errorf("error is %v", err)
	}
	took := testing.Benchmark(func(b *testing.B) {
		for range b.N {
			_, _, _ = readDirectory(bytes.NewReader(data), int64(len(data)))
		}
	}).AllocedBytesPerOp()
	if took > 1<<18 {
		t.Errorf("%d bytes are taken to refuse a directory of %d", took, len(z.central))
	}
}

// An error about an entry without an offset did not name the entry.
func TestErrorsNameTheEntry(t *testing.T) {
	_, err := Open(rewrite(t, new(buildZip).add(manifestName, []byte(`[1`)).bytes()))
	if err == nil || !strings.Contains(err.Error(), ".kmon: manifest.json: not a kmon capture") {
		t.Errorf("error is %v, want one that names file and entry", err)
	}
}

// A manifest of a million collectors, or of one with as much to say, made those
// who tell of each take half a gigabyte.
func TestManifestOfManyCollectors(t *testing.T) {
	facts := map[string]string{}
	for i := range maxCollectorFacts + 1 {
		facts[fmt.Sprint(i)] = "x"
	}
	for _, test := range []struct {
		collectors []Collector
		kept       int
		problem    string
	}{
		{make([]Collector, maxCollectors), maxCollectors, ""},
		{make([]Collector, maxCollectors+1), 0, "65 collectors, more than a recording has"},
		{[]Collector{{Name: "tcp", Missing: facts}}, 1, "4097 facts of a collector, more than a recording has"},
	} {
		c, err := openBytes(new(buildZip).add(manifestName, manifestJSON(t, func(m *Manifest) { m.Collectors = test.collectors })).bytes())
		must(t, err)
		if got := c.Manifest.Collectors; len(got) != test.kept || len(got) == 1 && len(got[0].Missing) > 0 {
			t.Errorf("%d collectors are kept, want %d", len(got), test.kept)
		}
		if said := hasProblem(c, "more than a recording has"); said != (test.problem != "") || said && !hasProblem(c, test.problem) {
			t.Errorf("problems are %v, want %q", c.Problems(), test.problem)
		}
	}
}
