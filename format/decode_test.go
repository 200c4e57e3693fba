package format

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/parquet-go/parquet-go/encoding/bytestreamsplit"
	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/encoding/rle"
)

// TestDecodersAgree holds the decoders against parquet-go's encoders at every
// width and at lengths around their blocks.
func TestDecodersAgree(t *testing.T) {
	long(t)
	r := rand.New(rand.NewPCG(5, 6))
	for width := 0; width <= 64; width++ {
		for _, n := range []int{1, 2, 7, 8, 9, 31, 32, 33, 127, 128, 129, 130, 1000} {
			values := make([]int64, n)
			for i := range values {
				values[i] = int64(r.Uint64() >> (64 - width))
			}
			name := fmt.Sprintf("width %d, %d values", width, n)
			packed, err := new(delta.BinaryPackedEncoding).EncodeInt64(nil, values)
			must(t, err)
			got := make([]int64, n)
			if err := decodeDelta(got, packed); err != nil || !slices.Equal(got, values) {
				t.Fatalf("delta, %s: got %v, %v", name, got, err)
			}
			split, err := new(bytestreamsplit.Encoding).EncodeInt64(nil, values)
			must(t, err)
			if err := decodeSplit(got, split); err != nil || !slices.Equal(got, values) {
				t.Fatalf("split, %s: got %v, %v", name, got, err)
			}
			for cut := range len(packed) {
				if err := decodeDelta(got, packed[:cut]); err != nil && !errors.Is(err, ErrCorrupt) {
					t.Fatalf("delta, %s, cut at %d: %v", name, cut, err)
				}
			}
		}
	}
}

// TestIndexesAgree does the same for dictionary indexes.
func TestIndexesAgree(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for width := 1; width <= 18; width++ {
		for _, n := range []int{1, 8, 9, 64, 65, 1000} {
			for _, runs := range []bool{false, true} {
				indexes := make([]int32, n)
				for i := range indexes {
					indexes[i] = int32(r.Uint32() >> (32 - width))
					if runs && i > 0 && r.IntN(20) > 0 {
						indexes[i] = indexes[i-1]
					}
				}
				e := rle.DictionaryEncoding{}
				packed, err := e.EncodeInt32(nil, indexes)
				must(t, err)
				got := make([]int32, n)
				size := int(slices.Max(indexes)) + 1
				if err := decodeIndexes(got, packed, size); err != nil || !slices.Equal(got, indexes) {
					t.Fatalf("width %d, %d values: got %v, want %v, %v", width, n, got, indexes, err)
				}
				if err := decodeIndexes(got, packed, size-1); !errors.Is(err, ErrCorrupt) {
					t.Fatalf("width %d: an index beyond the dictionary gives %v", width, err)
				}
				for cut := range len(packed) {
					if err := decodeIndexes(got, packed[:cut], size); !errors.Is(err, ErrCorrupt) {
						t.Fatalf("width %d, cut at %d of %d: %v", width, cut, len(packed), err)
					}
				}
			}
		}
	}
}

// long skips what takes seconds, and far longer under the race detector, with
// nothing that runs at once.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes long")
	}
}
