package spelling

import (
	"slices"
	"testing"
)

func TestNear(t *testing.T) {
	known := []string{"tcp_sendmsg", "tcp_sendmsg_locked", "tcp_recvmsg", "udp_sendmsg", "tcp_sendpage", "read", "readv", "futex"}
	for _, test := range []struct {
		word string
		want []string
	}{
		{"tcp_sendmsgg", []string{"tcp_sendmsg", "tcp_sendpage"}},
		{"tcp_send", []string{"tcp_sendmsg", "tcp_sendmsg_locked"}},
		{"raed", []string{"read"}},
		{"reed", []string{"read"}},
		{"xyzw", nil},
		{"futx", []string{"futex"}},
		{"", nil},
		{"nothing_like_it", nil},
	} {
		if got := Near(test.word, known, 2); !slices.Equal(got, test.want) {
			t.Errorf("near %q: got %q, want %q", test.word, got, test.want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"abc", "abc", 0}, {"abc", "abd", 1}, {"abc", "ab", 1}, {"", "abc", 3}, {"read", "raed", 1}, {"ca", "abc", 3}} {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("distance %q %q: got %d, want %d", test.a, test.b, got, test.want)
		}
	}
	if got := Nearest("cart", []string{"shop", "card", "carts"}); got != "card" {
		t.Errorf("nearest to cart: got %s, want card", got)
	}
}
