package probe

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
	"unicode"
	"unicode/utf8"
	"unsafe"

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

// FuzzDecode holds that no record of the rings makes the decoders panic, that
// each is decoded or counted, and that rows hold what rows may.
func FuzzDecode(f *testing.F) {
	f.Add(bytesOf(&bpf.KmonExchangeRecord{Kind: 1}))
	f.Add(bytesOf(&bpf.KmonSocketRecord{Kind: uint16(bpf.KmonRecordKindRECORD_SOCKET), Family: afInet6}))
	f.Add(bytesOf(&bpf.KmonListenerRecord{Kind: uint16(bpf.KmonRecordKindRECORD_LISTENER), Family: afInet}))
	f.Add(bytesOf(&bpf.KmonQueueRecord{Kind: uint16(bpf.KmonRecordKindRECORD_QUEUE), Family: afInet}))
	f.Add(bytesOf(&bpf.KmonProcRecord{Kind: uint16(bpf.KmonRecordKindRECORD_PROC), ExeLen: 1 << 31, ArgsLen: 1 << 31}))
	f.Add(bytesOf(&bpf.KmonIntervalRecord{Kind: uint16(bpf.KmonRecordKindRECORD_INTERVAL), TsNs: 1 << 63}))
	f.Add(bytesOf(&bpf.KmonSampleRecord{Kind: uint16(bpf.KmonRecordKindRECORD_SAMPLE)}))
	f.Add(bytesOf(&bpf.KmonIoRecord{Kind: uint16(bpf.KmonRecordKindRECORD_IO), Major: 1 << 31, Status: 1 << 15}))
	f.Fuzz(func(t *testing.T, record []byte) {
		// Records are 8-byte aligned in a ring.
		aligned := make([]uint64, len(record)/8+1)
		b := unsafe.Slice((*byte)(unsafe.Pointer(&aligned[0])), len(record))
		copy(b, record)
		d, data := Decoder{IntervalStartNs: 1e9}, Data{}
		d.Data(&data, b)
		if rows := len(data.Exchanges) + len(data.Intervals) + len(data.Samples) + len(data.IOs); rows == 0 && d.Undecodable == 0 {
			t.Error("neither decoded nor counted")
		}
		checkData(t, &data)
		d.Undecodable = 0
		if row := d.Control(b); (row == nil) != (d.Undecodable == 1) {
			t.Errorf("row %+v, %d undecodable", row, d.Undecodable)
		} else {
			checkControl(t, row)
		}
	})
}

// checkData holds what rows of the data ring may say.
func checkData(t *testing.T, data *Data) {
	t.Helper()
	for _, r := range data.Exchanges {
		if min(r.UploadNs, r.ServerNs, r.DownloadNs, r.RequestBytes, r.AnswerBytes) < 0 {
			t.Errorf("less than nothing: %+v", r)
		}
	}
	for _, r := range data.Intervals {
		if r.StartNs > r.EndNs || !utf8.ValidString(r.Comm) || strings.ContainsFunc(r.Comm, unicode.IsControl) {
			t.Errorf("interval %+v", r)
		}
	}
	for _, r := range data.IOs {
		if min(r.QueueNs, r.DeviceNs) < 0 {
			t.Errorf("durations are negative: %+v", r)
		}
	}
}

// checkControl holds what rows of the control ring may say.
func checkControl(t *testing.T, row any) {
	t.Helper()
	switch r := row.(type) {
	case format.Socket:
		checkAddresses(t, r.LocalAddr, r.RemoteAddr)
	case format.Listener:
		checkAddresses(t, r.Addr)
	case format.AcceptQueue:
		checkAddresses(t, r.Addr)
	case Proc:
		if text := r.Comm + r.Exe + r.Cmdline; !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
			t.Errorf("process %+v", r)
		}
	}
}

func checkAddresses(t *testing.T, addresses ...string) {
	t.Helper()
	for _, addr := range addresses {
		if _, err := netip.ParseAddr(addr); addr != "" && err != nil {
			t.Errorf("address %q", addr)
		}
	}
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
		checkAddresses(t, event.LocalAddr, event.RemoteAddr, queue.Addr)
		if io, ok := openIO(fill[bpf.KmonIoState](data), ns); ok && (io.QueueNs < 0 || io.DeviceNs < 0) {
			t.Errorf("durations are negative: %+v", io)
		}
		stack := fill[bpf.KmonUserStack](data)
		if frames := userFrames([]symbol.UserFrame{}, stack); len(frames) > len(stack.Frames) {
			t.Errorf("%d frames of a stack of %d", len(frames), len(stack.Frames))
		}
		key := fill[bpf.KmonCallKey](data)
		counts := callCounts{calls: Calls{Latency: ns%2 == 0, Counters: []Counter{{Name: "c", Kind: format.CounterTracepoint}}}}
		rows := counts.rows(map[callOf]bpf.KmonCallCount{{key.Tgid, key.Id}: *fill[bpf.KmonCallCount](data)})
		if len(rows) != 1 || rows[0].Name == "" || (rows[0].Kind == format.CounterTracepoint) != (rows[0].Name == "c") {
			t.Errorf("calls %+v", rows)
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
