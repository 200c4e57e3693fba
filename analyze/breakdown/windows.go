package breakdown

import (
	"cmp"
	"slices"
)

const (
	// maxSpents bounds the Spents of all instances and windows in one Sums, of about
	// 200 B each: beyond it windows become wider.
	maxSpents = 1 << 16
	// maxShift makes one window of as many as there can be.
	maxShift = 16
)

// Sums is where the time of requests went, by instance, window and latency. Windows
// are those of the Counter, or the wider ones that there is room for: that does not
// depend on the order in which requests came.
type Sums struct {
	instances []*Instance // by number; nil: it served nothing
	shift     uint        // 1<<shift windows are one
	spents    int         // of all
	limit     int         // of spents; 0: maxSpents
}

// Of gives an instance by its number, nil when it served nothing.
func (s *Sums) Of(number int) *Instance {
	if number >= len(s.instances) {
		return nil
	}
	return s.instances[number]
}

// Joined is how many windows of the Counter are one here.
func (s *Sums) Joined() int64 { return 1 << s.shift }

// at gives an instance, never nil.
func (s *Sums) at(number int32) *Instance {
	for int(number) >= len(s.instances) {
		s.instances = append(s.instances, nil)
	}
	if s.instances[number] == nil {
		s.instances[number] = new(Instance)
	}
	return s.instances[number]
}

// add counts a request.
func (s *Sums) add(r *Request, parts *[Parts]int64, calls []Called) {
	spent, fresh := s.at(r.Instance).spent(r.Window>>s.shift, bucketOf(r.latency()))
	spent.add(r, parts, calls)
	if fresh {
		s.spents++
		s.fit()
	}
}

// Merge adds all of o to s and leaves o as it was.
func (s *Sums) Merge(o *Sums) {
	for s.shift < o.shift {
		s.widen()
	}
	for number, from := range o.instances {
		if from != nil {
			s.spents += s.at(int32(number)).merge(from, s.shift-o.shift)
			s.fit()
		}
	}
}

// fit makes windows wider until there is room.
func (s *Sums) fit() {
	for s.spents > cmp.Or(s.limit, maxSpents) && s.shift < maxShift {
		s.widen()
	}
}

// widen makes one window of each two.
func (s *Sums) widen() {
	s.shift++
	s.spents = 0
	for at, i := range s.instances {
		if i != nil {
			s.instances[at] = &Instance{}
			s.spents += s.instances[at].merge(i, 1)
		}
	}
}

// Instance is where the time of the requests at one server went.
type Instance struct {
	// Unclear counts the calls that may belong to several requests.
	Unclear int64
	windows []window // sorted
	// latest is the window that was added to last, by bucket: requests come nearly in
	// the order of time.
	latest []*Spent
	index  int32 // of latest
}

// window is the requests that began in one window, by latency.
type window struct {
	index   int32
	buckets []bucket // sorted
}

type bucket struct {
	number int
	*Spent
}

// spent gives the sums of a bucket, never nil, and whether they are new.
func (i *Instance) spent(index int32, number int) (s *Spent, fresh bool) {
	if index != i.index {
		clear(i.latest)
		i.index = index
	}
	if number < len(i.latest) && i.latest[number] != nil {
		return i.latest[number], false
	}
	s, fresh = i.window(index).bucket(number)
	if missing := number + 1 - len(i.latest); missing > 0 {
		i.latest = append(i.latest, make([]*Spent, missing)...)
	}
	i.latest[number] = s
	return s, fresh
}

// window gives one, never nil.
func (i *Instance) window(index int32) *window {
	if n := len(i.windows); n > 0 && i.windows[n-1].index == index {
		return &i.windows[n-1]
	}
	at, ok := slices.BinarySearchFunc(i.windows, index, func(w window, index int32) int { return cmp.Compare(w.index, index) })
	if !ok {
		i.windows = slices.Insert(i.windows, at, window{index: index})
	}
	return &i.windows[at]
}

// bucket gives the sums of a bucket, never nil, and whether they are new.
func (w *window) bucket(number int) (s *Spent, fresh bool) {
	at, ok := slices.BinarySearchFunc(w.buckets, number, func(b bucket, number int) int { return cmp.Compare(b.number, number) })
	if !ok {
		w.buckets = slices.Insert(w.buckets, at, bucket{number, new(Spent)})
	}
	return w.buckets[at].Spent, !ok
}

// Merge adds all of o, of the same Sums, to i and leaves o as it was.
func (i *Instance) Merge(o *Instance) { i.merge(o, 0) }

// merge adds o, whose windows are of 1<<shift times as many as those of i, and gives
// how many Spents are new.
func (i *Instance) merge(o *Instance, shift uint) (fresh int) {
	add(&i.Unclear, o.Unclear)
	for _, w := range o.windows {
		fresh += i.window(w.index >> shift).merge(&w)
	}
	return fresh
}

func (w *window) merge(o *window) (fresh int) {
	for _, b := range o.buckets {
		s, isNew := w.bucket(b.number)
		s.merge(b.Spent)
		if isNew {
			fresh++
		}
	}
	return fresh
}

// whole adds all windows up.
func (i *Instance) whole() (w window) {
	for at := range i.windows {
		w.merge(&i.windows[at])
	}
	return w
}

// Each calls fn for the windows that have requests of a band, in order.
func (i *Instance) Each(b *Band, fn func(index int32, s *Spent)) {
	for _, w := range i.windows {
		var sum Spent
		for _, k := range w.buckets {
			if low := lowOf(k.number); low >= b.FromNs && low < b.ToNs {
				sum.merge(k.Spent)
			}
		}
		if sum.Requests > 0 {
			fn(w.index, &sum)
		}
	}
}
