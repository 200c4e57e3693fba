package format

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

// Extract writes the segments of every table as they stand into a directory a
// table below dir, and beside them the entries that are no tables. Only their
// owner can read them, as the capture. Entries that fail their checksum are left out and become Problems.
func (c *Capture) Extract(dir *os.Root) error {
	if c.parts != nil {
		return fmt.Errorf("%s and %d more are parts of a recording: join them first (kmon merge)", c.Path, len(c.parts)-1)
	}
	for _, e := range c.entries {
		name := e.name
		if m := segmentName.FindStringSubmatch(e.name); m != nil {
			name = path.Join(m[2], m[3]+".parquet")
		} else if e.name != manifestName && e.name != finalName && e.name != readmeName {
			continue
		}
		data, err := c.readEntry(e, nil)
		if errors.Is(err, ErrCorrupt) {
			c.damage(e.name, e.offset, err)
			continue
		}
		if err != nil {
			return err
		}
		if err := dir.MkdirAll(path.Dir(name), 0o700); err != nil {
			return err
		}
		if err := writeNew(dir, name, data); err != nil {
			return err
		}
	}
	return nil
}

// writeNew writes a file that must not exist.
func writeNew(dir *os.Root, name string, data []byte) error {
	f, err := dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// tableGroupRows is how many rows of a TableFile are compressed together: it
// bounds the memory for long texts.
const tableGroupRows = 1 << 15

// TableFile is a Parquet file of rows that are not a capture's, for other
// tools. The columns are T's fields with parquet tags.
type TableFile[T any] struct {
	file *os.File
	out  *bufio.Writer
	rows *parquet.GenericWriter[T]
}

// CreateTable makes a Parquet file below dir, by a name that must not exist, and
// the directory that it is in. Only their owner can read them.
func CreateTable[T any](dir *os.Root, name string) (*TableFile[T], error) {
	if err := dir.MkdirAll(path.Dir(name), 0o700); err != nil {
		return nil, err
	}
	f, err := dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	t := &TableFile[T]{file: f, out: bufio.NewWriterSize(f, 1<<18)}
	t.rows = parquet.NewGenericWriter[T](t.out, parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest, Concurrency: 1}),
		parquet.MaxRowsPerRowGroup(tableGroupRows), parquet.CreatedBy("kmon", fmt.Sprint(Version), ""))
	return t, nil
}

// Append adds rows, copying them.
func (t *TableFile[T]) Append(rows []T) error {
	_, err := t.rows.Write(rows)
	return err
}

// Close ends the file.
func (t *TableFile[T]) Close() error {
	return errors.Join(t.rows.Close(), t.out.Flush(), t.file.Close())
}
