package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kmon/format"
)

// logOf makes a write log of entries, as qemu does: the head counts them.
func logOf(t *testing.T, counted uint64, entries ...write) string {
	t.Helper()
	var log bytes.Buffer
	sector := func(values ...any) {
		at := log.Len()
		for _, v := range values {
			check(t, binary.Write(&log, binary.LittleEndian, v))
		}
		log.Write(make([]byte, logSector-(log.Len()-at)))
	}
	sector(uint64(writeLogMagic), uint64(writeLogVersion), counted, uint32(logSector))
	for _, e := range entries {
		flags := uint64(0)
		if e.flush {
			flags = logFlush
		}
		sector(uint64(e.offset/logSector), uint64(len(e.data)/logSector), flags, uint64(0))
		log.Write(e.data)
	}
	path := filepath.Join(t.TempDir(), "writes")
	check(t, os.WriteFile(path, log.Bytes(), 0o600))
	return path
}

func TestWriteLog(t *testing.T) {
	sectors := func(b byte, n int) []byte { return bytes.Repeat([]byte{b}, n*logSector) }
	entries := []write{{offset: logSector, data: sectors('a', 2)}, {flush: true}, {offset: 2 * logSector, data: sectors('b', 1)}, {flush: true}}
	got, err := readWriteLog(logOf(t, 4, append(entries, write{data: sectors('c', 1)})...)) // the last came after the last flush
	check(t, err)
	disk, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	check(t, err)
	defer disk.Close()
	flushes := 0
	for _, w := range got {
		check(t, w.apply(disk))
		if w.flush {
			flushes++
		}
	}
	content, err := os.ReadFile(disk.Name())
	check(t, err)
	if want := string(sectors(0, 1)) + string(sectors('a', 1)) + string(sectors('b', 1)); string(content) != want || flushes != 2 {
		t.Errorf("%d flushes, %d bytes", flushes, len(content))
	}
	for name, path := range map[string]string{"cut off": logOf(t, 5, entries...), "no log": os.Args[0]} {
		if _, err := readWriteLog(path); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestEveryOtherWriteIsKept(t *testing.T) {
	at := func(offset int64) write { return write{offset: offset} }
	kept := everyOther([]write{at(1), at(2), at(3), at(4), {flush: true}, at(5), at(6)})
	if got := fmt.Sprint(kept); got != fmt.Sprint([]write{at(2), at(4)}) {
		t.Errorf("got %s", got)
	}
}

// A word is heard in whatever pieces it is said.
func TestAWordIsHeard(t *testing.T) {
	for _, said := range [][]string{{"guest: cut the power\n"}, {"x guest: c", "ut th", "e power"}, {"guest: cut the", " supply"}} {
		var to strings.Builder
		heard := false
		e := &ear{to: &to, word: cutWord, heard: func() { heard = true }}
		for _, piece := range said {
			_, err := e.Write([]byte(piece))
			check(t, err)
		}
		all := strings.Join(said, "")
		if heard != strings.Contains(all, cutWord) || to.String() != all {
			t.Errorf("%q: heard %v, handed on %q", said, heard, to.String())
		}
	}
}

func TestMarksOfClocks(t *testing.T) {
	did := clock{BeganNs: 10e9, EndedNs: 11e9}
	mark := func(ns int64, kind, text string) []format.Mark {
		return []format.Mark{{TsNs: ns, Kind: kind, Text: text}}
	}
	forward := "the wall clock was set forward by 59m59.99s: times are shown by the clock before"
	for name, test := range map[string]struct {
		marks []format.Mark
		want  bool
	}{
		"marked":      {mark(12e9, "clock", forward), true},
		"too early":   {mark(9e9, "clock", forward), false},
		"too late":    {mark(17e9, "clock", forward), false},
		"another":     {mark(12e9, "suspend", forward), false},
		"another sum": {mark(12e9, "clock", strings.Replace(forward, "59m", "58m", 1)), false},
		"none":        {nil, false},
	} {
		if got := marked(test.marks, "clock", time.Hour.Nanoseconds(), did); got != test.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
	slept := mark(12e9, "suspend", "the machine was suspended for 5s: no duration counts it, and times after it are shown as much too early")
	if !marked(slept, "suspend", 5e9, did) {
		t.Error("a suspension is not found")
	}
}
