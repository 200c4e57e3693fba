package compare

// FlameDifference is what stacks of one kind cost more or less in new than in
// base.
type FlameDifference struct {
	Kind    string `json:"kind"`              // on-cpu, off-cpu
	Service string `json:"service,omitempty"` // absent: all
}
