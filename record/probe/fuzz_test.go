package probe

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"testing/iotest"

	"kmon/bpf"
	"kmon/format"
	"kmon/record/symbol"
)

// fill copies bytes over a structure of the kernel's.
func fill[T any](data []byte) *T {
	v := new(T)
	copy(bytesOf(v), data)
	return v
}

// FuzzKernelTables holds that nothing in the kernel's tables and iterators
// makes their decoders panic, and that rows hold what rows may.
func FuzzKernelTables(f *testing.F) {
	f.Add(bytesOf(&bpf.KmonNetEventKey{Kind: uint16(format.NetDrop), Family: afInet, Reason: 1 << 31}), uint64(1))
	f.Add(bytesOf(&bpf.KmonQueueRecord{Family: afInet6, Depth: 1 << 31}), uint64(1e9))
	f.Add(bytesOf(&bpf.KmonIoState{Wanted: 1, Io: bpf.KmonIoRecord{StartNs: 1 << 63, Status: 1 << 15}}), uint64(0))
	f.Add(bytesOf(&bpf.KmonUserStack{Depth: 1 << 63}), uint64(0))
	f.Fuzz(func(t *testing.T, data []byte, ns uint64) {
		event := netEventRow(fill[bpf.KmonNetEventKey](data), fill[bpf.KmonNetEventSum](binary.LittleEndian.AppendUint64(nil, ns)), Reasons{})
		queue := queueRow(fill[bpf.KmonQueueRecord](data))
		for _, addr := range []string{event.LocalAddr, event.RemoteAddr, queue.Addr} {
			if _, err := netip.ParseAddr(addr); addr != "" && err != nil {
				t.Errorf("address %q", addr)
			}
		}
		if io, ok := openIO(fill[bpf.KmonIoState](data), ns); ok && (io.QueueNs < 0 || io.DeviceNs < 0) {
			t.Errorf("durations are negative: %+v", io)
		}
		stack := fill[bpf.KmonUserStack](data)
		if frames := userFrames([]symbol.UserFrame{}, stack); len(frames) > len(stack.Frames) {
			t.Errorf("%d frames of a stack of %d", len(frames), len(stack.Frames))
		}
	})
}

// FuzzReadRecords holds that an iterator's bytes become whole records in their
// order, however they come.
func FuzzReadRecords(f *testing.F) {
	f.Add([]byte("123456789"), uint8(4))
	f.Add(bytes.Repeat([]byte("x"), 100), uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, size uint8) {
		n := int(size) + 1
		var got []byte
		if err := readRecords(iotest.OneByteReader(bytes.NewReader(data)), n, func(record []byte) { got = append(got, record...) }); err != nil {
			t.Fatal(err)
		}
		if want := data[:len(data)/n*n]; !bytes.Equal(got, want) {
			t.Errorf("got %d bytes of records, want %d", len(got), len(want))
		}
	})
}
