package main

import (
	"io"
	"strings"
	"testing"
)

func TestCompare(t *testing.T) {
	for name, c := range map[string]struct {
		truth, rows map[int32]int64
		lost        int64
		ok          bool
	}{
		"the same":             {map[int32]int64{1: 10, 2: 5}, map[int32]int64{1: 10, 2: 5, 3: 99}, 0, true},
		"missing":              {map[int32]int64{1: 10}, map[int32]int64{1: 9}, 0, false},
		"missing and lost":     {map[int32]int64{1: 10}, map[int32]int64{1: 9}, 1, true},
		"missing, fewer lost":  {map[int32]int64{1: 10, 2: 5}, map[int32]int64{1: 9, 2: 4}, 1, false},
		"too many":             {map[int32]int64{1: 10}, map[int32]int64{1: 11}, 5, false},
		"one for the other":    {map[int32]int64{1: 10, 2: 5}, map[int32]int64{1: 9, 2: 6}, 0, false},
		"nothing was to count": {nil, nil, 0, false},
	} {
		if err := compare(io.Discard, name, c.truth, c.rows, c.lost); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestJudgeSeesGrowth(t *testing.T) {
	looks := func(memory func(i int) int64, files func(i int) int) *recorder {
		r := &recorder{}
		for i := range 400 {
			r.looks = append(r.looks, look{memory(i), files(i)})
		}
		return r
	}
	const some = 60 << 20
	flat, ten := func(int) int64 { return some }, func(int) int { return 10 }
	for name, c := range map[string]struct {
		recorder *recorder
		want     string // "": all is well
	}{
		"flat":              {looks(flat, ten), ""},
		"a beginning":       {looks(func(i int) int64 { return some + min(int64(i), 100)*some/100 }, ten), ""},
		"a peak":            {looks(func(i int) int64 { return some + int64(i%50/49)*some }, ten), ""},
		"memory that grows": {looks(func(i int) int64 { return some + int64(i)*some/400 }, ten), "memory grows"},
		"files that stay":   {looks(flat, func(i int) int { return 10 + i/40 }), "opens files"},
		"nothing seen":      {&recorder{}, "too short"},
	} {
		err := c.recorder.judge(io.Discard)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
