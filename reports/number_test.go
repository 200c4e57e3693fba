package reports

import (
	"math"
	"testing"

	"kmon/analyze"
)

func TestDurationText(t *testing.T) {
	for _, c := range []struct {
		ns   int64
		want string
	}{
		{0, "0 ns"}, {1, "1 ns"}, {999, "999 ns"}, {1000, "1.00 µs"}, {1234, "1.23 µs"}, {12345, "12.3 µs"},
		{99949, "99.9 µs"}, {99951, "100 µs"}, {999499, "999 µs"}, {999500, "1.00 ms"}, {1e6, "1.00 ms"},
		{9994999, "9.99 ms"}, {9995001, "10.0 ms"}, {123456789, "123 ms"}, {999499999, "999 ms"}, {999500000, "1.00 s"},
		{59_900_000_000, "59.9 s"}, {999_400_000_000, "999 s"}, {999_500_000_000, "16 min 40 s"},
		{7199_400_000_000, "119 min 59 s"}, {7200_000_000_000, "2 h 0 min"}, {90061_000_000_000, "25 h 1 min"},
		{-1500, "-1.50 µs"}, {-1, "-1 ns"}, {math.MinInt64, "-2,562,047 h 47 min"}, {math.MaxInt64, "2,562,047 h 47 min"},
	} {
		if got := DurationText(c.ns); got != c.want {
			t.Errorf("DurationText(%d) = %q, want %q", c.ns, got, c.want)
		}
	}
}

func TestQuantileText(t *testing.T) {
	if got := quantileText(analyze.Distribution{}, 0); got != "–" {
		t.Errorf("a distribution without samples shows %q, want –", got)
	}
	if got := quantileText(analyze.Distribution{Count: 1}, 0); got != "0 ns" {
		t.Errorf("a measured 0 shows %q, want 0 ns", got)
	}
}

func TestBytesText(t *testing.T) {
	for _, c := range []struct {
		n    int64
		want string
	}{
		{0, "0 B"}, {1023, "1023 B"}, {1024, "1.00 KiB"}, {1536, "1.50 KiB"}, {1023 << 10, "1023 KiB"}, {1<<20 - 1, "1.00 MiB"},
		{21 << 20, "21.0 MiB"}, {3 << 30, "3.00 GiB"}, {5 << 40, "5.00 TiB"}, {math.MaxInt64, "8,388,608 TiB"},
		{-2048, "-2.00 KiB"},
	} {
		if got := BytesText(c.n); got != c.want {
			t.Errorf("BytesText(%d) = %q, want %q", c.n, got, c.want)
		}
	}
}

func TestCountText(t *testing.T) {
	for _, c := range []struct {
		n    int64
		want string
	}{
		{0, "0"}, {999, "999"}, {1000, "1,000"}, {123456, "123,456"}, {1234567, "1,234,567"}, {-1234, "-1,234"}, {-123, "-123"},
		{math.MinInt64, "-9,223,372,036,854,775,808"},
	} {
		if got := CountText(c.n); got != c.want {
			t.Errorf("CountText(%d) = %q, want %q", c.n, got, c.want)
		}
	}
}

func TestRateText(t *testing.T) {
	for _, c := range []struct {
		perS float64
		want string
	}{
		{0, "0/s"}, {0.0004, "<0.001/s"}, {0.016667, "0.017/s"}, {0.9994, "0.999/s"}, {0.9996, "1.00/s"}, {9.999, "10.0/s"},
		{12.34, "12.3/s"}, {999.4, "999/s"}, {999.6, "1,000/s"}, {123456.7, "123,457/s"}, {1e300, ">1e15/s"},
		{math.NaN(), "–"}, {math.Inf(1), "–"}, {-1, "–"},
	} {
		if got := rateText(c.perS); got != c.want {
			t.Errorf("rateText(%v) = %q, want %q", c.perS, got, c.want)
		}
	}
}

func TestPercentText(t *testing.T) {
	for _, c := range []struct {
		ratio float64
		want  string
	}{
		{0, "0%"}, {1, "100%"}, {0.875, "87.5%"}, {0.9, "90%"}, {0.99999, "99.99%"}, {0.00001, "<0.01%"}, {0.0235, "2.35%"},
		{0.29, "29%"}, {1.5, "150%"}, {math.NaN(), "–"}, {-0.1, "–"},
	} {
		if got := percentText(c.ratio); got != c.want {
			t.Errorf("percentText(%v) = %q, want %q", c.ratio, got, c.want)
		}
	}
}

func TestTimes(t *testing.T) {
	if got, want := timeText(start+999*millisecond), "2026-03-14 02:59:00"; got != want {
		t.Errorf("timeText = %q, want %q", got, want)
	}
	if got := timeText(0); got != "–" {
		t.Errorf("timeText(0) = %q, want –", got)
	}
	for _, c := range []struct {
		ns   int64
		want string
	}{{start, "02:59:00"}, {start + 250*millisecond, "02:59:00.250"}, {start + 61*second, "03:00:01"}} {
		if got := clockText(c.ns); got != c.want {
			t.Errorf("clockText(%d) = %q, want %q", c.ns, got, c.want)
		}
	}
}
