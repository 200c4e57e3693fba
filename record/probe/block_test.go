package probe

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kmon/bpf"
	"kmon/format"
)

func TestDecodeIO(t *testing.T) {
	in := bpf.KmonIoRecord{
		Kind: 8, Operation: 2, Flags: 1 | 16, Bytes: 4096, StartNs: 100, IssuedNs: 130, DoneNs: 200, Sector: 77,
		Major: 259, Minor: 3, Tgid: 5, Tid: 6, Status: 7, Requeues: 1, Merges: 2,
	}
	want := format.IO{
		StartNs: 100, QueueNs: 30, DeviceNs: 70, DeviceID: 259<<20 | 3, Sector: 77, Bytes: 4096,
		Op: format.OperationWrite, Flags: format.IOSync | format.IOFUA, PID: 5, TID: 6,
		Error: int32(unix.ENODATA), Requeues: 1, Merges: 2,
	}
	var d Decoder
	var rows Data
	d.Data(&rows, bytesOf(&in))
	if len(rows.IOs) != 1 || rows.IOs[0] != want {
		t.Errorf("got %+v, want %+v", rows.IOs, want)
	}
	in.Operation, in.Sector, in.Status = 3, ^uint64(0), 200
	in.StartNs, in.IssuedNs, in.DoneNs = 130, 129, 128 // clocks of three CPUs
	rows.Reset()
	d.Data(&rows, bytesOf(&in))
	want.Op, want.Sector, want.Error = format.OperationFlush, -1, int32(unix.EIO)
	want.StartNs, want.QueueNs, want.DeviceNs = 130, 0, 0
	if len(rows.IOs) != 1 || rows.IOs[0] != want {
		t.Errorf("a flush: got %+v, want %+v", rows.IOs, want)
	}
	rows.Reset()
	if d.Data(&rows, bytesOf(&in)[:63]); d.Undecodable != 1 || len(rows.IOs) != 0 {
		t.Errorf("a short record: %+v, %d undecodable", rows.IOs, d.Undecodable)
	}
}

func TestPlanOfBlock(t *testing.T) {
	without := func(names ...string) Facts {
		return kernel(func(f *Facts) {
			for _, name := range names {
				delete(f.Tracepoints, name)
				delete(f.Fields, name)
			}
		})
	}
	const hooks = "block_complete block_rq_complete, block_complete_skipped block_rq_complete, block_merge block_rq_merge, "
	const issue = "block_requeue block_rq_requeue, block_issue block_rq_issue"
	for _, test := range []struct {
		name, asker, ios string
		facts            Facts
		hooks            string
		byBio            bool
	}{
		{name: "6.18", facts: locked, asker: "tp_btf:block_io_start", ios: "tp_btf:block_rq_issue",
			hooks: hooks + "block_start block_io_start, " + issue},
		{name: "6.1", facts: without("block_io_start"), asker: "tp_btf:block_getrq", ios: "tp_btf:block_rq_issue",
			hooks: hooks + "block_getrq block_getrq, " + issue, byBio: true},
		{name: "nobody asks", facts: without("block_io_start", "block_getrq"), ios: "tp_btf:block_rq_issue", hooks: hooks + issue},
		{name: "5.19", facts: without("block_io_start", ioOperation)},
		{name: "5.14", facts: without("block_io_start", ioDisk)},
	} {
		plan, err := NewPlan(test.facts, Request{Collectors: []string{"block"}})
		if err != nil {
			t.Fatal(err)
		}
		if got := plan.Variants["block"]["asker"]; got != test.asker {
			t.Errorf("%s: askers by %q, want %q", test.name, got, test.asker)
		}
		if got := plan.Variants["block"]["ios"]; got != test.ios {
			t.Errorf("%s: IOs by %q, want %q", test.name, got, test.ios)
		}
		var got []string
		for _, h := range plan.hooks {
			got = append(got, h.program+" "+h.target)
			if collector, table := owner(h.program); collector != "block" || table != "ios" {
				t.Errorf("%s feeds %s of %s", h.program, table, collector)
			}
		}
		if text := strings.Join(got, ", "); text != test.hooks {
			t.Errorf("%s: hooks %s, want %s", test.name, text, test.hooks)
		}
		spec, err := planned(plan, Options{DataRingBytes: 4096, ControlRingBytes: 4096})
		if err != nil {
			t.Fatal(err)
		}
		var byBio bool
		if err := spec.Variables[bpf.KmonVarIoByBio].Get(&byBio); err != nil || byBio != test.byBio {
			t.Errorf("%s: by bio %v, want %v: %v", test.name, byBio, test.byBio, err)
		}
		if there := spec.Maps[bpf.KmonMapIos] != nil; there != (test.hooks != "") {
			t.Errorf("%s: the map of IOs is there: %v", test.name, there)
		}
	}
}

func TestOpenIO(t *testing.T) {
	queued := bpf.KmonIoState{Wanted: 1, Length: 4096, Io: bpf.KmonIoRecord{
		Kind: 8, Operation: 1, Flags: 1, StartNs: 100, Sector: ^uint64(0), Major: 8, Tgid: 5, Tid: 6,
	}}
	issued := queued
	issued.Io.IssuedNs, issued.Io.Sector, issued.Io.Bytes = 130, 7, 512 // a part is done
	own, told := issued, issued
	own.Wanted, told.Told = 0, 1
	row := format.IO{StartNs: 100, DeviceID: 8 << 20, Op: format.OperationRead, Flags: format.IOSync | format.IOOpen, PID: 5, TID: 6}
	for _, test := range []struct {
		name   string
		state  bpf.KmonIoState
		sector int64
		queue  int64
		device int64
		ok     bool
	}{
		{"not with the device", queued, -1, 100, 0, true},
		{"with the device", issued, 7, 30, 70, true},
		{"the recorder's", own, 0, 0, 0, false},
		{"told, a flush follows", told, 0, 0, 0, false},
	} {
		want := format.IO{}
		if test.ok {
			want = row
			want.Sector, want.QueueNs, want.DeviceNs = test.sector, test.queue, test.device
		}
		if got, ok := openIO(&test.state, 200); ok != test.ok || got != want {
			t.Errorf("%s: got %+v, %v, want %+v, %v", test.name, got, ok, want, test.ok)
		}
	}
}
