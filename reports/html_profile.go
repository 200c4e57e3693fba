package reports

import (
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

// packCells writes cells as columns: how many each node has; then node by node the
// distances of their buckets, and their values. What one node has is more alike than
// what one moment has, and compresses better.
func packCells(b *packer, cells []analyze.ProfileCell, nodes int) {
	of := make([][]analyze.ProfileCell, nodes)
	for _, c := range cells {
		of[c.Node] = append(of[c.Node], c)
	}
	column64(b, of, func(_ int, list []analyze.ProfileCell) int64 { return int64(len(list)) })
	b.number(int64(len(cells)))
	for _, list := range of {
		last := int32(0)
		for _, c := range list {
			b.number(int64(c.Bucket - last))
			last = c.Bucket
		}
	}
	b.number(int64(len(cells)))
	for _, list := range of {
		for _, c := range list {
			b.number(c.Value)
		}
	}
}
