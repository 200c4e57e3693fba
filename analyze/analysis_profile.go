package analyze

import "kmon/analyze/flame"

// Profile is every stack of the captures by time, in a form small enough for a
// page: frames, the tree of call paths over them, and how much of each path
// fell into each bucket of time.
type Profile struct {
	StartNs  int64 // of the first bucket, Unix
	BucketNs int64 // width of a bucket
	Frames   []ProfileFrame
	// Nodes are the call paths: node i is Frames[Frame] called by Parent, an
	// earlier node, or -1 for a root. Roots are services.
	Nodes []ProfileNode
	// OnCPU counts samples, OffCPU nanoseconds, both sorted by bucket, then node.
	OnCPU, OffCPU []ProfileCell
	// Detail has the samples of OnCPU once more, with rarer paths, in wider
	// buckets of DetailNs: a multiple of BucketNs, 0 when OnCPU has all of them.
	Detail   []ProfileCell
	DetailNs int64
	// OtherOnCPU, OtherOffCPU and OtherDetail are the parts of the cells that
	// rare paths, not told apart, add up to; 0 to 1.
	OtherOnCPU, OtherOffCPU, OtherDetail float64
	// SampleNs is the time one sample stands for; 0: not known.
	SampleNs int64
	// IntervalNs is the time that a cell of OffCPU is of, from the start of its
	// bucket: waits were added up by interval, and have no place within it.
	IntervalNs int64
}

// ProfileFrame is a name in a profile.
type ProfileFrame struct {
	Name        string
	Module      string
	Kind        string // service, kernel, user, state (of off-CPU time)
	Approximate bool
}

// ProfileNode is a call path.
type ProfileNode struct{ Parent, Frame int32 }

// ProfileCell is how much of a path fell into a bucket, without what it called:
// Bucket, Node and Value.
type ProfileCell = flame.Cell
