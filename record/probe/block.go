package probe

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"kmon/bpf"
	"kmon/format"
)

// blockCollector records IOs: requests to block devices.
const blockCollector = "block"

// The end of an IO is hooked first, so that none is begun whose end is missed.
var (
	endIO   = tracepoint(bpf.KmonProgBlockComplete, "block_rq_complete")
	endIO2  = tracepoint(bpf.KmonProgBlockCompleteSkipped, "block_rq_complete")
	mergeIO = tracepoint(bpf.KmonProgBlockMerge, "block_rq_merge")
)

// askedByBio is the variant in which the asker is known by the bio a request is
// made for.
const askedByBio = "tp_btf:block_getrq"

// Who asks for an IO, and when.
var askerLadder = []variant{
	{name: "tp_btf:block_io_start", hooks: []hook{endIO, endIO2, mergeIO, tracepoint(bpf.KmonProgBlockStart, "block_io_start")}},
	{name: askedByBio, hooks: []hook{endIO, endIO2, mergeIO, tracepoint(bpf.KmonProgBlockGetrq, "block_getrq")}},
}

// When the device gets it, and what it is.
var ioLadder = []variant{{name: "tp_btf:block_rq_issue", hooks: []hook{
	endIO, endIO2, mergeIO,
	tracepoint(bpf.KmonProgBlockRequeue, "block_rq_requeue"),
	tracepoint(bpf.KmonProgBlockIssue, "block_rq_issue"),
}}}

// isBlockProgram says whether a program feeds table ios.
func isBlockProgram(program string) bool {
	return inLadders(program, askerLadder, ioLadder)
}

// standsIn says whether another program does what this one was skipped for. That
// both were is seen when an IO does not end.
func standsIn(program string) bool {
	return program == bpf.KmonProgBlockComplete || program == bpf.KmonProgBlockCompleteSkipped
}

// setBlock tells the programs how askers are known, and leaves out the map of
// IOs where there are none.
func (p Plan) setBlock(spec *ebpf.CollectionSpec) error {
	if len(p.Variants[blockCollector]) == 0 {
		delete(spec.Maps, bpf.KmonMapIos)
	}
	byBio := p.Variants[blockCollector]["asker"] == askedByBio
	return setVariable(spec.Variables, bpf.KmonVarIoByBio, byBio)
}

// endIOs lets the programs record nothing any more, before the first of them is
// detached.
func (s *Session) endIOs() error {
	if s.iosEndedNs != 0 || s.collection == nil || !s.recordsIOs() {
		return nil
	}
	err := setVariable(s.collection.Variables, bpf.KmonVarIosEnded, true)
	s.iosEndedNs = monotonicNs()
	return err
}

func (s *Session) recordsIOs() bool { return len(s.plan.Variants[blockCollector]) > 0 }

// OpenIOs returns the IOs that had not ended when the hooks were detached.
func (s *Session) OpenIOs() ([]format.IO, error) {
	if !s.recordsIOs() {
		return nil, nil
	}
	var rows []format.IO
	var key uint64
	var state bpf.KmonIoState
	under := s.collection.Maps[bpf.KmonMapIos].Iterate()
	for under.Next(&key, &state) {
		if row, ok := openIO(&state, s.iosEndedNs); ok {
			rows = append(rows, row)
		}
	}
	if err := under.Err(); err != nil {
		return nil, fmt.Errorf("list the IOs under way: %w", err)
	}
	slices.SortFunc(rows, func(a, b format.IO) int { return cmp.Compare(a.StartNs, b.StartNs) })
	return rows, nil
}

// openIO is the row of an IO under way at endNs.
func openIO(s *bpf.KmonIoState, endNs uint64) (format.IO, bool) {
	io := s.Io
	if s.Wanted == 0 || s.Told != 0 {
		return format.IO{}, false
	}
	io.DoneNs, io.Bytes = endNs, 0
	if io.IssuedNs == 0 {
		io.IssuedNs = endNs
	}
	row := ioRow(&io)
	row.Flags |= format.IOOpen
	return row, true
}

// deviceMinorBits places the major number in a device id, as in snapshot disks.
const deviceMinorBits = 20

func ioRow(r *bpf.KmonIoRecord) format.IO {
	return format.IO{
		StartNs: int64(r.StartNs), QueueNs: after(r.StartNs, r.IssuedNs), DeviceNs: after(r.IssuedNs, r.DoneNs),
		DeviceID: int64(r.Major)<<deviceMinorBits | int64(r.Minor),
		Sector:   int64(r.Sector), Bytes: int64(r.Bytes),
		Op: format.Operation(r.Operation), Flags: format.IOFlags(r.Flags),
		PID: int32(r.Tgid), TID: int32(r.Tid), Error: statusErrno(r.Status),
		Requeues: int32(r.Requeues), Merges: int32(r.Merges),
	}
}

// monotonicNs is the programs' clock (bpf_ktime_get_ns).
func monotonicNs() uint64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		panic(err) // cannot fail with these arguments
	}
	return uint64(now.Nano())
}

// after is the time from one moment to a later one. The clocks of two CPUs may
// disagree by some nanoseconds.
func after(from, to uint64) int64 {
	if to <= from {
		return 0
	}
	return int64(min(to-from, math.MaxInt64))
}

// statusErrnos are what the kernel makes of a blk_status_t (blk_errors in
// block/blk-core.c). Those that follow have other numbers in other versions.
var statusErrnos = [...]unix.Errno{
	1: unix.EOPNOTSUPP, 2: unix.ETIMEDOUT, 3: unix.ENOSPC, 4: unix.ENOLINK, 5: unix.EREMOTEIO, 6: unix.EBADE,
	7: unix.ENODATA, 8: unix.EILSEQ, 9: unix.ENOMEM, 10: unix.EIO, 11: unix.EREMCHG, 12: unix.EAGAIN, 13: unix.EBUSY,
}

// statusErrno is the errno of a blk_status_t; EIO for one that is not known.
func statusErrno(status uint16) int32 {
	if int(status) < len(statusErrnos) {
		return int32(statusErrnos[status])
	}
	return int32(unix.EIO)
}
