package analyze

import (
	"context"

	"kmon/analyze/finding"
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
// services and edges did window by window, for package compare. The windows begin
// with the recording, as its intervals do, and are 1 s wide, or 5, 10, 20, … s of a
// longer one. The Profile has every stack, in one bucket, and there are no flame
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
	r.conclude(a)
	return a, in, nil
}

// setCompared divides the range into windows that begin with it.
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
	r.frame.BaseNs, r.frame.WidthNs = r.start, width
	r.frame.Windows = int32(max((r.end-r.start+width-1)/width, 1))
	r.setMaxWords()
}
