package finding

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"kmon/analyze/stat"
)

var iosTable = []table{{"ios", func(c *Coverage) float64 { return c.IOs }}}

// fewIOs is the least number of IOs of one class that a median is taken of.
const fewIOs = 10

// classKey is what IOs are told apart by before they are compared: a larger IO
// takes longer on a healthy disk, too.
type classKey struct {
	operation string
	sizeTo    int64
}

// classView is the IOs of one class, a window.
type classView struct {
	median series // device time in ns
	ios    series
}

// diskView is what a disk did, a window. Only reads and writes count: flushes and
// discards have no size to compare.
type diskView struct {
	*Disk
	host string
	sight
	classes map[classKey]*classView
	keys    []classKey // sorted
	ios     series     // a window
	rate    series     // IOs a second
	load    series     // ln(1 + MB/s)
	depth   series     // IOs in the device, on average
	busy    series     // share of the window with an IO under way
	queue   series     // median ns before the device had it
	device  series     // median ns in the device, all classes
}

// diskViews looks at all disks of in.
func (s *search) diskViews(in *Input) []diskView {
	views := make([]diskView, len(in.Disks))
	for i := range in.Disks {
		views[i] = s.diskView(in, &in.Disks[i])
	}
	return views
}

func (s *search) diskView(in *Input, d *Disk) diskView {
	n, seconds := len(in.Windows), float64(in.WindowNs)/1e9
	v := diskView{Disk: d, sight: s.sightOf(in, d.Node, iosTable), classes: map[classKey]*classView{}}
	if d.Node >= 0 && d.Node < len(in.Nodes) {
		v.host = in.Nodes[d.Node].Name
	}
	for _, p := range []*series{&v.ios, &v.rate, &v.load, &v.depth, &v.busy, &v.queue, &v.device} {
		*p = blank(n)
	}
	for i := range n {
		if !v.ok[i] {
			continue
		}
		w, sum := &d.Windows[i], IOClass{}
		for k := range w.Classes {
			if c := &w.Classes[k]; c.Operation == "read" || c.Operation == "write" {
				v.class(c, n, i)
				sum.IOs, sum.Bytes = sum.IOs+c.IOs, sum.Bytes+c.Bytes
				sum.Queue.Merge(&c.Queue)
				sum.Device.Merge(&c.Device)
			}
		}
		v.ios[i], v.rate[i] = float64(sum.IOs), float64(sum.IOs)/seconds
		v.load[i] = math.Log1p(float64(sum.Bytes) / 1e6 / seconds)
		v.depth[i] = float64(sum.Device.Mean()) * float64(sum.IOs) / float64(in.WindowNs)
		v.busy[i] = float64(w.BusyNs) / float64(in.WindowNs)
		if sum.Device.Count() >= fewIOs {
			v.device[i] = float64(sum.Device.Quantile(0.5))
		}
		if sum.Queue.Count() >= fewIOs {
			v.queue[i] = float64(sum.Queue.Quantile(0.5))
		}
	}
	v.keys = slices.SortedFunc(maps.Keys(v.classes), func(a, b classKey) int {
		return cmp.Or(cmp.Compare(a.operation, b.operation), cmp.Compare(a.sizeTo, b.sizeTo))
	})
	return v
}

func (v *diskView) class(c *IOClass, windows, i int) {
	key := classKey{c.Operation, c.SizeTo}
	view := v.classes[key]
	if view == nil {
		view = &classView{blank(windows), blank(windows)}
		v.classes[key] = view
	}
	view.ios[i] = float64(c.IOs)
	if c.Device.Count() >= fewIOs {
		view.median[i] = float64(max(c.Device.Quantile(0.5), 1))
	}
}

// ofHost stands between the names of a disk and of its node.
const ofHost = " of "

// name is how reports write the disk.
func (v *diskView) name(s *search) string {
	if len(s.in.Nodes) > 1 && v.host != "" {
		return v.Name + ofHost + v.host
	}
	return v.Name
}

// slower is the logarithm of how many times longer the device took than in refs,
// like compared with like:
//
//	L = Σ_b n_b ln(m_b / ref_b) / Σ_b n_b    over classes b of operation and size
//
// NaN where fewer than minIOs, or less than half of a window's IOs, are of classes
// that refs has: another mix is no slower disk.
func (v *diskView) slower(refs map[classKey]float64, minIOs float64) series {
	out := blank(len(v.ok))
	for i := range out {
		n, sum := 0.0, 0.0
		for _, key := range v.keys {
			c, ref := v.classes[key], refs[key]
			if ref > 0 && !math.IsNaN(c.median[i]) {
				n, sum = n+c.ios[i], sum+c.ios[i]*math.Log(c.median[i]/ref)
			}
		}
		if n >= minIOs && n >= v.ios[i]/2 {
			out[i] = sum / n
		}
	}
	return out
}

// main is the class of most of its IOs.
func (v *diskView) main() (most classKey) {
	ios := 0.0
	for _, key := range v.keys {
		sum := 0.0
		for _, n := range v.classes[key].ios.known() {
			sum += n
		}
		if sum > ios {
			most, ios = key, sum
		}
	}
	return most
}

// typical is the median device time of each class over the windows.
func (v *diskView) typical() map[classKey]float64 {
	refs := map[classKey]float64{}
	for key, c := range v.classes {
		if known := c.median.known(); len(known) > 0 {
			refs[key] = stat.Median(known)
		}
	}
	return refs
}

// does says whether a disk has had IOs enough of a class to compare them.
func (v *diskView) does(key classKey) bool {
	c := v.classes[key]
	return c != nil && len(c.median.known()) > 0
}
