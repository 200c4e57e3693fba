package stat

import "math/bits"

// chunk counts the values of one group of buckets.
type chunk [sub]uint32

// Pool keeps the counters that Builders gave back. A Pool and its Builders
// belong to one goroutine. The zero value is ready.
type Pool struct {
	free []*chunk
	used int
}

// Bytes returns the memory of the counters in use.
func (p *Pool) Bytes() int { return p.used * sub * 4 }

func (p *Pool) get() *chunk {
	p.used++
	if n := len(p.free); n > 0 {
		c := p.free[n-1]
		p.free = p.free[:n-1]
		return c
	}
	return new(chunk)
}

// put takes a chunk back and zeroes it.
func (p *Pool) put(c *chunk) {
	*c = chunk{}
	p.free = append(p.free, c)
	p.used--
}

// Builder accumulates durations in nanoseconds into dense counters: an Add is
// an index and an increment. It must be flushed before 2^32 values are in it.
// The zero value is empty.
type Builder struct {
	totals
	used   uint64 // bit i: chunks[i] is set
	chunks [chunks]*chunk
}

// Count returns the number of values since the last Flush.
func (b *Builder) Count() int64 { return b.count }

// Add counts one value; negative values count as 0. Counters come from p.
func (b *Builder) Add(v int64, p *Pool) {
	v = max(v, 0)
	i := bucketOf(v)
	c := b.chunks[i>>subBits]
	if c == nil {
		c = b.grow(i>>subBits, p)
	}
	c[i&(sub-1)]++
	if b.count == 0 {
		b.min, b.max = v, v
	} else if v < b.min {
		b.min = v
	} else if v > b.max {
		b.max = v
	}
	b.count++
	sum := b.sumLo + uint64(v)
	if sum < b.sumLo {
		b.sumHi++
	}
	b.sumLo = sum
}

func (b *Builder) grow(i int, p *Pool) *chunk {
	c := p.get()
	b.chunks[i] = c
	b.used |= 1 << uint(i)
	return c
}

// AddTo adds what b holds to o, and leaves b as it is.
func (b *Builder) AddTo(o *Builder, p *Pool) {
	if b.count == 0 {
		return
	}
	for used := b.used; used != 0; used &= used - 1 {
		i := bits.TrailingZeros64(used)
		if o.chunks[i] == nil {
			o.grow(i, p)
		}
		from, to := b.chunks[i], o.chunks[i]
		for j := range from {
			to[j] += from[j]
		}
	}
	o.add(b.totals)
}

// AddZeros counts n times the value 0.
func (b *Builder) AddZeros(n int64, p *Pool) {
	if n == 0 {
		return
	}
	if b.chunks[0] == nil {
		b.grow(0, p)
	}
	b.chunks[0][0] += uint32(n)
	b.add(totals{count: n})
}

// Flush adds what b holds to s, empties b and gives its counters back to p.
func (b *Builder) Flush(s *Sketch, p *Pool) {
	if b.count == 0 {
		return
	}
	if entries := b.entries(p); len(s.buckets) == 0 {
		s.buckets = entries
	} else {
		s.buckets = mergeEntries(s.buckets, entries)
	}
	s.add(b.totals)
	*b = Builder{}
}

// Reset empties b and gives its counters back to p.
func (b *Builder) Reset(p *Pool) {
	for used := b.used; used != 0; used &= used - 1 {
		p.put(b.chunks[bits.TrailingZeros64(used)])
	}
	*b = Builder{}
}

// entries lists the counted buckets in order, zeroing and releasing the
// chunks as it goes.
func (b *Builder) entries(p *Pool) []entry {
	n := 0
	for used := b.used; used != 0; used &= used - 1 {
		for _, count := range b.chunks[bits.TrailingZeros64(used)] {
			if count != 0 {
				n++
			}
		}
	}
	list := make([]entry, 0, n)
	for used := b.used; used != 0; used &= used - 1 {
		i := bits.TrailingZeros64(used)
		for j, count := range b.chunks[i] {
			if count != 0 {
				list = append(list, makeEntry(i<<subBits+j, int64(count)))
			}
		}
		p.put(b.chunks[i])
	}
	return list
}
