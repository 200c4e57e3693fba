package reports

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestPack: what is packed is what a reader of zlib's format gets, and hardly longer than
// zlib makes it. Small numbers by chance took a sixth more than by their frequency alone.
func TestPack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var chance, repeats, both packer
	for i := range int64(300_000) {
		chance.number(min(int64(r.ExpFloat64()*2), 20))
		repeats.text(fmt.Sprintf("team-%02d/service-%03d", i%7, i%150))
	}
	for i := 0; i < len(chance.bytes); i += 50_000 { // in pieces that are no piece's
		both.bytes = append(append(both.bytes, chance.bytes[i:i+50_000]...), repeats.bytes[i:i+50_000]...)
	}
	for _, c := range []struct {
		name  string
		p     packer
		share float64 // of zlib's size, at most
	}{{"nothing", packer{}, 2.1}, {"chance", chance, 0.9}, {"repeats", repeats, 1.05}, {"both", both, 1}} {
		text, err := c.p.pack()
		if err != nil {
			t.Fatal(err)
		}
		if got := inflate(t, text); !bytes.Equal(got, c.p.bytes) {
			t.Errorf("%s: %d bytes become %d others", c.name, len(c.p.bytes), len(got))
		}
		var b bytes.Buffer
		z := zlib.NewWriter(&b)
		if _, err := z.Write(c.p.bytes); err != nil || z.Close() != nil {
			t.Fatal(err)
		}
		size, whole := base64.StdEncoding.DecodedLen(len(text)), b.Len()
		t.Logf("%s: %d bytes, of zlib alone %d", c.name, size, whole)
		if float64(size) > c.share*float64(whole) {
			t.Errorf("%s: %d bytes, zlib makes %d", c.name, size, whole)
		}
	}
}
