package reports

import (
	"io"
	"testing"
)

// BenchmarkWrite renders the largest analysis of the tests in each format.
func BenchmarkWrite(b *testing.B) {
	a := many(300, 2000)
	for _, e := range endings {
		b.Run(string(e.format), func(b *testing.B) {
			for b.Loop() {
				if err := Write(io.Discard, a, e.format, options); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
