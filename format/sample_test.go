package format

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"testing"
)

// testManifest is a manifest with every field set.
func testManifest() Manifest {
	return Manifest{
		Format: formatName, Version: Version, KmonVersion: "1.2.3", CreatedUnixNs: 1_700_000_000_000_000_000,
		Host: Host{Name: "node1", MachineID: "m", BootID: "b", OS: "Debian", Kernel: "6.1.0", Arch: "amd64",
			CPUs: 2, MemoryBytes: 1 << 33, CgroupHierarchy: "v2", ClockTicks: 100},
		Clock: ClockPair{MonotonicNs: 1e9, RealtimeNs: 1_700_000_000_000_000_000},
		Collectors: []Collector{{Name: "tcp", Variants: map[string]string{"send": "tp_btf:sock_send_length"},
			Missing: map[string]string{"mptcp": "kernel has none"}}},
		Options:     map[string]string{"duration": "10s"},
		CommandLine: []string{"kmon", "record"},
	}
}

// fillRow sets every column of a row to a value that depends on i, with zero
// and negative numbers and empty, odd and repeated texts among them.
func fillRow(row reflect.Value, i int) {
	texts := []string{"", "a", "line\nbreak\ttab", "\"quoted\\\"", "é\x00�", "a"}
	for f := range row.NumField() {
		switch field := row.Field(f); field.Kind() {
		case reflect.String:
			field.SetString(texts[(i+f)%len(texts)])
		default:
			numbers := []int64{0, int64(i), -1, 1 << 30, int64(i * f), -1 << 31}
			field.SetInt(numbers[(i+f)%len(numbers)])
		}
	}
}

// sampleRows gives n rows of a table.
func sampleRows[T Row](n int) []T {
	rows := make([]T, n)
	for i := range rows {
		fillRow(reflect.ValueOf(&rows[i]).Elem(), i)
	}
	return rows
}

// traffic makes exchanges as a busy node gives them: 100 sockets, 5 µs between
// rows, 20±10 µs of server time, a row written when its exchange ends.
func traffic(n int, seed uint64) []Exchange {
	r := rand.New(rand.NewPCG(seed, 1))
	rows := make([]Exchange, n)
	now := int64(1e9)
	for i := range rows {
		now += int64(r.ExpFloat64() * 5000)
		server := max(1000, int64(20000+r.NormFloat64()*10000))
		socket := r.IntN(100)
		rows[i] = Exchange{SocketID: 0x7000_0000 + int64(socket)*7919, StartNs: now - server, ServerNs: server,
			RequestBytes: int64(40 + r.IntN(4)), AnswerBytes: int64(5 + r.IntN(3)), RequestMessages: 1, AnswerMessages: 1,
			PID: 1000, TID: 1000 + int32(socket%4)}
	}
	return rows
}

// create opens a writer in a temporary directory.
func create(t testing.TB) (*Writer, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "test.kmon")
	w, err := Create(path, testManifest(), WriterOptions{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	return w, path
}

// open opens a capture and closes it with the test.
func open(t testing.TB, path string) *Capture {
	t.Helper()
	c, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// noProblems fails the test for each problem of the capture.
func noProblems(t testing.TB, c *Capture) {
	t.Helper()
	for _, p := range c.Problems() {
		t.Errorf("problem: %s", p)
	}
}

// must fails the test on an error.
func must(t testing.TB, err error, what ...any) {
	t.Helper()
	if err != nil {
		t.Fatal(fmt.Sprint(what...), err)
	}
}
