package reports

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"kmon/analyze"
)

// valuesOf is a table as a format writes it.
func valuesOf(t *testing.T, a *analyze.Analysis, table string, f Format) string {
	t.Helper()
	var out bytes.Buffer
	if err := WriteValues(&out, a, table, f); err != nil {
		t.Fatalf("%s: %v", table, err)
	}
	return out.String()
}

// Every table can be had of every case in both formats: as many rows, each with
// a cell for each column, and no column's name twice.
func TestValueTables(t *testing.T) {
	tables := ValueTables()
	for _, want := range []string{"services", "services.instances", "services.series", "services.breakdown.slow.parts", "edges", "findings", "findings.evidence", "threads", "disks.users", "losses", "marks"} {
		if !slices.Contains(tables, want) {
			t.Errorf("there is no table %s among %v", want, tables)
		}
	}
	for _, c := range cases {
		for _, table := range tables {
			var out bytes.Buffer
			if err := WriteValues(&out, c.a(), table, CSV); errors.Is(err, ErrNotRecorded) {
				continue
			} else if err != nil {
				t.Fatalf("%s %s: %v", c.name, table, err)
			}
			rows, err := csv.NewReader(&out).ReadAll() // which holds rows to the head's length
			if err != nil {
				t.Fatalf("%s %s: %v", c.name, table, err)
			}
			if head := slices.Sorted(slices.Values(rows[0])); len(slices.Compact(head)) != len(rows[0]) {
				t.Errorf("%s has a column twice: %v", table, rows[0])
			}
			lines := 0
			for line := range strings.Lines(valuesOf(t, c.a(), table, NDJSON)) {
				if lines++; !json.Valid([]byte(line)) {
					t.Errorf("%s %s: no JSON: %s", c.name, table, line)
				}
			}
			if lines != len(rows)-1 {
				t.Errorf("%s %s: %d lines of JSON, %d of CSV", c.name, table, lines, len(rows)-1)
			}
		}
	}
}

func TestValuesCSV(t *testing.T) {
	share := int64(7)
	a := &analyze.Analysis{
		Services: []analyze.Service{
			{Name: "a,\"b\"\x1b[2J", Requests: 3, RatePerS: 0.5, Latency: analyze.Distribution{Count: 3, Mean: 5, P50: 4, P99: 9},
				CPU: &analyze.CPU{OnCPUNs: 12, OnCPUPerRequestNs: &share}, Series: []analyze.Point{{StartNs: 1, Requests: 2}, {StartNs: 2, Requests: 1, Count: 1, P99: 8}}},
			{Name: "quiet"},
			{Name: "slow", Breakdown: &analyze.Breakdown{Slow: analyze.BreakdownBand{Parts: []analyze.TimePart{{Name: "lock", Ns: 7, Share: 0.7}, {Name: "unknown", Ns: 3, Share: 0.3}}}}},
		},
		Syscalls: []analyze.SyscallCount{},
	}
	cells := func(table string) []map[string]string {
		rows, err := csv.NewReader(strings.NewReader(valuesOf(t, a, table, CSV))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		var list []map[string]string
		for _, row := range rows[1:] {
			m := map[string]string{}
			for i, column := range rows[0] {
				m[column] = row[i]
			}
			list = append(list, m)
		}
		return list
	}
	services := cells("services")
	for column, want := range map[string]string{"requests": "3", "rate_per_s": "0.5", "latency_ns_p99": "9", "latency_ns_count": "3", "cpu_on_cpu_ns": "12",
		"cpu_on_cpu_per_request_ns": "7", "external": "false", "name": `a,"b"\x1b[2J`} {
		if got := services[0][column]; got != want {
			t.Errorf("%s: got %q, want %q", column, got, want)
		}
	}
	// What was not measured is no 0.
	for column, want := range map[string]string{"requests": "0", "latency_ns_p99": "", "latency_ns_count": "0", "cpu_on_cpu_ns": "", "cpu_on_cpu_per_request_ns": ""} {
		if got, there := services[1][column]; got != want || !there {
			t.Errorf("of the quiet one %s: got %q, want %q", column, got, want)
		}
	}
	series := cells("services.series")
	if len(series) != 2 || series[1]["service_name"] != services[0]["name"] || series[1]["p99"] != "8" || series[0]["p99"] != "" || series[0]["requests"] != "2" {
		t.Errorf("series: got %v", series)
	}
	parts := cells("services.breakdown.slow.parts")
	if len(parts) != 2 || parts[0]["service_name"] != "slow" || parts[0]["name"] != "lock" || parts[1]["ns"] != "3" {
		t.Errorf("parts of slow requests: got %v", parts)
	}
	if got := valuesOf(t, a, "syscalls", CSV); strings.Count(got, "\n") != 1 {
		t.Errorf("of no calls: got %q, want a head alone", got)
	}
}

func TestValuesErrors(t *testing.T) {
	if err := WriteValues(&bytes.Buffer{}, &analyze.Analysis{}, "disks.users", CSV); !errors.Is(err, ErrNotRecorded) || !strings.Contains(err.Error(), "disks.users") {
		t.Errorf("of what was not recorded: got %v", err)
	}
	if err := WriteValues(&bytes.Buffer{}, &analyze.Analysis{}, "shelves", CSV); err == nil || !strings.Contains(err.Error(), "services, ") {
		t.Errorf("of an unknown table: got %v", err)
	}
}
