package main

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Operations of io_uring, enum io_uring_op of linux/io_uring.h.
const (
	uringRead  = 22
	uringWrite = 23
	uringSend  = 26
	uringRecv  = 27
)

// Where io_uring_setup(2) maps its rings, and the flag of io_uring_enter(2)
// that waits for completions.
const (
	uringOffsetRings     = 0
	uringOffsetEntries   = 0x10000000
	uringEnterGetEvents  = 1
	uringFeatureOneMap   = 1 // both rings share one mapping, since 5.4
	uringEntryBytes      = 64
	uringCompletionBytes = 16
)

// uringParams is struct io_uring_params.
type uringParams struct {
	sqEntries, cqEntries, flags, sqThreadCPU, sqThreadIdle, features, wqFD uint32
	_                                                                      [3]uint32
	sq                                                                     struct {
		head, tail, ringMask, ringEntries, flags, dropped, array, _ uint32
		_                                                           uint64
	}
	cq struct {
		head, tail, ringMask, ringEntries, overflow, entries, flags, _ uint32
		_                                                              uint64
	}
}

// uringEntry is struct io_uring_sqe, of which these operations need the first
// half.
type uringEntry struct {
	opcode, flags    uint8
	ioprio           uint16
	fd               int32
	offset, address  uint64
	length, msgFlags uint32
	userData         uint64
	_                [24]byte
}

// uring moves data with one operation of an io_uring at a time.
func uring(opcode uint8) func(fd int, p []byte) (int, error) {
	return func(fd int, p []byte) (int, error) {
		ring, err := openRing()
		if err != nil {
			return 0, err
		}
		defer ring.close()
		return counted(func(fd int, p []byte) (int, error) { return ring.do(opcode, fd, p) })(fd, p)
	}
}

// ring is an io_uring with room for one entry.
type ring struct {
	fd      int
	params  uringParams
	rings   []byte
	entries []byte
}

func openRing() (*ring, error) {
	r := &ring{}
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&r.params)), 0)
	if errno != 0 {
		return nil, errno
	}
	r.fd = int(fd)
	if r.params.features&uringFeatureOneMap == 0 {
		r.close()
		return nil, unix.ENOSYS
	}
	size := max(r.params.sq.array+r.params.sqEntries*4, r.params.cq.entries+r.params.cqEntries*uringCompletionBytes)
	var err error
	if r.rings, err = unix.Mmap(r.fd, uringOffsetRings, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE); err == nil {
		r.entries, err = unix.Mmap(r.fd, uringOffsetEntries, int(r.params.sqEntries)*uringEntryBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	}
	if err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *ring) close() {
	for _, mapping := range [][]byte{r.rings, r.entries} {
		if mapping != nil {
			unix.Munmap(mapping) //nolint:errcheck // it is gone with the process at the latest
		}
	}
	unix.Close(r.fd) //nolint:errcheck // as above
}

// word gives the ring's counter at an offset.
func (r *ring) word(offset uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.rings[offset])) }

// do submits one operation and waits for its result.
func (r *ring) do(opcode uint8, fd int, p []byte) (int, error) {
	*(*uringEntry)(unsafe.Pointer(&r.entries[0])) = uringEntry{opcode: opcode, fd: int32(fd),
		address: uint64(uintptr(unsafe.Pointer(&p[0]))), length: uint32(len(p))}
	*r.word(r.params.sq.array) = 0
	atomic.AddUint32(r.word(r.params.sq.tail), 1)
	for head := r.word(r.params.cq.head); atomic.LoadUint32(r.word(r.params.cq.tail)) == *head; {
		submit := atomic.LoadUint32(r.word(r.params.sq.tail)) - atomic.LoadUint32(r.word(r.params.sq.head))
		_, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(submit), 1, uringEnterGetEvents, 0, 0)
		if errno != 0 && errno != unix.EINTR {
			return 0, errno
		}
	}
	head := r.word(r.params.cq.head)
	at := r.params.cq.entries + (*head&*r.word(r.params.cq.ringMask))*uringCompletionBytes
	result := *(*int32)(unsafe.Pointer(&r.rings[at+8])) // struct io_uring_cqe: user_data u64, res s32
	atomic.AddUint32(head, 1)
	if result < 0 {
		return 0, unix.Errno(-result)
	}
	return int(result), nil
}
