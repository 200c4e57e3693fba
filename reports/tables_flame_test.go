package reports

import (
	"strings"
	"testing"

	"kmon/analyze"
)

func flamesFixture() *analyze.Analysis {
	return &analyze.Analysis{Flames: []analyze.FlameTree{
		{Kind: "on-cpu", Unit: "samples", NsPerUnit: 10_000_000, Total: 200,
			Functions: []analyze.FlameFunction{
				{Name: "memcpy", Module: "/lib/libc.so.6", Kind: "user", Approximate: true, Self: 150, Total: 150},
				{Name: "main", Module: "/bin/app", Kind: "user", Self: 0, Total: 200},
			},
			Paths: []analyze.FlamePath{{Frames: []string{"cart", "main", "memcpy"}, Value: 150}}},
		{Kind: "on-cpu", Service: "cart", Unit: "samples", Total: 1},
		{Kind: "off-cpu", Unit: "ns", NsPerUnit: 1, Total: 4_000_000_000,
			Functions: []analyze.FlameFunction{{Name: "futex_wait", Module: "kernel", Kind: "kernel", Self: 4_000_000_000, Total: 4_000_000_000}}},
	}}
}

func rowText(t table) []string {
	var lines []string
	for _, row := range t.Rows {
		var words []string
		for _, c := range row {
			words = append(words, c.Text)
		}
		lines = append(lines, strings.Join(words, " | "))
	}
	return lines
}

func TestFlameTables(t *testing.T) {
	a := flamesFixture()
	for _, c := range []struct {
		table table
		want  string
	}{
		{functionsTable(a, "on-cpu"), "≈ memcpy | 75% | 1.50 s | 75% | 1.50 s | libc.so.6\nmain | 0% | 0 ns | 100% | 2.00 s | app"},
		{functionsTable(a, "off-cpu"), "futex_wait | 100% | 4.00 s | 100% | 4.00 s | kernel"},
		{pathsTable(a, "on-cpu"), "75% | 1.50 s | cart | memcpy ← main"},
		{pathsTable(a, "off-cpu"), ""},
		{functionsTable(&analyze.Analysis{}, "on-cpu"), ""},
	} {
		if got := strings.Join(rowText(c.table), "\n"); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.table.ID, got, c.want)
		}
	}
	a.Flames[0].NsPerUnit = 0 // the rate is not known
	if got := rowText(functionsTable(a, "on-cpu"))[0]; got != "≈ memcpy | 75% | – | 75% | – | libc.so.6" {
		t.Errorf("got %s", got)
	}
}

func TestPathText(t *testing.T) {
	if got := pathText(strings.Fields("s 1 2 3 4 5 6 7 8 9 10 11 12 13")); got != "13 ← 12 ← 11 ← 10 ← 9 ← 8 ← 7 ← 6 ← 5 ← 4 ← 3 ← 2 ← …" {
		t.Errorf("got %s", got)
	}
	if got := pathText([]string{"s"}); got != "" {
		t.Errorf("got %s", got)
	}
}
