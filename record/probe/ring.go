package probe

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

const (
	ringBusy    = 1 << 31 // the program is still writing the record
	ringDiscard = 1 << 30
	ringHeader  = 8
)

// Ring reads one BPF ring buffer in place: records are decoded where the
// kernel wrote them. The data area is mapped once, not twice as the kernel
// offers, which halves what it counts as resident memory; a record that wraps
// around its end is copied. (Layout: kernel/bpf/ringbuf.c.)
type Ring struct {
	consumer []byte
	producer []byte
	data     []byte
	mask     uint64
	wrapped  []byte
}

// NewRing maps the ring buffer m. The caller keeps m open and closes the Ring.
func NewRing(m *ebpf.Map) (*Ring, error) {
	size := int(m.MaxEntries())
	page := os.Getpagesize()
	consumer, err := unix.Mmap(m.FD(), 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map consumer page of ring buffer: %w", err)
	}
	producer, err := unix.Mmap(m.FD(), int64(page), page+size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("map data of ring buffer: %w", err), unix.Munmap(consumer))
	}
	return &Ring{consumer: consumer, producer: producer, data: producer[page:], mask: uint64(size - 1)}, nil
}

// Close unmaps the ring. No record handed out may be used afterwards.
func (r *Ring) Close() error {
	return errors.Join(unix.Munmap(r.consumer), unix.Munmap(r.producer))
}

func position(page []byte) *uint64 { return (*uint64)(unsafe.Pointer(&page[0])) }

// BacklogBytes is how much is waiting to be read.
func (r *Ring) BacklogBytes() int64 {
	return int64(atomic.LoadUint64(position(r.producer)) - atomic.LoadUint64(position(r.consumer)))
}

// SizeBytes is the capacity of the ring.
func (r *Ring) SizeBytes() int64 { return int64(r.mask + 1) }

// Drain hands every complete record to fn, at most limit of them, and returns
// how many. A record is valid only during the call.
func (r *Ring) Drain(limit int, fn func(record []byte)) int {
	consumed := atomic.LoadUint64(position(r.consumer))
	produced := atomic.LoadUint64(position(r.producer))
	n := 0
	for n < limit && consumed < produced {
		offset := consumed & r.mask
		header := atomic.LoadUint32((*uint32)(unsafe.Pointer(&r.data[offset])))
		if header&ringBusy != 0 {
			break
		}
		length := uint64(header &^ ringDiscard)
		if header&ringDiscard == 0 {
			fn(r.record(offset+ringHeader, length))
			n++
		}
		consumed += (ringHeader + length + 7) &^ 7
		atomic.StoreUint64(position(r.consumer), consumed)
	}
	return n
}

func (r *Ring) record(start, length uint64) []byte {
	start &= r.mask
	if end := start + length; end <= uint64(len(r.data)) {
		return r.data[start:end:end]
	}
	r.wrapped = append(r.wrapped[:0], r.data[start:]...)
	r.wrapped = append(r.wrapped, r.data[:length-(uint64(len(r.data))-start)]...)
	return r.wrapped
}
