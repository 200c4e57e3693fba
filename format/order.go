package format

import (
	"cmp"
	"slices"
)

// ordering brings the rows of a segment into the order of StartNs. The writer
// sorts batches, so only rows near the seams between batches are out of place.
type ordering struct {
	rows []int32 // rows[i] is the row that belongs at i
	wide []int64
	thin []int32
	flag []ExchangeFlags
}

// sort orders all columns of c by StartNs, keeping the order of equal times.
func (o *ordering) sort(c *ExchangeColumns) {
	if slices.IsSorted(c.StartNs) {
		return
	}
	o.rows = resize(o.rows, len(c.StartNs))
	for i := range o.rows {
		o.rows[i] = int32(i)
	}
	if !insertionSort(o.rows, c.StartNs, 8*len(o.rows)) {
		slices.SortStableFunc(o.rows, func(a, b int32) int { return cmp.Compare(c.StartNs[a], c.StartNs[b]) })
	}
	for lo := 0; lo < len(o.rows); {
		hi := o.block(lo)
		if hi > lo+1 {
			o.permute(c, lo, hi)
		}
		lo = hi
	}
}

// insertionSort sorts rows by their key and says false when that takes more
// than budget moves; rows is then a permutation still, in no useful order but
// stable for equal keys.
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
	for _, column := range [][]int64{c.StartNs, c.UploadNs, c.ServerNs, c.DownloadNs, c.RequestBytes, c.AnswerBytes} {
		o.wide = gather(o.wide, column, rows)
		copy(column[lo:hi], o.wide)
	}
	for _, column := range [][]int32{c.Socket, c.RequestMessages, c.AnswerMessages, c.PID, c.TID} {
		o.thin = gather(o.thin, column, rows)
		copy(column[lo:hi], o.thin)
	}
	o.flag = gather(o.flag, c.Flags, rows)
	copy(c.Flags[lo:hi], o.flag)
}

// gather gives column[row] for each row.
func gather[T integer](buf, column []T, rows []int32) []T {
	buf = resize(buf, len(rows))
	for i, row := range rows {
		buf[i] = column[row]
	}
	return buf
}
