package format

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// parquetOf encodes rows with parquet-go alone, as another version of kmon
// with other columns would.
func parquetOf[T any](t testing.TB, rows []T, options ...parquet.WriterOption) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b, options...)
	for part := range slices.Chunk(rows, 10) { // the page size counts between writes
		_, err := w.Write(part)
		must(t, err)
	}
	must(t, w.Close())
	return b.Bytes()
}

// captureOf puts entries into a capture and opens it.
func captureOf(t *testing.T, entries map[string][]byte) *Capture {
	t.Helper()
	z := new(buildZip).add(manifestName, manifestJSON(t, nil))
	for name, data := range entries {
		z.add(name, data)
	}
	return open(t, rewrite(t, z.bytes()))
}

func hasProblem(c *Capture, part string) bool {
	for _, p := range c.Problems() {
		if strings.Contains(p.String(), part) {
			return true
		}
	}
	return false
}

func TestColumnsOfAnotherVersion(t *testing.T) {
	type otherExchange struct {
		SocketID int64  `parquet:"socket_id,dict"`
		StartNs  int64  `parquet:"start_ns"`
		Color    string `parquet:"color,dict"`
	}
	rows := []otherExchange{{7, 200, "red"}, {9, 100, "blue"}, {7, 150, "red"}}
	c := captureOf(t, map[string][]byte{"events/exchanges/000001.parquet": parquetOf(t, rows)})
	var cols ExchangeColumns
	must(t, c.Segments("exchanges")[0].ReadExchanges(&cols))
	got := fmt.Sprint(exchangeRows(&cols))
	want := fmt.Sprint([]Exchange{{SocketID: 9, StartNs: 100}, {SocketID: 7, StartNs: 150}, {SocketID: 7, StartNs: 200}})
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if !hasProblem(c, "column server_ns of table exchanges is missing, its values read as zero") {
		t.Errorf("problems are %v", c.Problems())
	}
	var text bytes.Buffer
	must(t, Print(&text, c, "exchanges", PrintOptions{}))
	if !strings.Contains(text.String(), "color=red") {
		t.Errorf("the new column is not printed: %s", text.String())
	}
}

func TestTableOfANewerVersion(t *testing.T) {
	type planet struct {
		Name string `parquet:"name,dict"`
		Mass int64  `parquet:"mass"`
	}
	c := captureOf(t, map[string][]byte{"events/planets/000001.parquet": parquetOf(t, []planet{{"mars", 6}})})
	if got := c.Tables(); len(got) != 1 || got[0] != "planets" {
		t.Errorf("tables are %v", got)
	}
	for form, want := range map[PrintFormat]string{
		PrintText: "planets name=mars mass=6\n", PrintNDJSON: `{"table":"planets","name":"mars","mass":6}` + "\n",
	} {
		var text bytes.Buffer
		must(t, Print(&text, c, "", PrintOptions{Format: form}))
		if text.String() != want {
			t.Errorf("%s prints %q, want %q", form, text.String(), want)
		}
	}
	dst := filepath.Join(t.TempDir(), "x.kmon")
	r, err := Repair(t.Context(), c.Path, dst)
	must(t, err)
	if r.Rows["planets"] != 1 || len(open(t, dst).Segments("planets")) != 1 {
		t.Errorf("repair lost the table: %+v", r)
	}
}

func TestRefusedParquet(t *testing.T) {
	type optional struct {
		TsNs *int64 `parquet:"ts_ns,optional"`
	}
	type nested struct {
		Ts []int64 `parquet:"ts_ns,list"`
	}
	type float struct {
		TsNs float64 `parquet:"ts_ns"`
	}
	type text struct {
		TsNs string `parquet:"ts_ns"`
	}
	type plain struct {
		TsNs int64 `parquet:"ts_ns"`
	}
	cases := []struct {
		name string
		data []byte
		want string
	}{
		{"optional column", parquetOf(t, []optional{{}}), "not a required plain column"},
		{"nested column", parquetOf(t, []nested{{}}), "not a required plain column"},
		{"float column", parquetOf(t, []float{{}}), "none of INT32, INT64, BYTE_ARRAY"},
		{"text where numbers belong", parquetOf(t, []text{{}}), "another type"},
		{"gzip", parquetOf(t, []plain{{1}}, parquet.Compression(&parquet.Gzip)), "codec 2"},
		{"lz4", parquetOf(t, []plain{{1}}, parquet.Compression(&parquet.Lz4Raw)), "codec 7"},
		{"too many rows", parquetOf(t, make([]plain, maxSegmentRows+1)), "accepted are"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			capture := captureOf(t, map[string][]byte{"events/marks/000001.parquet": c.data})
			rows, err := All[Mark](capture)
			if err != nil || len(rows) > 0 {
				t.Errorf("read %d rows, %v", len(rows), err)
			}
			if !hasProblem(capture, c.want) {
				t.Errorf("problems %v, want one with %q", capture.Problems(), c.want)
			}
		})
	}
}

// TestTextBomb gives small segments whose texts decompress to more than a
// reader takes: in all, and in one page.
func TestTextBomb(t *testing.T) {
	type config struct {
		TsNs int64  `parquet:"ts_ns"`
		Text string `parquet:"text,plain"`
	}
	cases := []struct {
		rows, size, pageBytes int
		want                  string
	}{
		{80, 1 << 20, 1 << 20, "rows with texts of more than"},
		{freeRows, 200, 64 << 20, "page of"},
	}
	for _, c := range cases {
		rows := make([]config, c.rows)
		for i := range rows {
			rows[i].Text = strings.Repeat("x", c.size)
		}
		data := parquetOf(t, rows, parquet.Compression(&parquet.Zstd), parquet.DataPageStatistics(false), parquet.PageBufferSize(c.pageBytes))
		capture := captureOf(t, map[string][]byte{"snapshots/config/000001.parquet": data})
		if got, err := All[Config](capture); err != nil || len(got) > 0 {
			t.Errorf("%d texts of %d bytes: read %d rows, %v", c.rows, c.size, len(got), err)
		}
		if !hasProblem(capture, c.want) {
			t.Errorf("problems %v, want one with %q", capture.Problems(), c.want)
		}
	}
}

func TestSocketsWithFlag(t *testing.T) {
	rows := []Exchange{{SocketID: 3, StartNs: 1}, {SocketID: 2, StartNs: 2, Flags: ExchangeStream | ExchangeClient},
		{SocketID: 1, StartNs: 3, Flags: ExchangeStream}, {SocketID: 3, StartNs: 4}}
	w, path := create(t)
	must(t, w.AppendExchanges(rows))
	must(t, w.Close(Final{}))
	s := open(t, path).Segments("exchanges")[0]
	for flags, want := range map[ExchangeFlags]string{ExchangeStream: "[1 2]", ExchangeClient: "[2]", ExchangeReset: "[]", ExchangeReset | ExchangeClient: "[2]"} {
		got, err := s.SocketsWithFlag(flags)
		must(t, err)
		if fmt.Sprint(got) != want {
			t.Errorf("%v: got %v, want %s", flags, got, want)
		}
	}
	// Plain values instead of a dictionary.
	type bare struct {
		SocketID int64 `parquet:"socket_id"`
		Flags    int32 `parquet:"flags"`
	}
	c := captureOf(t, map[string][]byte{"events/exchanges/000001.parquet": parquetOf(t, []bare{{5, 2}, {6, 1}})})
	if got, err := c.Segments("exchanges")[0].SocketsWithFlag(ExchangePartial); err != nil || fmt.Sprint(got) != "[5]" {
		t.Errorf("plain values: got %v, %v", got, err)
	}
}

func TestManySocketsInOneSegment(t *testing.T) {
	rows := shortLived(90_000) // more ids than a dictionary takes
	w, path := create(t)
	must(t, w.AppendExchanges(rows))
	must(t, w.Close(Final{}))
	var cols ExchangeColumns
	must(t, open(t, path).Segments("exchanges")[0].ReadExchanges(&cols))
	got := exchangeRows(&cols)
	sortExchanges(rows)
	if fmt.Sprint(got[:100]) != fmt.Sprint(rows[:100]) || len(got) != len(rows) || len(cols.SocketIDs) != len(rows) {
		t.Errorf("%d rows of %d sockets, want %d", len(got), len(cols.SocketIDs), len(rows))
	}
}

func TestConcurrentReaders(t *testing.T) {
	path, _ := writeSegmented(t)
	c := open(t, path)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			var cols ExchangeColumns
			for _, s := range c.Segments("exchanges") {
				if err := s.ReadExchanges(&cols); err != nil || len(cols.StartNs) != 50 {
					t.Errorf("%s: %d rows, %v", s.Name, len(cols.StartNs), err)
				}
			}
			if _, err := All[Mark](c); err != nil {
				t.Error(err)
			}
			_, _ = c.SHA256()
		})
	}
	group.Wait()
	noProblems(t, c)
}

// TestFrozenCapture opens a capture of format version 1 that is never written
// anew: it must open for ever and say the same.
func TestFrozenCapture(t *testing.T) {
	text, err := os.ReadFile("testdata/v1.txt")
	must(t, err)
	again := filepath.Join(t.TempDir(), "again.kmon")
	must(t, ReadText(bytes.NewReader(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))), again))
	if got, want := textOf(t, "testdata/v1.kmon"), textOf(t, again); !bytes.Equal(got, want) {
		t.Errorf("testdata/v1.kmon reads as\n%s\nwant\n%s", got, want)
	}
	if r, err := Verify(t.Context(), "testdata/v1.kmon"); err != nil || r.Damaged() {
		t.Errorf("%v, problems %v", err, r.Problems)
	}
}
