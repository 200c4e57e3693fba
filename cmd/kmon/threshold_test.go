package main

import (
	"errors"
	"math"
	"strings"
	"testing"

	"kmon/analyze/compare"
)

func TestParseThreshold(t *testing.T) {
	for _, c := range []struct {
		text string
		want compare.Threshold
	}{
		{"p99:+10%", compare.Threshold{Metric: compare.P99, Kind: compare.RelativeLimit, Limit: 0.1}},
		{"p99(service=cart):+10%", compare.Threshold{Metric: compare.P99, Service: "cart", Kind: compare.RelativeLimit, Limit: 0.1}},
		{" p50 ( service = shop/cart ) : + 5 ms ", compare.Threshold{Metric: compare.P50, Service: "shop/cart", Kind: compare.AbsoluteLimit, Limit: 5e6}},
		{`p95(service="a, (b)"):+1.5%`, compare.Threshold{Metric: compare.P95, Service: "a, (b)", Kind: compare.RelativeLimit, Limit: 0.015}},
		{"rate(service=cart):-20%", compare.Threshold{Metric: compare.Rate, Service: "cart", Kind: compare.RelativeLimit, Limit: -0.2}},
		{"rate:−50/s", compare.Threshold{Metric: compare.Rate, Kind: compare.AbsoluteLimit, Limit: -50}},
		{"errors(edge=web->cart):+0.1pp", compare.Threshold{Metric: compare.Errors, Client: "web", Server: "cart", Kind: compare.AbsoluteLimit, Limit: 0.001}},
		{"errors:<1%", compare.Threshold{Metric: compare.Errors, Kind: compare.ValueLimit, Limit: 0.01}},
		{"p99(edge=web → cart):+10%", compare.Threshold{Metric: compare.P99, Client: "web", Server: "cart", Kind: compare.RelativeLimit, Limit: 0.1}},
		{"p99(edge=->cart):+10%", compare.Threshold{Metric: compare.P99, Server: "cart", Kind: compare.RelativeLimit, Limit: 0.1}},
		{"p99(edge=web->):+10%", compare.Threshold{Metric: compare.P99, Client: "web", Kind: compare.RelativeLimit, Limit: 0.1}},
		{`p99(edge="a->b"->c):+10%`, compare.Threshold{Metric: compare.P99, Client: "a->b", Server: "c", Kind: compare.RelativeLimit, Limit: 0.1}},
		{"p99(service=cart):<200ms", compare.Threshold{Metric: compare.P99, Service: "cart", Kind: compare.ValueLimit, Limit: 200e6}},
		{"cpu:+50us", compare.Threshold{Metric: compare.CPU, Kind: compare.AbsoluteLimit, Limit: 50e3}},
		{"request_bytes:+4KiB", compare.Threshold{Metric: compare.RequestBytes, Kind: compare.AbsoluteLimit, Limit: 4096}},
		{"syscalls:+2", compare.Threshold{Metric: compare.Syscalls, Kind: compare.AbsoluteLimit, Limit: 2}},
		{"p99:+0%", compare.Threshold{Metric: compare.P99, Kind: compare.RelativeLimit}},
	} {
		got, err := parseThreshold(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		c.want.Text = strings.TrimSpace(c.text)
		if math.Abs(got.Limit-c.want.Limit) < 1e-12 {
			got.Limit = c.want.Limit
		}
		if got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.text, got, c.want)
		}
	}
}

// An error points at the place and says what there is.
func TestParseThresholdErrors(t *testing.T) {
	metrics := strings.Join(metricNames(), ", ")
	for _, c := range []struct {
		text   string
		at     int
		reason string
	}{
		{"", 0, "one of these is missing: " + metrics},
		{"p98:+1%", 0, `no metric "p98", did you mean p95? There are ` + metrics},
		{"wombat:+1%", 0, `no metric "wombat", there are ` + metrics},
		{"p99", 3, "a colon and a limit are missing, as p99:+10% or +5ms"},
		{"p99>10%", 3, "a colon and a limit are missing, as p99:+10% or +5ms"},
		{"p99(servce=cart):+1%", 4, `no selector "servce", did you mean service? There are service, edge`},
		{"p99(cart):+1%", 4, `no selector "cart", there are service, edge`},
		{"p99(service):+1%", 11, "service needs a name, as service=cart or edge=web->cart"},
		{"p99(service=):+1%", 12, "the name of a service is missing"},
		{`p99(service="cart):+1%`, 12, "the quoted name has no end"},
		{"p99(service=cart:+1%", 20, "a closing parenthesis is missing here"},
		{"p99(service=a,service=b):+1%", 13, "one service or one edge is enough: give the threshold once for each"},
		{"p99(edge=web):+1%", 12, "an arrow from client to server is missing, as edge=web->cart"},
		{"p99(edge=->):+1%", 11, "an edge has at least one name: web->cart, ->cart or web->"},
		{"cpu(edge=web->cart):+1%", 8, "cpu is of services, not of edges"},
		{"retransmits:+10%", 11, "retransmits is of edges, which are missing: retransmits(edge=->cart)"},
		{"retransmits(service=cart):+10%", 19, "retransmits is of edges, not of services: edge=->cart"},
		{"p99:", 4, "the limit is missing, as +10% or +5ms"},
		{"p99:+", 4, "the limit is missing, as +10% or +5ms"},
		{"p99:10%", 4, "a limit begins with + (at most so much more than base), - (at most so much less) or < (below this, whatever base is), as +10% or +5ms"},
		{"p99:+10", 4, "the limit is a percentage of base, as 10%, or a time, as 5ms"},
		{"p99:+1e3%", 4, "the limit is a percentage of base, as 10%, or a time, as 5ms"},
		{"p99:+NaN%", 4, "the limit is a percentage of base, as 10%, or a time, as 5ms"},
		{"p99:+10% really", 4, "the limit is a percentage of base, as 10%, or a time, as 5ms"},
		{"p99:<10%", 4, "the limit is a time, as 5ms"},
		{"rate:-50", 4 + 1, "the limit is a percentage of base, as 10%, or a rate, as 50/s"},
		{"errors:+0.1", 7, "the limit is a percentage of base, as 10%, or percentage points, as 0.1pp"},
		{"disk_bytes:+4QiB", 11, "the limit is a percentage of base, as 10%, or a size, as 4KiB"},
		{"syscalls:+2%%", 9, "the limit is a percentage of base, as 10%, or a number, as 0.5"},
		{"p99(service=" + strings.Repeat("x", 700) + "):+1%", 0, "a threshold is a text of at most 600 bytes"},
		{"p99(service=\xff):+1%", 0, "a threshold is a text of at most 600 bytes"},
	} {
		_, err := parseThreshold(c.text)
		var wrong *thresholdError
		if !errors.As(err, &wrong) {
			t.Errorf("%q: got %v, want an error", c.text, err)
			continue
		}
		if wrong.at != c.at || wrong.reason != c.reason {
			t.Errorf("%q: got %d %q\nwant %d %q", c.text, wrong.at, wrong.reason, c.at, c.reason)
		}
	}
	_, err := parseThreshold("p99(servce=cart):+10%")
	want := `--threshold "p99(servce=cart):+10%": at character 5, "servce=cart):+10%": no selector "servce", did you mean service? There are service, edge`
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

// What is no threshold never ends the program.
func FuzzParseThreshold(f *testing.F) {
	for _, text := range []string{"p99(service=cart):+10%", `p99(edge="a"->b):<5ms`, "errors:+0.1pp", "p99(service=\"", "rate:−5/s"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseThreshold(text)
		if err == nil && (math.IsNaN(got.Limit) || math.IsInf(got.Limit, 0) || got.Metric == "" || got.Kind == "") {
			t.Errorf("%q: %+v", text, got)
		}
		if err != nil && err.Error() == "" {
			t.Errorf("%q: an error that says nothing", text)
		}
	})
}
