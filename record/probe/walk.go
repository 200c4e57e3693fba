package probe

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"kmon/bpf"
)

// walk runs an iterator to its end and calls after, if it is not nil, whenever
// it rested, see restsOnly, and at the end.
func walk(it *link.Iter, after func() error) error {
	reader, err := it.Open()
	if err != nil {
		return err
	}
	return errors.Join(readPieces(reader, after), reader.Close())
}

// readPieces reads and forgets what there is to the end.
func readPieces(r io.Reader, after func() error) error {
	piece := make([]byte, 1)
	for {
		_, err := r.Read(piece)
		if after != nil {
			if err := after(); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !restsOnly(err):
			return err
		}
	}
}

// restsOnly says that an iterator that has written nothing lets go for a moment:
// its program asks for that (crowded in bpf/emit.h), or it has seen a million objects (MAX_ITER_OBJECTS
// in kernel/bpf/bpf_iter.c). The next read goes on.
func restsOnly(err error) bool { return errors.Is(err, unix.EAGAIN) }

// ListExisting announces the sockets older than the session: first those that
// listen, by which the roles of the others are known. There may be more of them
// than the control ring holds, so drain is called in between.
func (s *Session) ListExisting(drain func() error) error {
	defer s.startMeter() // of what goes on, not of this
	for _, h := range s.plan.hooks {
		if h.kind != kindIterator || h.target != "task_file" {
			continue
		}
		it, err := link.AttachIter(link.IterOptions{Program: s.collection.Programs[h.program]})
		if err != nil {
			return fmt.Errorf("attach iterator %s: %w", h.program, err)
		}
		if err := errors.Join(walk(it, drain), it.Close()); err != nil {
			return fmt.Errorf("list sockets (%s): %w", h.program, err)
		}
	}
	if _, used := s.collection.Variables[bpf.KmonVarListed]; !used {
		return nil
	}
	return errors.Join(s.setVariable(bpf.KmonVarListed, true), s.updateControl())
}

// pace keeps what is done again and again to a share of one CPU. The zero value
// is due at once.
type pace struct{ next time.Time }

// sparing is how many times as long as a walk took there is none: it takes a
// hundredth of a CPU at most.
const sparing = 100

func (p *pace) due(now time.Time) bool { return !now.Before(p.next) }

// spent notes that the work begun at now took this much CPU time.
func (p *pace) spent(now time.Time, cpu time.Duration) { p.next = now.Add(sparing * cpu) }

// sweep walks over the sockets, unless it did a while ago and there are many:
// the kernel lets nothing else run on the CPU meanwhile, 0.1 s for a million.
func (s *Session) sweep(last bool) error {
	now := time.Now()
	if !last && !s.sweeps.due(now) {
		return nil
	}
	runtime.LockOSThread() // whose CPU time is asked for
	defer runtime.UnlockOSThread()
	before := threadCPU()
	err := s.sweepOnce(last)
	s.sweeps.spent(now, threadCPU()-before)
	if err != nil {
		return fmt.Errorf("sweep sockets: %w", err)
	}
	return nil
}

// sweepOnce makes one walk. Where the ends of sockets are hooked it also finds those
// that were missed; by address a state stays until its end is seen.
func (s *Session) sweepOnce(last bool) error {
	if last || s.plan.place == byAddress || !s.plan.Has("tcp", "free") {
		return walk(s.sweeper, nil)
	}
	return s.findLostEnds(func() (bool, error) {
		reads := 0
		err := walk(s.sweeper, func() error {
			reads++
			return nil
		})
		return reads > 1, err
	})
}

func threadCPU() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err) // cannot fail with these arguments
	}
	return time.Duration(t.Nano())
}
