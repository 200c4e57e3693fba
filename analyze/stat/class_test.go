package stat

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestClassesAreWholeBuckets: all values of a bucket are of one class, classes
// rise with the values, and none is wider than ClassError says.
func TestClassesAreWholeBuckets(t *testing.T) {
	last, low := int32(-1), int64(0)
	for bucket := range chunks * sub {
		from := lowOf(bucket)
		if from < 0 {
			break // beyond int64
		}
		class := ClassOf(from)
		if class < last {
			t.Fatalf("bucket %d: class %d after %d", bucket, class, last)
		}
		if class > last {
			last, low = class, from
		}
		to := lowOf(bucket+1) - 1
		if to < from {
			to = math.MaxInt64
		}
		if ClassOf(to) != class {
			t.Fatalf("bucket %d: %d is of class %d, %d of %d", bucket, from, class, to, ClassOf(to))
		}
		if wide := float64(to-low+1) / 2 / float64(max(low, 1)); low >= 32 && wide > ClassError*(1+1e-9) {
			t.Fatalf("class %d is %g wide", class, wide)
		}
	}
	if ClassOf(-7) != 0 {
		t.Error("a negative value has a class")
	}
}

// TestEachClass: each value is counted, once, in its class.
func TestEachClass(t *testing.T) {
	values := samples(rand.New(rand.NewPCG(3, 4)), 4000)
	want := map[int32]int64{}
	for _, v := range values {
		want[ClassOf(v)]++
	}
	last := int32(-1)
	sketchOf(values).EachClass(func(class int32, count int64) {
		if class <= last || want[class] != count {
			t.Errorf("class %d after %d: %d values of %d", class, last, count, want[class])
		}
		last = class
		delete(want, class)
	})
	if len(want) > 0 {
		t.Errorf("classes left out: %v", want)
	}
	new(Sketch).EachClass(func(int32, int64) { t.Error("nothing has a class") })
}
