//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"kmon/format"
)

// bombRows is the most that a reader takes of a segment of hardly any bytes.
const bombRows = 1 << 17

// charge is rows of a table, all the same, that are small as a file and large
// when read.
type charge struct {
	name, table string
	rows        int
	make        func(m *mutator, rows int) []byte
}

var charges = []charge{
	{"marks", "events/marks", bombRows, equal(format.Mark{TsNs: sampleNs, Kind: "user", Text: "x"})},
	{"self", "events/self", bombRows, equal(format.Self{TsNs: sampleNs})},
	{"processes", "snapshots/processes", bombRows, equal(format.Process{TsNs: sampleNs, PID: 1, Comm: "x"})},
	{"procs", "events/procs", bombRows, equal(format.Proc{TsNs: sampleNs, PID: 1, Event: format.ProcExec, Comm: "x"})},
	{"exchanges", "events/exchanges", bombRows, equal(format.Exchange{StartNs: sampleNs, SocketID: 1})},
	{"sockets", "events/sockets", bombRows, equal(format.Socket{TsNs: sampleNs, SocketID: 1, Event: format.SocketOpen})},
	{"losses", "events/losses", bombRows, equal(format.Loss{StartNs: sampleNs, EndNs: sampleNs + 1, Count: 1})},
	{"stacks", "snapshots/stacks", bombRows, equal(format.Stack{TsNs: sampleNs, StackID: 1})},
	{"frames", "snapshots/frames", bombRows, equal(format.Frame{TsNs: sampleNs, FrameID: 1})},
	{"ios", "events/ios", bombRows, equal(format.IO{StartNs: sampleNs})},
	{"netevents", "events/netevents", bombRows, equal(format.NetEvent{TsNs: sampleNs, Count: 1})},
	{"intervals", "events/intervals", bombRows, equal(format.Interval{StartNs: sampleNs, EndNs: sampleNs + 1, PID: 1})},
	{"on-CPU samples", "events/oncpu", bombRows, equal(format.OnCPU{TsNs: sampleNs, PID: 1})},
	{"listeners", "snapshots/listeners", bombRows, equal(format.Listener{TsNs: sampleNs, PID: 1})},
	{"texts", "events/marks", 1 << 13, equal(format.Mark{TsNs: sampleNs, Kind: "user", Text: strings.Repeat("x", 1<<20)})},
	{"command lines", "snapshots/processes", 1 << 14, equal(format.Process{TsNs: sampleNs, PID: 1, Cmdline: strings.Repeat("x", 1<<16)})},
	{"a table of another version", "events/planets", bombRows, equal(planet{Name: "mars"})},
	{"columns of another version", "events/marks", bombRows, equal(planet{Name: "mars"})},
}

// planet is a row that no kmon has.
type planet struct {
	Name       string `parquet:"name,dict"`
	A, B, C, D int64
	E, F, G, H int64
	I, J, K, L string
}

// bomb adds charges to a capture: many segments of one table, or one of an
// eighth of the rows of each: what is full in every table takes longer.
func (m *mutator) bomb(number int) (data []byte, story string) {
	which, segments := charges, 1
	story = "bomb: everything"
	if i := number % (len(charges) + 1); i < len(charges) {
		which, segments = charges[i:i+1], 20
		story = "bomb: " + charges[i].name
	}
	parts := m.parts()
	used := map[string]bool{}
	for _, c := range which {
		if used[c.table] {
			continue
		}
		used[c.table] = true
		rows := c.rows
		if segments == 1 {
			rows /= 8
		}
		key := fmt.Sprintf("%s %d", c.name, rows)
		if m.bombs[key] == nil {
			m.bombs[key] = c.make(m, max(rows, 1<<12))
		}
		parts = slices.DeleteFunc(parts, func(p part) bool { return strings.HasPrefix(p.central.name, c.table+"/") })
		for i := range segments {
			parts = append(parts, newPart(fmt.Sprintf("%s/%06d.parquet", c.table, i+1), m.bombs[key]))
		}
	}
	return archiveOf(parts, ending{}), story
}

// equal makes a Parquet file of rows that are all the same.
func equal[T any](row T) func(m *mutator, rows int) []byte {
	return func(m *mutator, rows int) []byte {
		const name = "rows.parquet"
		dir, err := os.OpenRoot(m.dir)
		check(m.t, err)
		defer dir.Close() // nothing is written through it any more
		t, err := format.CreateTable[T](dir, name)
		check(m.t, err)
		block := slices.Repeat([]T{row}, 1<<12)
		for range rows / len(block) {
			check(m.t, t.Append(block))
		}
		check(m.t, t.Close())
		data := read(m.t, filepath.Join(m.dir, name))
		check(m.t, dir.Remove(name))
		return data
	}
}
