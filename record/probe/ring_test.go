package probe

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// fakeRing is a ring in ordinary memory, with a producer that behaves like
// the kernel's.
type fakeRing struct {
	Ring
	produced uint64
}

func newFakeRing(size int) *fakeRing {
	f := &fakeRing{}
	f.consumer, f.producer = make([]byte, 8), make([]byte, 8)
	f.data, f.mask = make([]byte, size), uint64(size-1)
	return f
}

func (f *fakeRing) put(flags uint32, record []byte) {
	entry := binary.NativeEndian.AppendUint32(nil, uint32(len(record))|flags)
	entry = append(binary.NativeEndian.AppendUint32(entry, 0), record...)
	for len(entry)%8 != 0 {
		entry = append(entry, 0)
	}
	for i, b := range entry {
		f.data[(f.produced+uint64(i))&f.mask] = b
	}
	f.produced += uint64(len(entry))
	*position(f.producer) = f.produced
}

func (f *fakeRing) drain(limit int) (records []string) {
	f.Drain(limit, func(record []byte) { records = append(records, string(record)) })
	return records
}

func TestRingHandsOutRecordsInOrder(t *testing.T) {
	f := newFakeRing(64)
	f.put(0, []byte("one"))
	f.put(ringDiscard, []byte("discarded"))
	f.put(0, []byte("three"))
	if got := f.drain(10); len(got) != 2 || got[0] != "one" || got[1] != "three" {
		t.Errorf("got %q", got)
	}
	if f.BacklogBytes() != 0 {
		t.Errorf("%d bytes left", f.BacklogBytes())
	}
}

func TestRingStopsAtARecordStillBeingWritten(t *testing.T) {
	f := newFakeRing(64)
	f.put(0, []byte("one"))
	busy := f.produced
	f.put(ringBusy, []byte("two"))
	f.put(0, []byte("three"))
	if got := f.drain(10); len(got) != 1 {
		t.Fatalf("got %q before the second was complete", got)
	}
	binary.NativeEndian.PutUint32(f.data[busy:], 3)
	if got := f.drain(10); len(got) != 2 || got[0] != "two" {
		t.Errorf("got %q", got)
	}
}

func TestRingKeepsToItsLimit(t *testing.T) {
	f := newFakeRing(128)
	for range 4 {
		f.put(0, []byte("x"))
	}
	if got := f.drain(3); len(got) != 3 {
		t.Errorf("got %d records, want 3", len(got))
	}
	if got := f.drain(3); len(got) != 1 {
		t.Errorf("got %d records, want 1", len(got))
	}
}

// The data area is mapped once, so a record across its end must be put
// together: every alignment of every length comes by here.
func TestRingPutsWrappedRecordsTogether(t *testing.T) {
	f := newFakeRing(256)
	for n := range 5000 {
		want := bytes.Repeat([]byte{byte(n)}, n%97)
		f.put(0, want)
		got := f.drain(10)
		if len(got) != 1 || got[0] != string(want) {
			t.Fatalf("record %d of %d bytes: got %q", n, len(want), got)
		}
	}
}
