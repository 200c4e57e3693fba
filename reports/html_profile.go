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
	b.number(p.DetailNs)
	packCells(&b, p.Detail, len(p.Nodes))
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
	var buckets, counts []int64
	var distances, values packer
	last := int32(0)
	for from := 0; from < len(cells); {
		bucket := inPlaces(cells[from:], place)
		before := int32(0)
		for _, c := range bucket {
			distances.number(int64(c.Node - before))
			values.number(c.Value)
			before = c.Node
		}
		buckets, counts = append(buckets, int64(bucket[0].Bucket-last)), append(counts, int64(len(bucket)))
		last = bucket[0].Bucket
		from += len(bucket)
	}
	same := func(_ int, n int64) int64 { return n }
	column64(b, buckets, same)
	column64(b, counts, same)
	for _, column := range [][]byte{distances.bytes, values.bytes} {
		b.number(int64(len(cells)))
		b.bytes = append(b.bytes, column...)
	}
}

// inPlaces gives the cells of the first bucket, by the places of their nodes.
func inPlaces(cells []analyze.ProfileCell, place []int32) []analyze.ProfileCell {
	to := slices.IndexFunc(cells, func(c analyze.ProfileCell) bool { return c.Bucket != cells[0].Bucket })
	if to < 0 {
		to = len(cells)
	}
	bucket := slices.Clone(cells[:to])
	for i := range bucket {
		bucket[i].Node = place[bucket[i].Node]
	}
	slices.SortFunc(bucket, func(a, b analyze.ProfileCell) int { return cmp.Compare(a.Node, b.Node) })
	return bucket
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
