package analyze

import (
	"cmp"
	"container/heap"
	"context"
	"strings"

	"kmon/analyze/flame"
	"kmon/analyze/replay"
	"kmon/format"
)

// cpu tells what threads used, and learns their names.
func (l *timeline) cpu(ctx context.Context) error {
	l.names = map[int32]string{}
	err := replay.Rows(l.capture, "intervals", func(rows []format.Interval) error {
		for i := range rows {
			row := &rows[i]
			if name, known := l.names[row.TID]; name != row.Comm && (known || len(l.names) < maxStrangers) {
				l.names[row.TID] = strings.Clone(row.Comm)
			}
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	return replay.Rows(l.capture, "intervals", func(rows []format.Interval) error {
		for i := range rows {
			if err := l.interval(&rows[i]); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
}

func (l *timeline) interval(row *format.Interval) error {
	if !l.within(row.StartNs) || row.EndNs <= row.StartNs {
		return nil
	}
	thread := l.thread(row.PID, row.TID, l.capture.Owners.During(row.PID, row.StartNs, row.EndNs))
	if !l.wanted(thread.Service) {
		return nil
	}
	return l.to.CPU(&TimelineCPU{Thread: thread, StartNs: row.StartNs, EndNs: row.EndNs, OnCPUNs: row.OnCPUNs, RunQueueNs: row.RunQueueNs})
}

// ios tells all requests to disks.
func (l *timeline) ios(ctx context.Context) error {
	disks, err := diskTree(l.capture)
	if err != nil {
		return err
	}
	sorted := &inOrder[TimelineIO]{compare: compareIOs}
	err = replay.Rows(l.capture, "ios", func(rows []format.IO) error {
		for i := range rows {
			row := &rows[i]
			thread := l.thread(row.PID, row.TID, l.capture.Owners.At(row.PID, row.StartNs))
			if !l.within(row.StartNs) || !l.wanted(thread.Service) {
				continue
			}
			heap.Push(sorted, TimelineIO{
				Thread: thread, Disk: disks.Name(row.DeviceID), Operation: row.Op.String(), Flags: row.Flags.String(),
				StartNs: row.StartNs, QueueNs: max(row.QueueNs, 0), DeviceNs: max(row.DeviceNs, 0), Sector: row.Sector, Bytes: row.Bytes,
				Error: row.Error, Requeues: row.Requeues, Merges: row.Merges,
			})
			if err := sorted.drain(timelineRows, l.to.IO); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	return sorted.drain(0, l.to.IO)
}

func compareIOs(a, b *TimelineIO) int {
	return cmp.Or(cmp.Compare(a.StartNs, b.StartNs), cmp.Compare(b.QueueNs+b.DeviceNs, a.QueueNs+a.DeviceNs),
		cmp.Compare(a.Disk, b.Disk), cmp.Compare(a.Sector, b.Sector), cmp.Compare(a.Thread.TID, b.Thread.TID))
}

// samples tells what ran on the CPUs.
func (l *timeline) samples(ctx context.Context) error {
	b := l.flameBuilder()
	s := TimelineSample{Stack: flame.NoNode}
	return b.Samples(ctx, l.capture, func(t *flame.Tree, node int32, row *format.OnCPU) error {
		if node != s.Stack {
			s.Stack, s.Frames = node, s.Frames[:0]
			for _, f := range t.Path(node)[1:] { // the first is the service
				s.Frames = append(s.Frames, TimelineFrame{Name: t.Frames[f].Name, Module: t.Frames[f].Module})
			}
		}
		s.Thread = l.thread(row.PID, row.TID, l.capture.Owners.At(row.PID, row.TsNs))
		s.TsNs, s.CPU = row.TsNs, row.CPU
		return l.to.Sample(&s)
	})
}
