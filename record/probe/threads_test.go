package probe

import (
	"bytes"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unsafe"

	"github.com/cilium/ebpf"

	"kmon/bpf"
	"kmon/format"
)

func comm(text string) (c [16]int8) {
	for i, b := range []byte(text) {
		c[i] = int8(b)
	}
	return c
}

func TestDecodeThreads(t *testing.T) {
	d := Decoder{IntervalBeforeNs: 100, IntervalStartNs: 200}
	record := bpf.KmonIntervalRecord{
		Kind: uint16(bpf.KmonRecordKindRECORD_INTERVAL), Tgid: 7, Tid: 8, TsNs: 250,
		OnCpuNs: 1, RunQueueNs: 2, Timeslices: 3, Voluntary: 4, Involuntary: 5, Comm: comm("redis"),
	}
	want := format.Interval{StartNs: 200, EndNs: 250, PID: 7, TID: 8, Comm: "redis",
		OnCPUNs: 1, RunQueueNs: 2, Timeslices: 3, Voluntary: 4, Involuntary: 5}
	for _, test := range []struct{ tsNs, startNs int64 }{{250, 200}, {199, 100}, {90, 90}} {
		record.TsNs, want.EndNs, want.StartNs = uint64(test.tsNs), test.tsNs, test.startNs
		var rows Data
		d.Data(&rows, bytesOf(&record))
		if len(rows.Intervals) != 1 || rows.Intervals[0] != want {
			t.Errorf("ended at %d: got %+v, want %+v", test.tsNs, rows.Intervals, want)
		}
	}
	sample := bpf.KmonSampleRecord{Kind: uint16(bpf.KmonRecordKindRECORD_SAMPLE), Cpu: 3, TsNs: 9, KernelStack: 11, UserStack: stackNotTaken, Tgid: 7, Tid: 8}
	var rows Data
	d.Data(&rows, bytesOf(&sample))
	if want := (format.OnCPU{TsNs: 9, CPU: 3, PID: 7, TID: 8, StackID: 11, UserStackID: -1}); len(rows.Samples) != 1 || rows.Samples[0] != want {
		t.Errorf("got %+v, want %+v", rows.Samples, want)
	}
	for _, record := range [][]byte{bytesOf(&record)[:intervalSize-1], bytesOf(&sample)[:8]} {
		d.Data(&rows, record)
	}
	if d.Undecodable != 2 || len(rows.Intervals) != 0 || len(rows.Samples) != 1 {
		t.Errorf("cut records: %d undecodable, rows %+v", d.Undecodable, rows)
	}
	if rows.Reset(); len(rows.Intervals)+len(rows.Samples) != 0 {
		t.Errorf("not empty: %+v", rows)
	}
}

func TestThreadStatesHaveTheSameNumbers(t *testing.T) {
	for kernel, file := range map[bpf.KmonThreadStateKind]format.ThreadState{
		bpf.KmonThreadStateKindSTATE_SLEEP:    format.StateSleep,
		bpf.KmonThreadStateKindSTATE_DISK:     format.StateDisk,
		bpf.KmonThreadStateKindSTATE_RUNNABLE: format.StateRunnable,
	} {
		if int(kernel) != int(file) {
			t.Errorf("%v is %d in the kernel's table", file, kernel)
		}
	}
}

// An iterator hands out its records in pieces of any size.
func TestReadRecords(t *testing.T) {
	var all []byte
	for n := range 500 {
		all = append(all, bytes.Repeat([]byte{byte(n)}, intervalSize)...)
	}
	for name, r := range map[string]io.Reader{
		"whole": bytes.NewReader(all), "halves": iotest.HalfReader(bytes.NewReader(all)),
		"bytes": iotest.OneByteReader(bytes.NewReader(all)), "end with data": iotest.DataErrReader(bytes.NewReader(all)),
	} {
		var got []byte
		if err := readRecords(r, intervalSize, func(record []byte) {
			if uintptr(unsafe.Pointer(&record[0]))%8 != 0 {
				t.Fatal("a record is not aligned")
			}
			got = append(got, record...)
		}); err != nil || !bytes.Equal(got, all) {
			t.Errorf("%s: %v, %d bytes of %d", name, err, len(got), len(all))
		}
	}
	if err := readRecords(iotest.ErrReader(io.ErrClosedPipe), intervalSize, nil); err == nil {
		t.Error("an error of the iterator is not told")
	}
}

func TestPlanWithoutAccounts(t *testing.T) {
	noSchedInfo := kernel(func(f *Facts) { delete(f.Fields, accountDelay) })
	plan, err := NewPlan(noSchedInfo, Request{Collectors: []string{"cpu", "proc"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"intervals", "offcpu", "wakes", "oncpu"} {
		if why := plan.Missing["cpu"][name]; plan.Has("cpu", name) || !strings.Contains(why, "no field "+accountDelay) {
			t.Errorf("%s: missing because %q", name, why)
		}
	}
	noClock := kernel(func(f *Facts) {
		f.Sampling, f.Reasons = NotSupported, map[string]string{"sampling": "perf_event_paranoid"}
	})
	plan, err = NewPlan(noClock, Request{Collectors: []string{"cpu"}, Asked: true})
	if err != nil {
		t.Fatal(err)
	}
	if why := plan.Missing["cpu"]["oncpu"]; !plan.Has("cpu", "offcpu") || !strings.Contains(why, "perf_event_paranoid") {
		t.Errorf("samples are missing because %q; planned: %v", why, plan.Variants)
	}
	plan, err = NewPlan(locked, Request{Collectors: []string{"cpu"}, Without: map[string]string{"oncpu": "not wanted"},
		Settings: map[string]map[string]string{"cpu": {"sample_hz": "0"}, "tcp": {"x": "y"}}})
	if err != nil || plan.Missing["cpu"]["oncpu"] != "not wanted" || plan.Settings["cpu"]["sample_hz"] != "0" || plan.Settings["tcp"] != nil {
		t.Errorf("got %+v, %v", plan, err)
	}
}

func TestUserFrames(t *testing.T) {
	var stack bpf.KmonUserStack
	stack.Depth = 1 << 40 // more than there is room for
	stack.Frames[0].Status, stack.Frames[0].Offset, stack.Frames[0].BuildId[19] = stackBuildID, 0x1234, 9
	stack.Frames[1].Status, stack.Frames[1].Offset = 2, 0x7fff_0000_1234
	frames := userFrames(nil, &stack)
	if len(frames) != len(stack.Frames) || !frames[0].HasBuildID || frames[0].Offset != 0x1234 || frames[0].BuildID[19] != 9 || frames[0].IP != 0 {
		t.Errorf("%d frames, the first %+v", len(frames), frames[0])
	}
	if f := frames[1]; f.HasBuildID || f.IP != 0x7fff_0000_1234 || f.Offset != 0 {
		t.Errorf("a frame without build id: %+v", f)
	}
}

// The kernel stops where a key is not there; the others are to go all the same.
func TestDeleteAllPassesOverWhatIsGone(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("maps need root")
	}
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: 16})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for key := range uint32(6) {
		if err := m.Put(key, key); err != nil {
			t.Fatal(err)
		}
	}
	if err := deleteAll(m, []uint32{90, 0, 1, 91, 92, 4, 93}); err != nil {
		t.Fatal(err)
	}
	var key, value uint32
	var left []uint32
	for under := m.Iterate(); under.Next(&key, &value); {
		left = append(left, key)
	}
	slices.Sort(left)
	if want := []uint32{2, 3, 5}; !slices.Equal(left, want) {
		t.Errorf("left are %v, want %v", left, want)
	}
}
