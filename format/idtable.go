package format

import "math/bits"

// idTable numbers distinct ids in the order of their first appearance: a hash
// table with open addressing, at most half full.
type idTable struct {
	ids   []int64 // by number
	slots []int32 // number + 1, 0: free
	shift uint    // 64 - log2(len(slots))
}

// reset empties the table for about n ids, appending to the memory of ids.
func (t *idTable) reset(ids []int64, n int) {
	t.ids = ids[:0]
	t.resize(max(6, bits.Len(uint(n))+1))
}

func (t *idTable) resize(log int) {
	t.slots = resize(t.slots, 1<<log)
	clear(t.slots)
	t.shift = uint(64 - log)
	for number, id := range t.ids {
		t.slots[t.find(id)] = int32(number) + 1
	}
}

// find gives the slot of id, or the free slot where it belongs.
func (t *idTable) find(id int64) int {
	slot := int(uint64(id) * 0x9E3779B97F4A7C15 >> t.shift) // Fibonacci hashing
	for t.slots[slot] != 0 && t.ids[t.slots[slot]-1] != id {
		slot = (slot + 1) & (len(t.slots) - 1)
	}
	return slot
}

// number gives the number of id, a new one when it is new.
func (t *idTable) number(id int64) int32 {
	slot := t.find(id)
	if n := t.slots[slot]; n != 0 {
		return n - 1
	}
	if 2*len(t.ids) >= len(t.slots) {
		t.resize(bits.Len(uint(len(t.slots))))
		slot = t.find(id)
	}
	t.ids = append(t.ids, id)
	t.slots[slot] = int32(len(t.ids))
	return int32(len(t.ids)) - 1
}
