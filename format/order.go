package format

import (
	"math/bits"
	"slices"
)

// ordering brings rows into the order of their times. The writer sorts
// batches and the reader segments, where only the seams between batches are out
// of place unless latencies are long. Both sorts are stable.
type ordering struct {
	rows   []int32 // rows[i] is the row that belongs at i
	packed []uint64
	spare  []uint64
	wide   []int64
	thin   []int32
	flag   []ExchangeFlags
}

// by fills o.rows with the order of keys, and says false when the keys are in
// order already.
func (o *ordering) by(keys []int64) bool {
	if slices.IsSorted(keys) {
		return false
	}
	o.rows = resize(o.rows, len(keys))
	for i := range o.rows {
		o.rows[i] = int32(i)
	}
	if !insertionSort(o.rows, keys, 2*len(keys)) {
		o.radixSort(keys)
	}
	return true
}

// insertionSort sorts rows by their keys and says false when that takes more
// than budget moves; rows is then a permutation still, stable for equal keys.
func insertionSort(rows []int32, keys []int64, budget int) bool {
	for i := 1; i < len(rows); i++ {
		row := rows[i]
		key := keys[row]
		j := i
		for ; j > 0 && keys[rows[j-1]] > key; j-- {
			rows[j] = rows[j-1]
		}
		rows[j] = row
		if budget -= i - j; budget < 0 {
			return false
		}
	}
	return true
}

const (
	// radixBits is the digit of a pass: 2048 counters stay in the first cache.
	radixBits = 11
	// rowBits hold a row's number; the upper 44 bits of a packed key hold its
	// time, which is enough for a segment of 4.8 hours.
	rowBits = 20
)

// radixSort sorts o.rows by their keys, a digit at a time from the lowest. The
// times of a segment span seconds, so three or four passes do.
func (o *ordering) radixSort(keys []int64) {
	lowest, highest := slices.Min(keys), slices.Max(keys)
	width := bits.Len64(uint64(highest - lowest))
	if width > 64-rowBits || len(keys) > 1<<rowBits {
		slices.SortStableFunc(o.rows, func(a, b int32) int { return compareInt(keys[a], keys[b]) })
		return
	}
	o.packed, o.spare = resize(o.packed, len(keys)), resize(o.spare, len(keys))
	for i, row := range o.rows {
		o.packed[i] = uint64(keys[row]-lowest)<<rowBits | uint64(row)
	}
	for shift := rowBits; shift < rowBits+width; shift += radixBits {
		radixPass(o.spare, o.packed, shift)
		o.packed, o.spare = o.spare, o.packed
	}
	for i, p := range o.packed {
		o.rows[i] = int32(p & (1<<rowBits - 1))
	}
}

// radixPass copies from to to, in the order of the digit at shift.
func radixPass(to, from []uint64, shift int) {
	var counts [1 << radixBits]int32
	for _, p := range from {
		counts[p>>shift&(1<<radixBits-1)]++
	}
	next := int32(0)
	for d, n := range counts {
		counts[d] = next
		next += n
	}
	for _, p := range from {
		d := p >> shift & (1<<radixBits - 1)
		to[counts[d]] = p
		counts[d]++
	}
}

// sortColumns orders all columns of c by StartNs.
func (o *ordering) sortColumns(c *ExchangeColumns) {
	if !o.by(c.StartNs) {
		return
	}
	for lo := 0; lo < len(o.rows); {
		hi := o.block(lo)
		if hi > lo+1 {
			o.permute(c, lo, hi)
		}
		lo = hi
	}
}

// block finds the end of the smallest range from lo whose rows change places
// only among themselves.
func (o *ordering) block(lo int) int {
	highest := int(o.rows[lo])
	for i := lo; ; i++ {
		highest = max(highest, int(o.rows[i]))
		if highest == i {
			return i + 1
		}
	}
}

// permute puts rows lo to hi of all columns in order.
func (o *ordering) permute(c *ExchangeColumns, lo, hi int) {
	rows := o.rows[lo:hi]
	for _, column := range [...][]int64{c.StartNs, c.UploadNs, c.ServerNs, c.DownloadNs, c.RequestBytes, c.AnswerBytes} {
		o.wide = gather(o.wide, column, rows)
		copy(column[lo:hi], o.wide)
	}
	for _, w := range c.waits() {
		if column := *w.to; len(column) > 0 {
			o.wide = gather(o.wide, column, rows)
			copy(column[lo:hi], o.wide)
		}
	}
	for _, column := range [...][]int32{c.Socket, c.RequestMessages, c.AnswerMessages, c.PID, c.TID} {
		o.thin = gather(o.thin, column, rows)
		copy(column[lo:hi], o.thin)
	}
	o.flag = gather(o.flag, c.Flags, rows)
	copy(c.Flags[lo:hi], o.flag)
}

// sortExchanges orders rows by StartNs, using spare for the copy, and gives
// both slices back, sorted rows first. Rows come in the order of their ends.
func (o *ordering) sortExchanges(rows, spare []Exchange) (sorted, rest []Exchange) {
	o.wide = resize(o.wide, len(rows))
	for i := range rows {
		o.wide[i] = rows[i].StartNs
	}
	if !o.by(o.wide) {
		return rows, spare
	}
	return gather(spare, rows, o.rows), rows
}

// gather gives column[row] for each row, in the memory of buf.
func gather[T any](buf, column []T, rows []int32) []T {
	buf = resize(buf, len(rows))
	for i, row := range rows {
		buf[i] = column[row]
	}
	return buf
}
