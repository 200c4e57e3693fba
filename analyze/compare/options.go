package compare

import "sync/atomic"

// Recording is one run of a system: the captures of its nodes, or of its one node.
// Parts of a rotated recording count as one capture.
type Recording struct {
	Name  string // what the user calls it: a file, a directory; "": its files
	Paths []string
}

// Options say how to compare. The zero value is what is documented as default.
type Options struct {
	Version   string  // of kmon, for Result.Version
	Alpha     float64 // 0: DefaultAlpha
	MinEffect float64 // relative; 0: DefaultMinEffect, and then not "asked"
	// Noise are runs of an unchanged system, at least two; none: what single
	// recordings differ by is assumed.
	Noise      []Recording
	Thresholds []Threshold
	Services   []string // only these services and their edges; none: all
	WindowNs   int64    // width of a window; 0: as the shortest recording allows
	KeepWarmUp bool     // drop no window because of warm-up
	Workers    int      // as analyze.Options.Workers
	Progress   *Progress
}

// Defaults of Options.
const (
	DefaultAlpha     = 0.05
	DefaultMinEffect = 0.05
	// SingleNoChange is within what no change is said of two single recordings, when
	// nobody asked for a MinEffect or gave Noise: they can hardly show less.
	SingleNoChange = 0.10
)

// ThresholdKind is what a threshold bounds.
type ThresholdKind string

// Kinds of thresholds.
const (
	// RelativeLimit and AbsoluteLimit bound the change from base to new, in the
	// direction of the limit's sign: +10% fails on more growth than that, −10% on a
	// larger fall.
	RelativeLimit ThresholdKind = "relative"
	AbsoluteLimit ThresholdKind = "absolute"
	// ValueLimit bounds the value of new from above.
	ValueLimit ThresholdKind = "value"
)

// Threshold is one bound, of every subject that it matches. It takes the place of
// the minimum effect there, and makes the metric decisive.
type Threshold struct {
	Text   string `json:"text"` // as given: "p99(service=cart):+10%"
	Metric Metric `json:"metric"`
	// Which subjects; all empty: every service. Service matches services; Client and
	// Server, together or alone, match edges.
	Service string        `json:"service,omitempty"`
	Client  string        `json:"client,omitempty"`
	Server  string        `json:"server,omitempty"`
	Kind    ThresholdKind `json:"kind"`
	Limit   float64       `json:"limit"` // a share (0.1 for 10%), or in the metric's unit
}

// Progress tells how far Run is. Its methods may be called while Run runs.
type Progress struct{ done, total atomic.Int64 }

// Done returns how many recordings were read, and of how many.
func (p *Progress) Done() (done, total int64) { return p.done.Load(), p.total.Load() }
