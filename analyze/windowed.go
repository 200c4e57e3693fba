package analyze

import (
	"context"
	"errors"

	"kmon/analyze/finding"
	"kmon/analyze/replay"
	"kmon/format"
)

const (
	// shortNs is up to which length a recording has windows of one second for
	// comparing; a longer one has those of longNs, or the double, or again.
	shortNs = 64e9
	longNs  = 5e9
	// maxCompared is how many windows there are about: more would be closer to each
	// other than requests and intervals are long.
	maxCompared = 128
)

// Windowed analyzes captures without looking for findings, and gives besides what
// services and edges did window by window, for package compare. The windows are
// as the recorder's intervals, and 1 s wide, or 5, 10, 20, … s of a longer recording. The Profile has every stack, in one bucket, and there are no flame
// trees. Options.WindowNs above 0 is the least width instead.
func Windowed(ctx context.Context, paths []string, o Options) (*Analysis, *finding.Input, error) {
	o.windowed = true
	r, err := readAligned(ctx, paths, o)
	if err != nil {
		return nil, nil, err
	}
	defer closeAll(r.captures)
	hashes := hashAll(r.captures)
	a := r.assemble()
	if err := r.addTopics(ctx, a); err != nil {
		return nil, nil, err
	}
	in := r.input()
	if r.hashes, r.partFiles, err = hashes(); err != nil {
		return nil, nil, err
	}
	a.Findings, a.Checks = []Finding{}, []Check{}
	if err := r.conclude(a); err != nil {
		return nil, nil, err
	}
	return a, in, nil
}

// setCompared divides the range into windows that fit the recorder's intervals: what
// is added up over one is then not of two windows.
func (r *run) setCompared() {
	width := r.options.WindowNs
	if width <= 0 {
		width = DefaultWindowNs
		if r.end-r.start > shortNs {
			width = longNs
		}
		for (r.end-r.start)/width > maxCompared {
			width *= 2
		}
	}
	for (r.end-r.start)/width >= maxWindows {
		width *= 2
	}
	base := r.firstInterval()
	base -= (base - r.start + width - 1) / width * width
	r.frame.BaseNs, r.frame.WidthNs = base, width
	r.frame.Windows = int32(max((r.end-base+width-1)/width, 1))
	r.setMaxWords()
}

// maxAttach is how long the recorder may take to begin its first interval.
const maxAttach = 60e9

// errEnough ends the reading of a table.
var errEnough = errors.New("enough was read")

// firstInterval gives when the first interval of the first capture that has any
// began, in Unix time; else when the range begins.
func (r *run) firstInterval() int64 {
	for _, c := range r.captures {
		if !c.Has("intervals") {
			continue
		}
		var startNs, endNs int64
		err := replay.Rows(c, "intervals", func(rows []format.Interval) error {
			for i := range rows {
				row := &rows[i] // one that ended before may have an earlier start
				if endNs == 0 || row.EndNs < endNs || row.EndNs == endNs && row.StartNs > startNs {
					startNs, endNs = row.StartNs, row.EndNs
				}
			}
			return errEnough
		})
		at := startNs + c.OffsetNs
		if errors.Is(err, errEnough) && at >= r.start && at-r.start < maxAttach {
			return at
		}
	}
	return r.start
}
