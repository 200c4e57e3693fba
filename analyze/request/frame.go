package request

// Frame is the time that is analyzed, in Unix nanoseconds, and its windows.
type Frame struct {
	FromNs, ToNs int64 // requests that began in [FromNs, ToNs) count
	BaseNs       int64 // start of window 0, a multiple of WidthNs
	WidthNs      int64
	Windows      int32
	// MaxWords bounds the memory of all windows, in 8 bytes: windows become
	// twice as wide when they need more.
	MaxWords int
	// MaxExamples bounds the examples of all cells: each keeps half as many when
	// there are more; 0: maxExamples.
	MaxExamples int
}

// windowWords is what a window needs without its distribution.
const windowWords = 24

// Window gives the window of a time, the first or last for times outside.
func (f Frame) Window(ns int64) int32 {
	return int32(min(max((ns-f.BaseNs)/f.WidthNs, 0), int64(f.Windows)-1))
}

// wider gives the frame with windows twice as wide, each made of one or two.
func (f Frame) wider() Frame {
	w := f
	w.WidthNs = 2 * f.WidthNs
	if f.BaseNs%w.WidthNs != 0 {
		w.BaseNs = f.BaseNs - f.WidthNs
	}
	w.Windows = (f.Windows + int32((f.BaseNs-w.BaseNs)/f.WidthNs) + 1) / 2
	return w
}

// widen merges windows two by two. It loses nothing but detail in time, so
// the result is that of having counted into the wider windows.
func (p *Partial) widen() {
	old := p.Frame
	p.Frame = old.wider()
	shift := int32((old.BaseNs - p.Frame.BaseNs) / old.WidthNs)
	for _, s := range p.Cells {
		if s == nil {
			continue
		}
		merged := s.Windows[:0]
		for i := range s.Windows {
			w := s.Windows[i]
			w.Index = (w.Index + shift) / 2
			if n := len(merged); n > 0 && merged[n-1].Index == w.Index {
				merged[n-1].merge(&w)
				continue
			}
			merged = append(merged, w)
		}
		clear(s.Windows[len(merged):])
		s.Windows = merged
	}
	p.measure()
}

// measure counts the words anew.
func (p *Partial) measure() {
	p.words = 0
	for _, s := range p.Cells {
		if s == nil {
			continue
		}
		for i := range s.Windows {
			p.words += windowWords + s.Windows[i].Latency.Size()
		}
	}
}

// limit widens windows until they fit. A part of the rows needs no more than
// all of them, so when a part has to widen, all have to: the width at the end
// is the same whatever the parts.
func (p *Partial) limit() {
	for p.words > p.Frame.MaxWords && p.Frame.Windows > 1 {
		p.widen()
	}
}
