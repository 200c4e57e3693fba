package replay

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"kmon/format"
)

// maxStackDepth is how many frames of a stack are read: more than the kernel
// takes (127).
const maxStackDepth = 256

// StackNames reads some stacks of a capture: the names of their frames, leaf
// first. A frame without a symbol is its module and offset. Stacks that the
// capture does not hold are missing in the result.
func StackNames(c *Capture, wanted map[int64]bool) (map[int64][]string, error) {
	if len(wanted) == 0 {
		return nil, nil
	}
	stacks := map[int64][]format.Stack{}
	err := Rows(c, "stacks", func(rows []format.Stack) error {
		for _, row := range rows {
			if wanted[row.StackID] && len(stacks[row.StackID]) < maxStackDepth {
				stacks[row.StackID] = append(stacks[row.StackID], row)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	frames := map[int64]string{}
	for _, rows := range stacks {
		for _, row := range rows {
			frames[row.FrameID] = ""
		}
	}
	err = Rows(c, "frames", func(rows []format.Frame) error {
		for i := range rows {
			if name, asked := frames[rows[i].FrameID]; asked && name == "" {
				frames[rows[i].FrameID] = FrameName(&rows[i])
			}
		}
		return nil
	})
	names := map[int64][]string{}
	for id, rows := range stacks {
		slices.SortStableFunc(rows, func(a, b format.Stack) int { return cmp.Compare(a.Depth, b.Depth) })
		for i, row := range rows {
			if i == 0 || row.Depth != rows[i-1].Depth { // a stack may stand in the file twice
				names[id] = append(names[id], cmp.Or(frames[row.FrameID], "unknown frame"))
			}
		}
	}
	return names, err
}

// FrameName names a place in code. The text is the caller's to keep.
func FrameName(f *format.Frame) string {
	switch {
	case f.Symbol != "":
		return strings.Clone(f.Symbol)
	case f.Module != "":
		return fmt.Sprintf("%s+0x%x", path.Base(f.Module), uint64(f.Offset))
	}
	return fmt.Sprintf("0x%x", uint64(f.Offset))
}
