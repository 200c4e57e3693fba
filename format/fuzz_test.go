package format

import (
	"bytes"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// memory is the bytes of a capture that is in no file.
type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }

func openBytes(data []byte) (*Capture, error) {
	return openSource("x.kmon", memory{bytes.NewReader(data)}, int64(len(data)))
}

// FuzzOpen holds that no file makes the reader panic, and that every refusal
// is one of the sentinel errors.
func FuzzOpen(f *testing.F) {
	manifest := manifestJSON(f, nil)
	f.Add(new(buildZip).add(manifestName, manifest).bytes())
	data := new(buildZip).add(manifestName, manifest).
		add("events/marks/000001.parquet", parquetOf(f, []Mark{{TsNs: 1, Kind: "user", Text: "x"}})).
		add("events/marks/000002.parquet", nil).
		add(finalName, []byte(`{"end_ns":2,"rows":{"marks":1}}`)).bytes()
	f.Add(data) // small: the fuzzer finds its way through it sooner
	f.Add(data[:len(data)/2])
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := openBytes(data)
		if err != nil {
			refusedInOrder(t, err)
			return
		}
		readEverything(t, c)
		must(t, WriteText(io.Discard, c))
		_, err = c.verify(t.Context())
		must(t, err)
	})
}

// refusedInOrder holds that an error is one of those that Open promises.
func refusedInOrder(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, ErrNotCapture) && !errors.Is(err, ErrTooNew) {
		t.Fatalf("refused with %v", err)
	}
}

// FuzzSegment feeds a segment of any table, whose checksum is right, to the
// decoders, which FuzzOpen hardly gets past the CRC to do.
func FuzzSegment(f *testing.F) {
	c := open(f, writeSample(f, 5))
	for number, table := range tables {
		for _, s := range c.Segments(table.name) {
			data, err := c.readEntry(s.entry, nil)
			must(f, err)
			f.Add(uint8(number), data)
		}
	}
	manifest := manifestJSON(f, nil)
	f.Fuzz(func(t *testing.T, number uint8, data []byte) {
		table := tables[int(number)%len(tables)]
		z := new(buildZip).add(manifestName, manifest).add(table.dir+"/"+table.name+"/000001.parquet", data)
		c, err := openBytes(z.bytes())
		must(t, err)
		readEverything(t, c)
		must(t, WriteText(io.Discard, c))
		must(t, c.CheckValid())
	})
}

// FuzzManifest holds that no manifest.json and no final.json, with right
// checksums, keep a capture from being refused with a sentinel error or read,
// told and mended.
func FuzzManifest(f *testing.F) {
	final := []byte(`{"end_ns":2000000000,"stop_reason":"duration","rows":{"marks":1},"losses":{},"exit_code":0}`)
	f.Add(manifestJSON(f, nil), final)
	f.Add([]byte(`{"format":"kmon.capture","version":1,"clock":{"monotonic_ns":-9223372036854775808,"realtime_ns":9223372036854775807}}`),
		[]byte(`{"end_ns":-1,"rows":{"marks":9223372036854775807,"":-1}}`))
	f.Add([]byte(`{"format":"kmon.capture","version":1e400,"host":[],"options":{"a":1}}`), []byte(`[[[[`))
	marks := parquetOf(f, []Mark{{TsNs: 1, Kind: "user", Text: "x"}})
	mended := filepath.Join(f.TempDir(), "mended.kmon")
	f.Fuzz(func(t *testing.T, manifest, final []byte) {
		z := new(buildZip).add(manifestName, manifest).add("events/marks/000001.parquet", marks).add(finalName, final)
		c, err := openBytes(z.bytes())
		if err != nil {
			refusedInOrder(t, err)
			return
		}
		must(t, WriteText(io.Discard, c))
		_, err = c.verify(t.Context())
		must(t, err)
		_, err = c.repair(t.Context(), mended, WriterOptions{NoSync: true})
		must(t, err)
		if rows, err := All[Mark](open(t, mended)); err != nil || len(rows) != 2 {
			t.Fatalf("the mended capture has %d marks, %v; want that of the original and one of repair", len(rows), err)
		}
		must(t, os.Remove(mended))
	})
}

// FuzzText holds that a text either is refused or makes a capture whose text
// form makes the same capture.
func FuzzText(f *testing.F) {
	var text bytes.Buffer
	must(f, WriteText(&text, open(f, writeSample(f, 20))))
	f.Add(text.Bytes())
	f.Add([]byte(textHeader + "\nmanifest {}\ntable marks ts_ns kind text\n1 a \"b c\"\nfinal {}\n"))
	dir := f.TempDir()
	first, second := filepath.Join(dir, "first.kmon"), filepath.Join(dir, "second.kmon")
	f.Fuzz(func(t *testing.T, data []byte) {
		if ReadText(bytes.NewReader(data), first) != nil {
			if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
				t.Fatalf("a refused text left %v", left)
			}
			return
		}
		one := textOf(t, first)
		must(t, ReadText(bytes.NewReader(one), second))
		if two := textOf(t, second); !bytes.Equal(one, two) {
			t.Errorf("text changed on its way through a capture:\n%s\n%s", one, two)
		}
		must(t, errors.Join(os.Remove(first), os.Remove(second)))
	})
}

func textOf(t *testing.T, path string) []byte {
	t.Helper()
	c := open(t, path)
	var text bytes.Buffer
	must(t, WriteText(&text, c))
	return text.Bytes()
}

// TestHostileSegments gives the decoders segments with right checksums and
// wrong contents: byte by byte, and truncated.
func TestHostileSegments(t *testing.T) {
	path, _ := writeSegmented(t)
	c := open(t, path)
	s := c.Segments("exchanges")[0]
	data, err := c.readEntry(s.entry, nil)
	must(t, err)
	whole, err := os.ReadFile(path)
	must(t, err)
	hostile := rewrite(t, whole)
	file, err := os.OpenFile(hostile, os.O_RDWR, 0)
	must(t, err)
	defer file.Close()
	o := open(t, hostile)
	for i := range data {
		changed := bytes.Clone(data)
		changed[i] ^= 0xff
		_, err := file.WriteAt(changed, s.entry.data)
		must(t, err)
		o.segments["exchanges"][0].entry.crc = crc32.ChecksumIEEE(changed)
		var cols ExchangeColumns
		if err := o.segments["exchanges"][0].ReadExchanges(&cols); err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("byte %d: %v, want ErrCorrupt", i, err)
			}
			continue
		}
		if err := cols.check(); err != nil {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
}

// check holds what ReadExchanges promises, whatever the file says.
func (c *ExchangeColumns) check() error {
	for i, s := range c.Socket {
		if int(s) >= len(c.SocketIDs) || s < 0 {
			return errors.New("a row has no socket")
		}
		if i > 0 && len(c.StartNs) == len(c.Socket) && c.StartNs[i] < c.StartNs[i-1] {
			return errors.New("rows are not sorted")
		}
	}
	return nil
}
