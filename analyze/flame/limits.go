package flame

// What a Builder keeps at most. A capture is hostile input; of a node's ten
// minutes (64 CPUs, 99 samples a second, 50,000 stacks) nothing is cut.
const (
	maxFrames      = 1 << 21 // distinct rows of table frames; about 100 B each
	maxStacks      = 1 << 20 // distinct stacks of a capture
	maxStackFrames = 1 << 24 // frames of all stacks of a capture, 4 B each
	maxDepth       = 1024    // frames of a stack; the kernel records 127
	maxNodes       = 1 << 21 // of the tree, about 70 B each; each may get one "(other)" beyond it
	maxServices    = 4096    // roots; further ones share one "(other)"
	lookAgain      = 1 << 17 // strips of cells, 24 B each, until those of one bucket become one
	maxBuckets     = 1 << 20
	maxCached      = 1 << 18 // pairs of stacks whose node is remembered
)

// bucketWidths are the widths of buckets, finest first; each divides the next.
// Beyond the last they double.
var bucketWidths = []int64{20e6, 100e6, 1e9}

// wider gives the width after ns.
func wider(ns int64) int64 {
	for _, w := range bucketWidths {
		if w > ns {
			return w
		}
	}
	return 2 * ns
}
