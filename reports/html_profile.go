package reports

import (
	"cmp"
	"slices"

	"kmon/analyze"
)

// frameHTML is the most columns of a frame's name.
const frameHTML = 160

// packProfile writes the columns of p for assets/profile.js. The analysis has
// made p small enough for a page.
func packProfile(p *analyze.Profile) (string, error) {
	var b packer
	b.number(p.StartNs / 1e9)
	b.number(p.StartNs % 1e9)
	b.number(p.BucketNs)
	b.number(p.SampleNs)
	b.number(p.IntervalNs)
	frames, place := usedFrames(p)
	packFrames(&b, frames)
	column64(&b, p.Nodes, func(i int, n analyze.ProfileNode) int64 {
		if n.Parent < 0 {
			return 0
		}
		return int64(i) - int64(n.Parent)
	})
	column64(&b, p.Nodes, func(_ int, n analyze.ProfileNode) int64 { return place[n.Frame] })
	packCells(&b, p.OnCPU, len(p.Nodes))
	packCells(&b, p.OffCPU, len(p.Nodes))
	return b.pack()
}

// usedFrames gives the frames that a node has, in order, and their places.
func usedFrames(p *analyze.Profile) (frames []analyze.ProfileFrame, place []int64) {
	place = make([]int64, len(p.Frames))
	for _, n := range p.Nodes {
		place[n.Frame] = 1
	}
	for i, used := range place {
		place[i] = int64(len(frames))
		if used == 1 {
			frames = append(frames, p.Frames[i])
		}
	}
	return frames, place
}

// frameKinds are the kinds of frames by their number in the page; 0 is any other.
var frameKinds = []string{"", "service", "kernel", "user", "state"}

// packFrames writes names, modules, and kinds with the flag of approximate
// names.
func packFrames(b *packer, frames []analyze.ProfileFrame) {
	modules := map[string]int64{}
	list := []string{}
	b.number(int64(len(frames)))
	for _, f := range frames {
		b.text(cut(visible(f.Name), frameHTML))
		if _, known := modules[f.Module]; !known {
			modules[f.Module] = int64(len(list))
			list = append(list, f.Module)
		}
	}
	b.number(int64(len(list)))
	for _, m := range list {
		b.text(cut(visible(m), frameHTML))
	}
	column64(b, frames, func(_ int, f analyze.ProfileFrame) int64 { return modules[f.Module] })
	column64(b, frames, func(_ int, f analyze.ProfileFrame) int64 {
		kind := int64(max(0, slices.Index(frameKinds, f.Kind))) * 2
		if f.Approximate {
			kind++
		}
		return kind
	})
}

// packCells writes cells as columns: the nodes that have any, most frequent
// first; then by bucket the distance from the bucket before, how many cells,
// the distances of their places in that list, and their values.
func packCells(b *packer, cells []analyze.ProfileCell, nodes int) {
	order, place := byFrequency(cells, nodes)
	column64(b, order, func(_ int, node int32) int64 { return int64(node) })
	placed := slices.Clone(cells)
	for i := range placed {
		placed[i].Node = place[placed[i].Node]
	}
	slices.SortFunc(placed, func(a, b analyze.ProfileCell) int {
		return cmp.Or(cmp.Compare(a.Bucket, b.Bucket), cmp.Compare(a.Node, b.Node))
	})
	var buckets, counts []int64
	last, distances := int32(0), make([]int64, len(placed))
	for i, c := range placed {
		if i == 0 || c.Bucket != placed[i-1].Bucket {
			buckets, counts = append(buckets, int64(c.Bucket-last)), append(counts, 0)
			last = c.Bucket
			distances[i] = int64(c.Node)
		} else {
			distances[i] = int64(c.Node - placed[i-1].Node)
		}
		counts[len(counts)-1]++
	}
	same := func(_ int, n int64) int64 { return n }
	column64(b, buckets, same)
	column64(b, counts, same)
	column64(b, distances, same)
	column64(b, placed, func(_ int, c analyze.ProfileCell) int64 { return c.Value })
}

// byFrequency gives the nodes that have cells, those with the most first, and
// the place of each node among them.
func byFrequency(cells []analyze.ProfileCell, nodes int) (order, place []int32) {
	count := make([]int32, nodes)
	for _, c := range cells {
		count[c.Node]++
	}
	for i, n := range count {
		if n > 0 {
			order = append(order, int32(i))
		}
	}
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(count[b], count[a]) })
	place = make([]int32, nodes)
	for i, node := range order {
		place[node] = int32(i)
	}
	return order, place
}
