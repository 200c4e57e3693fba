package probe

import (
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
	mergeIO = tracepoint(bpf.KmonProgBlockMerge, "block_rq_merge")
)

// askedByBio is the variant in which the asker is known by the bio a request is
// made for.
const askedByBio = "tp_btf:block_getrq"

// Who asks for an IO, and when.
var askerLadder = []variant{
	{name: "tp_btf:block_io_start", hooks: []hook{endIO, mergeIO, tracepoint(bpf.KmonProgBlockStart, "block_io_start")}},
	{name: askedByBio, hooks: []hook{endIO, mergeIO, tracepoint(bpf.KmonProgBlockGetrq, "block_getrq")}},
}

// When the device gets it, and what it is.
var ioLadder = []variant{{name: "tp_btf:block_rq_issue", hooks: []hook{
	endIO, mergeIO,
	tracepoint(bpf.KmonProgBlockRequeue, "block_rq_requeue"),
	tracepoint(bpf.KmonProgBlockIssue, "block_rq_issue"),
}}}

// isBlockProgram says whether a program feeds table ios.
func isBlockProgram(program string) bool {
	return inLadders(program, askerLadder, ioLadder)
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

// after is the time from one moment to a later one. The clocks of two CPUs may
// disagree by some nanoseconds.
func after(from, to uint64) int64 {
	if to <= from {
		return 0
	}
	return int64(to - from)
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
