package format

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// killEnv makes the test binary a writer in full flow, to be killed.
const killEnv = "KMON_TEST_WRITE_UNTIL_KILLED"

func TestMain(m *testing.M) {
	if path := os.Getenv(killEnv); path != "" {
		writeUntilKilled(path)
	}
	os.Exit(m.Run())
}

// writeUntilKilled writes segments as fast as it can.
func writeUntilKilled(path string) {
	w, err := Create(path, Manifest{KmonVersion: "1.0.0"}, WriterOptions{})
	if err != nil {
		panic(err)
	}
	rows := traffic(busyRows, 1)
	for now := int64(1e9); ; now += busyAgeNs {
		if err := Append(w, Socket{TsNs: now, SocketID: now}); err != nil {
			panic(err)
		}
		for i := range rows {
			rows[i].SocketID = now
		}
		if err := w.AppendExchanges(rows); err != nil {
			panic(err)
		}
		if err := w.Tick(now); err != nil {
			panic(err)
		}
	}
}

// TestKilledWriter kills a writer at odd moments and expects whole segments
// without a gap, and the socket of every exchange.
func TestKilledWriter(t *testing.T) {
	for i := range 8 {
		path := filepath.Join(t.TempDir(), "x.kmon")
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), killEnv+"="+path)
		must(t, child.Start())
		waitForSize(t, path+partSuffix, int64(20_000+31_013*i))
		must(t, child.Process.Kill())
		_ = child.Wait() // killed, as it should be
		checkKilled(t, path+partSuffix)
	}
}

// waitForSize waits until the file is at least so large.
func waitForSize(t *testing.T, path string, size int64) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if info, err := os.Stat(path); err == nil && info.Size() >= size {
			return
		}
	}
	t.Fatalf("%s does not reach %d bytes", path, size)
}

func checkKilled(t *testing.T, path string) {
	t.Helper()
	c := open(t, path)
	exchanges, err := All[Exchange](c)
	must(t, err)
	sockets := map[int64]bool{}
	must(t, ReadRows(c, func(rows []Socket) error {
		for _, r := range rows {
			sockets[r.SocketID] = true
		}
		return nil
	}))
	// A segment is closed at the second Tick after its first row.
	if len(exchanges) != 2*busyRows*len(c.Segments("exchanges")) {
		t.Errorf("%d exchanges in %d segments", len(exchanges), len(c.Segments("exchanges")))
	}
	for _, e := range exchanges {
		if !sockets[e.SocketID] {
			t.Fatalf("socket %d is not known", e.SocketID)
		}
	}
	damaged := 0
	for _, p := range c.Problems() {
		if p.Damage {
			damaged++
		}
	}
	if damaged > 1 { // the entry that was being written
		t.Errorf("problems: %v", c.Problems())
	}
}
