package record

import "testing"

// The most memory ever resident is not less than what is resident now, and of
// this process: a large parent does not count.
func TestPeakMemoryIsThisProcess(t *testing.T) {
	before := peakRSSBytes()
	if before < rssBytes()/2 || before == 0 {
		t.Fatalf("the peak is %d bytes, resident are %d", before, rssBytes())
	}
	const more = 64 << 20
	memory := make([]byte, more)
	for i := 0; i < len(memory); i += 4096 {
		memory[i] = 1
	}
	if _, after := usage(); after < more || after < before {
		t.Errorf("the peak is %d bytes with %d more resident than before, when it was %d", after, more, before)
	}
	_ = memory[0]
}
