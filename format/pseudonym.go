package format

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strings"
)

// pseudonyms gives texts their keyed stand-ins. They need no table: a stand-in
// follows from key and text alone.
type pseudonyms struct {
	key        []byte
	known      map[pseudonymOf]string // what was asked for lately
	knownBytes int                    // of texts in it
}

type pseudonymOf struct{ class, text string }

// maxKnown and maxKnownBytes bound the memory of what is known: names are few, texts
// may be many, and long.
const (
	maxKnown      = 1 << 16
	maxKnownBytes = 16 << 20
)

// nameBytes of a digest make a name: 40 bits, so that of 1000 names two are the
// same in one of two million captures. 5 bytes are 8 letters without padding.
const nameBytes = 5

var nameLetters = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func newPseudonyms(key []byte) *pseudonyms {
	return &pseudonyms{key: key, known: map[pseudonymOf]string{}}
}

// remember gives what make makes of a text, made once.
func (p *pseudonyms) remember(class, text string, make func() string) string {
	if known, ok := p.known[pseudonymOf{class, text}]; ok {
		return known
	}
	made := make()
	if len(p.known) >= maxKnown || p.knownBytes > maxKnownBytes {
		clear(p.known)
		p.knownBytes = 0
	}
	p.knownBytes += len(text) + len(made)
	p.known[pseudonymOf{strings.Clone(class), strings.Clone(text)}] = made
	return made
}

func (p *pseudonyms) digest(use, text string) []byte {
	m := hmac.New(sha256.New, p.key)
	m.Write([]byte(use + "\x00" + text)) // never fails
	return m.Sum(nil)
}

// name is service-k3f9a2bq. What follows the class is of the text alone, so that
// one name in two places is the same in both.
func (p *pseudonyms) name(class, text string) string {
	return class + "-" + nameLetters.EncodeToString(p.digest("name", text)[:nameBytes])
}

// hex gives n bytes in hex.
func (p *pseudonyms) hex(use, text string, n int) string {
	return hex.EncodeToString(p.digest(use, text)[:n])
}

// blocks4 are the blocks of IPv4 addresses within which an address stays, so that
// it keeps its kind. What is in none is global.
var blocks4 = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("224.0.0.0/4"), netip.MustParsePrefix("240.0.0.0/4"),
}

func block4(a netip.Addr) (netip.Prefix, bool) {
	for _, b := range blocks4 {
		if b.Contains(a) {
			return b, true
		}
	}
	return netip.PrefixFrom(a, 0).Masked(), false
}

// address is another address of the same family and kind. The unspecified one and
// loopback stay. Two addresses never get the same, of IPv6 as far as 64 bits tell
// them apart. Nothing of the networks they are in is kept: stand-ins with common
// prefixes would tell, by the shape of their tree, which networks they are.
func (p *pseudonyms) address(a netip.Addr) netip.Addr {
	a = a.WithZone("") // which names an interface
	switch {
	case a.IsUnspecified() || a.Unmap().IsLoopback():
		return a
	case a.Is4():
		return p.address4(a)
	case a.Is4In6():
		return netip.AddrFrom16(p.address4(a.Unmap()).As16())
	}
	return p.address6(a)
}

var translated = netip.MustParsePrefix("64:ff9b::/96") // of NAT64

// address6 is in fd00::/64, fe80::/64, the multicast scope, or else in
// 2001:db8::/64, which is nobody's.
func (p *pseudonyms) address6(a netip.Addr) netip.Addr {
	b := a.As16()
	if translated.Contains(a) {
		copy(b[12:], p.address4(netip.AddrFrom4([4]byte(b[12:]))).AsSlice())
		return netip.AddrFrom16(b)
	}
	sum := p.digest("address", a.String())
	to := [16]byte{0x20, 0x01, 0x0d, 0xb8}
	switch {
	case a.IsPrivate():
		to = [16]byte{0xfd}
	case a.IsLinkLocalUnicast():
		to = [16]byte{0xfe, 0x80}
	case a.IsMulticast():
		to = [16]byte{b[0], b[1]}
	}
	copy(to[8:], sum[:8])
	return netip.AddrFrom16(to)
}

// address4 permutes the addresses of a block, and of the rest.
func (p *pseudonyms) address4(a netip.Addr) netip.Addr {
	block, special := block4(a)
	all, bits := a.As4(), 32-block.Bits()
	mask := uint32(1)<<bits - 1
	n, base := binary.BigEndian.Uint32(all[:]), uint32(0)
	if special {
		base = n &^ mask
	}
	for n &= mask; ; { // a walk along the permutation's cycle comes back
		n = p.permute(block.String(), n, bits)
		var out [4]byte
		binary.BigEndian.PutUint32(out[:], base|n)
		b := netip.AddrFrom4(out)
		if _, in := block4(b); in == special && !b.IsUnspecified() {
			return b
		}
	}
}

// feistelRounds is what format-preserving encryption (NIST SP 800-38G) takes.
const feistelRounds = 10

// permute is a keyed permutation of the numbers of so many bits, at most 32: a
// Feistel network, walked again where the number of bits is odd and the result
// has one more.
func (p *pseudonyms) permute(use string, n uint32, bits int) uint32 {
	half := (bits + 1) / 2
	mask := uint64(1)<<half - 1
	v := uint64(n)
	for again := true; again; again = v>>bits != 0 {
		left, right := v>>half, v&mask
		for round := range feistelRounds {
			var text [9]byte
			text[0] = byte(round)
			binary.BigEndian.PutUint64(text[1:], right)
			left, right = right, left^binary.BigEndian.Uint64(p.digest(use, string(text[:])))&mask
		}
		v = left<<half | right
	}
	return uint32(v)
}
