package replay

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"kmon/format"
)

// Batch is the exchanges of one segment, sorted by start.
type Batch struct {
	Capture *Capture
	Number  int // of the segment among the capture's, in the order of the file
	Columns *format.ExchangeColumns
	// Sockets has the index in Capture.Sockets of each of
	// Columns.SocketIDs; -1: the capture does not describe that socket.
	Sockets []int32
}

// seen is how many of the exchanges are of the time that is analyzed.
func (b *Batch) seen() int64 {
	within, starts := b.Capture.Within, b.Columns.StartNs
	first, _ := slices.BinarySearch(starts, within.FromNs)
	after, _ := slices.BinarySearch(starts, within.ToNs)
	return int64(after - first)
}

// Each reads the exchange segments of the part with the given number of
// workers and calls fn for each, concurrently; worker tells the calls of one
// goroutine apart. A Batch is valid during the call. Segments that cannot be
// read are left out and stand in Capture.Problems. The first error of fn ends
// the run.
func (p *Parts) Each(ctx context.Context, workers int, fn func(worker int, b *Batch) error) error {
	jobs, captures := p.jobs, p.captures
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	rows, seen := make([]atomic.Int64, len(captures)), make([]atomic.Int64, len(captures))
	var group sync.WaitGroup
	for worker := range max(workers, 1) {
		group.Go(func() {
			r := reader{}
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(jobs) {
					return
				}
				batch, err := r.read(jobs[i])
				if err != nil {
					continue // the file keeps it among its problems
				}
				rows[jobs[i].at].Add(int64(len(batch.Columns.StartNs)))
				seen[jobs[i].at].Add(batch.seen())
				if err := fn(worker, batch); err != nil {
					cancel(err)
				}
			}
		})
	}
	group.Wait()
	for i, c := range captures {
		c.Rows["exchanges"] += rows[i].Load()
		c.Seen["exchanges"] += seen[i].Load()
	}
	return context.Cause(ctx)
}

// job is a segment to read.
type job struct {
	capture *Capture
	at      int // index of capture in Parts.captures
	number  int // of segment, in Capture.segments
	segment format.Segment
}

// reader is one worker's buffers.
type reader struct {
	columns format.ExchangeColumns
	batch   Batch
}

func (r *reader) read(j job) (*Batch, error) {
	if err := j.segment.ReadExchanges(&r.columns); err != nil {
		return nil, err
	}
	b := &r.batch
	b.Capture, b.Number, b.Columns = j.capture, j.number, &r.columns
	b.Sockets = b.Sockets[:0]
	for _, id := range r.columns.SocketIDs {
		b.Sockets = append(b.Sockets, j.capture.Sockets.Find(id))
	}
	return b, nil
}
