package format

import (
	"fmt"
	"reflect"
	"strings"
)

// Row is any row of a capture.
type Row interface {
	Exchange | Socket | Proc | Loss | Self | Mark | Process | Listener | Container | Interface | Config |
		Interval | Wake | OffCPU | OnCPU | Stack | Frame | IO | Disk | Mount | NetEvent | AcceptQueue | Syscall | Memory | Limit
}

// kind is the physical type of a column.
type kind int

const (
	kindInt64 kind = iota
	kindInt32
	kindText
)

// column is one column of a table, as the row type's struct tag has it.
type column struct {
	name     string
	encoding string // delta, dict, split or plain
	kind     kind
	field    int     // index of the struct field
	offset   uintptr // of the struct field
	words    *words  // of an enum or flags, else nil
}

// table describes one table of a capture.
type table struct {
	name    string
	dir     string // "events" or "snapshots"
	row     reflect.Type
	columns []column
}

// tables lists every table in the order of FORMAT.md and of listings.
var tables = []*table{
	newTable[Exchange]("events", "exchanges"),
	newTable[Socket]("events", "sockets"),
	newTable[Proc]("events", "procs"),
	newTable[NetEvent]("events", "netevents"),
	newTable[AcceptQueue]("events", "acceptqueues"),
	newTable[Interval]("events", "intervals"),
	newTable[Wake]("events", "wakes"),
	newTable[OffCPU]("events", "offcpu"),
	newTable[OnCPU]("events", "oncpu"),
	newTable[IO]("events", "ios"),
	newTable[Syscall]("events", "syscalls"),
	newTable[Memory]("events", "memory"),
	newTable[Limit]("events", "limits"),
	newTable[Loss]("events", "losses"),
	newTable[Self]("events", "self"),
	newTable[Mark]("events", "marks"),
	newTable[Process]("snapshots", "processes"),
	newTable[Listener]("snapshots", "listeners"),
	newTable[Container]("snapshots", "containers"),
	newTable[Interface]("snapshots", "interfaces"),
	newTable[Disk]("snapshots", "disks"),
	newTable[Mount]("snapshots", "mounts"),
	newTable[Stack]("snapshots", "stacks"),
	newTable[Frame]("snapshots", "frames"),
	newTable[Config]("snapshots", "config"),
}

// newTable reads the columns off the row type. A row type it does not
// understand is a mistake in this package, so it panics at start-up.
func newTable[T Row](dir, name string) *table {
	t := &table{name: name, dir: dir, row: reflect.TypeFor[T]()}
	for i := range t.row.NumField() {
		f := t.row.Field(i)
		words := strings.Split(f.Tag.Get("parquet"), ",")
		c := column{name: words[0], encoding: "plain", field: i, offset: f.Offset, words: wordsOf[f.Type.Name()]}
		if len(words) > 1 {
			c.encoding = words[1]
		}
		switch f.Type.Kind() {
		case reflect.Int64:
			c.kind = kindInt64
		case reflect.Int32:
			c.kind = kindInt32
		case reflect.String:
			c.kind = kindText
		default:
			panic(fmt.Sprintf("format: column %s.%s has type %s", name, c.name, f.Type))
		}
		t.columns = append(t.columns, c)
	}
	return t
}

// tableOf gives the table whose rows are T.
func tableOf[T Row]() *table {
	row := reflect.TypeFor[T]()
	for _, t := range tables {
		if t.row == row {
			return t
		}
	}
	panic("format: no table for " + row.Name())
}

// tableNamed gives the table called name, nil when this version has none.
func tableNamed(name string) *table {
	for _, t := range tables {
		if t.name == name {
			return t
		}
	}
	return nil
}

// column gives the column called name; ok is false when there is none.
func (t *table) column(name string) (c column, ok bool) {
	for _, c := range t.columns {
		if c.name == name {
			return c, true
		}
	}
	return column{}, false
}

// timeColumn is the column that orders the table's rows.
func (t *table) timeColumn() string {
	for _, c := range t.columns {
		if c.name == "ts_ns" || c.name == "start_ns" {
			return c.name
		}
	}
	panic("format: table " + t.name + " has no time")
}

// entryName is the name of the seq-th segment of the table; the first is 1.
func (t *table) entryName(seq int) string {
	return fmt.Sprintf("%s/%s/%06d.parquet", t.dir, t.name, seq)
}
