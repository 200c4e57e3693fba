package trigger

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		text     string
		measure  string
		service  string
		resource string
		over     time.Duration
		below    bool
		bound    float64
	}{
		{"p99(service=cart)>200ms", "p99", "cart", "", 10 * time.Second, false, 200e6},
		{"  p50 ( service = shop/cart , over = 1m30s ) > 1.5s ", "p50", "shop/cart", "", 90 * time.Second, false, 1.5e9},
		{`max(service="a, (b)")>2µs`, "max", "a, (b)", "", 10 * time.Second, false, 2000},
		{"p95>1h", "p95", "", "", 10 * time.Second, false, 3600e9},
		{"requests(over=30s,service=cart)<1/s", "requests", "cart", "", 30 * time.Second, true, 1},
		{"requests>0.5/s", "requests", "", "", 10 * time.Second, false, 0.5},
		{"drops>100/s", "drops", "", "", time.Second, false, 100},
		{"resets(over=5s)>1/s", "resets", "", "", 5 * time.Second, false, 1},
		{"retransmits>2.5/s", "retransmits", "", "", time.Second, false, 2.5},
		{"pressure(memory)>10%", "pressure", "", "memory", 10 * time.Second, false, 10},
		{"pressure(io)>0.5%", "pressure", "", "io", 10 * time.Second, false, 0.5},
	} {
		got, err := Parse(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if got.measure.name != c.measure || got.service != c.service || got.resource != c.resource || got.over != c.over ||
			got.below != c.below || got.bound != c.bound || got.String() != strings.TrimSpace(c.text) {
			t.Errorf("%s: got %s %+v", c.text, got.measure.name, got)
		}
	}
}

// An error points at the place and says what there is.
func TestParseErrors(t *testing.T) {
	const measures = "p50, p95, p99, max, requests, drops, resets, retransmits, pressure"
	for _, c := range []struct {
		text   string
		offset int
		reason string
	}{
		{"", 0, "one of these is missing: " + measures},
		{"p98>1s", 0, `no measure "p98", did you mean p95? There are ` + measures},
		{"latency>1s", 0, `no measure "latency", there are ` + measures},
		{"p99", 3, "a bound is missing: > and a time, as 200ms"},
		{"p99=1s", 3, "a bound is missing: > and a time, as 200ms"},
		{"p99(servce=cart)>1s", 4, `no argument "servce", did you mean service? There are service, over`},
		{"p99(service)>1s", 11, "service needs a value, as service=cart, over=30s"},
		{"p99()>1s", 4, "one of these is missing: service, over"},
		{"p99(service=)>1s", 12, "the name of a service is missing"},
		{`p99(service="cart)>1s`, 12, "the quoted name has no end"},
		{"p99(service=cart>1s", 19, "a closing parenthesis is missing here"},
		{"p99(over=10)>1s", 9, "a window is a time from 1s to 10m0s, as 30s"},
		{"p99(over=1h)>1s", 9, "a window is a time from 1s to 10m0s, as 30s"},
		{"p99(service=cart)>200", 18, "the bound is a time, as 200ms"},
		{"p99>-1s", 4, "the bound is a time, as 200ms"},
		{"p99>>1s", 4, "nothing may follow the bound, a time, as 200ms"},
		{"p99>1s really", 7, "nothing may follow the bound, a time, as 200ms"},
		{"p99<1s", 3, "p99 can only be too large; requests can be too few"},
		{"requests<1/s", 8, "too few requests to which service? requests(service=NAME)<1/s"},
		{"drops(service=cart)>1/s", 6, `no argument "service", there are over`},
		{"drops>100", 6, "the bound is a rate, as 100/s"},
		{"drops>1e3/s", 6, "the bound is a rate, as 100/s"},
		{"drops>NaN/s", 6, "the bound is a rate, as 100/s"},
		{"drops>0/s", 6, "the bound is a rate, as 100/s"},
		{"pressure>10%", 8, "pressure is that of cpu, io or memory, as pressure(memory)"},
		{"pressure(mem)>10%", 9, `no argument "mem", did you mean memory? There are cpu, io, memory`},
		{"pressure(cpu,io)>10%", 13, "one pressure at a time"},
		{"pressure(cpu)>101%", 14, "the bound is a share, as 10%"},
	} {
		_, err := Parse(c.text)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%s: got %v, want a SyntaxError", c.text, err)
			continue
		}
		if syntax.Offset != c.offset || syntax.Reason != c.reason {
			t.Errorf("%s: got offset %d, %q; want %d, %q", c.text, syntax.Offset, syntax.Reason, c.offset, c.reason)
		}
	}
	_, err := Parse("p99(servce=cart)>1s")
	const want = `condition "p99(servce=cart)>1s": at character 5, "servce=cart)>1s": no argument "servce", did you mean service? There are service, over`
	if err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
	if _, err := Parse(strings.Repeat("p", maxCondition+1)); err == nil {
		t.Error("an endless condition is taken")
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"p99(service=cart)>200ms", `max(service="a b",over=1m)>1s`, "drops>1/s", "pressure(io)>1%", "requests(service=µ)<2/s"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(text)
		if err != nil {
			_ = err.Error() // which cuts the text
			return
		}
		again, err := Parse(c.String())
		if err != nil || again != c {
			t.Errorf("%q is %+v, and read again %+v, %v", text, c, again, err)
		}
	})
}
