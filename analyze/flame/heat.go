package flame

import (
	"cmp"
	"slices"
)

const (
	// HeatRows is how many rows a second is divided into, and HeatRowNs what
	// each is: 20 ms, two samples of a CPU at 99 Hz.
	HeatRows  = 50
	HeatRowNs = int64(1e9) / HeatRows
	// maxHeatColumns bounds a heat map; longer ranges lay several seconds
	// over each other.
	maxHeatColumns = 600
)

// Heat is the samples of one service, or of all, by time and by offset within
// the second.
type Heat struct {
	Service  string // "": all
	StartNs  int64  // of column 0, Unix, a whole second
	ColumnNs int64  // whole seconds
	Total    int64
	Cells    []HeatCell // those not 0, by column, then row
}

// HeatCell is one count.
type HeatCell struct {
	Column, Row int32
	Count       int64
}

// heat counts samples in the making.
type heat struct {
	total   int64
	columns [][]int64 // HeatRows each; nil: no sample
}

// heatAxis divides a range into columns of whole seconds.
func heatAxis(start, end int64) axis {
	a := newAxis(start, end, 1e9)
	for a.buckets > maxHeatColumns {
		a.widthNs += 1e9 * max(1, a.widthNs/1e9/8)
		a.buckets = int32(a.count(end))
	}
	return a
}

func (h *heat) add(a axis, ns int64) {
	column := int(a.at(ns))
	if column >= len(h.columns) {
		h.columns = append(h.columns, make([][]int64, column+1-len(h.columns))...)
	}
	if h.columns[column] == nil {
		h.columns[column] = make([]int64, HeatRows)
	}
	h.columns[column][(ns%1e9+1e9)%1e9/HeatRowNs]++
	h.total++
}

func (h *heat) result(a axis, service string) Heat {
	out := Heat{Service: service, StartNs: a.startNs, ColumnNs: a.widthNs, Total: h.total, Cells: []HeatCell{}}
	for column, rows := range h.columns {
		for row, n := range rows {
			if n > 0 {
				out.Cells = append(out.Cells, HeatCell{int32(column), int32(row), n})
			}
		}
	}
	return out
}

// heats gives the map of all and those of the services with the most samples,
// by name.
func (b *Builder) heats(limit int) []Heat {
	var hot []*service
	for i := range b.services {
		if b.services[i].heat.total > 0 {
			hot = append(hot, &b.services[i])
		}
	}
	list := []Heat{}
	if len(hot) == 0 {
		return list
	}
	slices.SortFunc(hot, func(x, y *service) int { return order(y.heat.total, x.heat.total, x.name, y.name) })
	hot = hot[:min(len(hot), limit)]
	slices.SortFunc(hot, func(x, y *service) int { return cmp.Compare(x.name, y.name) })
	list = append(list, b.all.result(b.heatAxis, ""))
	for _, s := range hot {
		list = append(list, s.heat.result(b.heatAxis, s.name))
	}
	return list
}
