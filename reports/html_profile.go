package reports

import (
	"cmp"
	"slices"

	"kmon/analyze"
)

// Bounds of the profile in a page.
const (
	profileBudget = 3 << 20 // bytes of the packed block
	frameHTML     = 160     // columns of a frame's name
	widestBucket  = 1e9     // ns: wider buckets would hide the second
)

// packProfile packs p for assets/profile.js, and says in words what it gave up
// to stay within budget bytes. Sums stay exact: buckets get wider, then rare
// paths are counted as the frame that called them.
func packProfile(p *analyze.Profile, budget int) (packed, note string, err error) {
	wide, least := int64(1), int64(0)
	for {
		thin := widened(p, wide)
		if least > 0 {
			thin = pruned(thin, least)
		}
		if packed, err = encodeProfile(thin); err != nil || len(packed) <= budget {
			break
		}
		if next := nextWidth(p.BucketNs, wide); next > 0 {
			wide = next
			continue
		}
		if least = max(2*least, 1); least > 1<<20 {
			break // one path a service is left: no profile is this large
		}
	}
	if wide > 1 {
		note = "To keep the page small, moments are " + DurationText(p.BucketNs*wide) + " wide instead of " + DurationText(p.BucketNs) + "."
	}
	if least > 0 {
		note += " Paths with less than " + CountText(least) + " in a million of the time are counted as the frame that called them."
	}
	return packed, note, err
}

// nextWidth is the next number of buckets to merge that divides a second, or 0.
func nextWidth(bucketNs, wide int64) int64 {
	for next := wide + 1; bucketNs > 0 && next*bucketNs <= widestBucket; next++ {
		if int64(1e9)%(next*bucketNs) == 0 {
			return next
		}
	}
	return 0
}

// widened merges each so many buckets of p into one.
func widened(p *analyze.Profile, wide int64) *analyze.Profile {
	if wide == 1 {
		return p
	}
	n := *p
	n.BucketNs *= wide
	merge := func(cells []analyze.ProfileCell) []analyze.ProfileCell {
		moved := slices.Clone(cells)
		for i := range moved {
			moved[i].Bucket /= int32(wide)
		}
		return mergedCells(moved)
	}
	n.OnCPU, n.OffCPU = merge(p.OnCPU), merge(p.OffCPU)
	return &n
}

// mergedCells sorts cells by bucket, then node, and adds up equal ones.
func mergedCells(cells []analyze.ProfileCell) []analyze.ProfileCell {
	slices.SortFunc(cells, func(a, b analyze.ProfileCell) int {
		return cmp.Or(cmp.Compare(a.Bucket, b.Bucket), cmp.Compare(a.Node, b.Node))
	})
	out := cells[:0]
	for _, c := range cells {
		if last := len(out) - 1; last >= 0 && out[last].Bucket == c.Bucket && out[last].Node == c.Node {
			out[last].Value += c.Value
			continue
		}
		out = append(out, c)
	}
	return out
}

// pruned counts paths with less than so many millionths of both times as the
// frame that called them. Services stay.
func pruned(p *analyze.Profile, millionths int64) *analyze.Profile {
	on, off := inclusive(p, p.OnCPU), inclusive(p, p.OffCPU)
	onAll, offAll := rootSum(p, on), rootSum(p, off)
	n := *p
	n.Nodes = nil
	moved := make([]int32, len(p.Nodes))
	for i, node := range p.Nodes {
		small := float64(on[i])*1e6 < onAll*float64(millionths) || onAll == 0
		small = small && (float64(off[i])*1e6 < offAll*float64(millionths) || offAll == 0)
		if small && node.Parent >= 0 {
			moved[i] = moved[node.Parent]
			continue
		}
		if node.Parent >= 0 {
			node.Parent = moved[node.Parent]
		}
		moved[i] = int32(len(n.Nodes))
		n.Nodes = append(n.Nodes, node)
	}
	move := func(cells []analyze.ProfileCell) []analyze.ProfileCell {
		cells = slices.Clone(cells)
		for i := range cells {
			cells[i].Node = moved[cells[i].Node]
		}
		return mergedCells(cells)
	}
	n.OnCPU, n.OffCPU = move(p.OnCPU), move(p.OffCPU)
	return &n
}

// inclusive is the value of each node with what it called.
func inclusive(p *analyze.Profile, cells []analyze.ProfileCell) []int64 {
	sums := make([]int64, len(p.Nodes))
	for _, c := range cells {
		sums[c.Node] += c.Value
	}
	for i := len(sums) - 1; i >= 0; i-- {
		if parent := p.Nodes[i].Parent; parent >= 0 {
			sums[parent] += sums[i]
		}
	}
	return sums
}

// rootSum adds up the roots.
func rootSum(p *analyze.Profile, sums []int64) float64 {
	total := 0.0
	for i, n := range p.Nodes {
		if n.Parent < 0 {
			total += float64(sums[i])
		}
	}
	return total
}

// encodeProfile writes the columns of p.
func encodeProfile(p *analyze.Profile) (string, error) {
	var b packer
	b.number(p.StartNs / 1e9)
	b.number(p.StartNs % 1e9)
	b.number(p.BucketNs)
	b.number(p.SampleNs)
	frames, kept := usedFrames(p)
	encodeFrames(&b, frames)
	column64(&b, p.Nodes, func(i int, n analyze.ProfileNode) int64 {
		if n.Parent < 0 {
			return 0
		}
		return int64(i) - int64(n.Parent)
	})
	column64(&b, p.Nodes, func(_ int, n analyze.ProfileNode) int64 { return kept[n.Frame] })
	encodeCells(&b, p.OnCPU, len(p.Nodes))
	encodeCells(&b, p.OffCPU, len(p.Nodes))
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

// encodeFrames writes names, modules, and kinds with the flag of approximate
// names.
func encodeFrames(b *packer, frames []analyze.ProfileFrame) {
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

// encodeCells writes cells as columns: the nodes that have any, most frequent
// first; then by bucket the distance from the bucket before, how many cells,
// the distances of their places in that list, and their values.
func encodeCells(b *packer, cells []analyze.ProfileCell, nodes int) {
	order, place := byFrequency(cells, nodes)
	column64(b, order, func(_ int, node int32) int64 { return int64(node) })
	placed := slices.Clone(cells)
	for i := range placed {
		placed[i].Node = place[placed[i].Node]
	}
	placed = mergedCells(placed)
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
