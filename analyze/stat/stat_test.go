package stat

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

func TestBucketsCoverAllValues(t *testing.T) {
	previous := -1
	for _, v := range []int64{0, 1, 63, 64, 127, 128, 129, 130, 255, 256, 1000, 1e6, 1e9, 1e12, math.MaxInt64} {
		b := bucketOf(v)
		if b < previous || b >= chunks*sub || b >= 1<<12 {
			t.Errorf("bucketOf(%d) = %d, after %d", v, b, previous)
		}
		previous = b
		if off := math.Abs(float64(middleOf(b))-float64(v)) / max(float64(v), 1); off > RelativeError {
			t.Errorf("middle of the bucket of %d is %d, off by %.4f", v, middleOf(b), off)
		}
	}
	if got := bucketOf(-5); got != 0 {
		t.Errorf("bucketOf(-5) = %d, want 0", got)
	}
}

// samples returns n values over many orders of magnitude.
func samples(r *rand.Rand, n int) []int64 {
	values := make([]int64, n)
	for i := range values {
		values[i] = int64(math.Exp(r.Float64() * 30))
	}
	return values
}

func TestQuantilesStayWithinTheBound(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 50 {
		values := samples(r, 1+r.IntN(3000))
		s := sketchOf(values)
		slices.Sort(values)
		for _, q := range []float64{0.001, 0.5, 0.9, 0.95, 0.99, 1} {
			exact := values[int(math.Ceil(q*float64(len(values))))-1]
			got := s.Quantile(q)
			if math.Abs(float64(got-exact)) > RelativeError*float64(exact) {
				t.Fatalf("round %d: q%g = %d, exact %d", round, q, got, exact)
			}
		}
		if s.Max() != values[len(values)-1] || s.Min() != values[0] || s.Count() != int64(len(values)) {
			t.Fatalf("round %d: min %d max %d count %d", round, s.Min(), s.Max(), s.Count())
		}
	}
}

func sketchOf(values []int64) *Sketch {
	var p Pool
	var b Builder
	s := new(Sketch)
	for _, v := range values {
		b.Add(v, &p)
	}
	b.Flush(s, &p)
	return s
}

// Any partition of the values, merged in any order, is the same sketch: the
// parallel analysis rests on it.
func TestMergeIsExactInAnyOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	values := samples(r, 5000)
	want := sketchOf(values)
	for round := range 20 {
		shuffled := slices.Clone(values)
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		got := new(Sketch)
		for len(shuffled) > 0 {
			n := min(1+r.IntN(700), len(shuffled))
			got.Merge(sketchOf(shuffled[:n]))
			shuffled = shuffled[n:]
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("round %d: merged sketch differs", round)
		}
	}
}

func TestSumDoesNotWrap(t *testing.T) {
	var s Sketch
	s.Add(math.MaxInt64, 8)
	if got := s.Mean(); got != math.MaxInt64 {
		t.Errorf("mean of the largest values = %d, want %d", got, int64(math.MaxInt64))
	}
}

// A Builder added to another is as if its values had been.
func TestAddTo(t *testing.T) {
	var p Pool
	var from, to Builder
	values := samples(rand.New(rand.NewPCG(8, 9)), 1000)
	for i, v := range values {
		if i%3 == 0 {
			to.Add(v, &p)
		} else {
			from.Add(v, &p)
		}
	}
	from.AddTo(&to, &p)
	to.AddZeros(2, &p)
	var got, rest Sketch
	to.Flush(&got, &p)
	from.Flush(&rest, &p)
	if want := sketchOf(append(values, 0, 0)); !reflect.DeepEqual(&got, want) {
		t.Errorf("got %+v, want %+v", got, *want)
	}
	if rest.Count() != 666 || p.Bytes() != 0 {
		t.Errorf("%d values are left, %d bytes in use", rest.Count(), p.Bytes())
	}
}

func TestEmptySketch(t *testing.T) {
	var s Sketch
	if s.Quantile(0.5) != 0 || s.Mean() != 0 || s.Count() != 0 {
		t.Errorf("an empty sketch gives numbers: %+v", s)
	}
}

func TestBuilderIsCleanAfterFlush(t *testing.T) {
	var p Pool
	var b Builder
	var first, second Sketch
	b.Add(1000, &p)
	b.Flush(&first, &p)
	b.Add(1001, &p)
	b.Flush(&second, &p)
	if second.Count() != 1 || second.Max() != 1001 || second.Min() != 1001 {
		t.Errorf("second flush holds %+v", second)
	}
}

func BenchmarkBuilderAdd(b *testing.B) {
	values := samples(rand.New(rand.NewPCG(5, 6)), 1<<12)
	for i := range values {
		values[i] = 100_000 + values[i]%1_000_000
	}
	var p Pool
	var builder Builder
	for i := range b.N {
		builder.Add(values[i&(1<<12-1)], &p)
	}
}
