package compare

import "kmon/analyze"

// FlameDifference is what stacks of one kind cost more or less in new than in
// base.
type FlameDifference struct {
	Kind    string `json:"kind"`              // on-cpu, off-cpu
	Service string `json:"service,omitempty"` // absent: all
}

// flameSums adds the stacks of the recordings of a side up.
type flameSums struct{}

// add adds those of a recording.
func (f *flameSums) add(*analyze.Analysis) {}
