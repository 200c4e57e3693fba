package format

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// writeSample writes a capture with rows in every table.
func writeSample(t testing.TB, n int) string {
	t.Helper()
	w, path := create(t)
	rows := traffic(n, 1)
	seen := map[int64]bool{}
	for _, r := range rows {
		if !seen[r.SocketID] {
			seen[r.SocketID] = true
			must(t, Append(w, Socket{TsNs: 1e9, SocketID: r.SocketID, Event: SocketExisting, Role: RoleServer,
				RoleSource: RoleSourceListener, Family: 4, LocalAddr: "127.0.0.1", LocalPort: 80, RemoteAddr: "127.0.0.1", RemotePort: 4000}))
		}
	}
	must(t, w.AppendExchanges(rows))
	must(t, Append(w, sampleRows[Mark](3)...))
	must(t, Append(w, sampleRows[Process](3)...))
	must(t, Append(w, sampleRows[Listener](3)...))
	must(t, Append(w, sampleRows[Config](3)...))
	must(t, Append(w, Self{TsNs: 2e9, RealtimeNs: 1}, Self{TsNs: 3e9, RealtimeNs: 2}))
	must(t, Append(w, Loss{StartNs: 2e9, EndNs: 3e9, Collector: "tcp", Table: "exchanges", Cause: LossRingFull, Count: 5}))
	must(t, w.Close(Final{EndNs: 5e9, StopReason: "duration"}))
	return path
}

func TestVerifySoundCapture(t *testing.T) {
	r, err := Verify(t.Context(), writeSample(t, 1000))
	must(t, err)
	for _, p := range r.Problems {
		t.Errorf("problem: %s", p)
	}
	if r.Rows["exchanges"] != 1000 || r.Damaged() {
		t.Errorf("report is %+v", r)
	}
}

func TestRepairOfACutCapture(t *testing.T) {
	src := writeSample(t, 1000)
	data, err := os.ReadFile(src)
	must(t, err)
	c := open(t, src)
	last := c.entries[len(c.entries)-2]
	must(t, os.WriteFile(src, data[:last.offset+50], 0o600))
	dst := filepath.Join(t.TempDir(), "mended.kmon")
	_, err = Repair(t.Context(), src, dst)
	must(t, err)
	r, err := Verify(t.Context(), dst)
	must(t, err)
	if len(r.Problems) > 0 || r.Rows["exchanges"] != 1000 || r.Rows["marks"] != 4 {
		t.Errorf("after repair: %+v", r)
	}
	if _, err := Repair(t.Context(), src, dst); err == nil {
		t.Error("Repair wrote over an existing file")
	}
}

func TestTextRoundTrip(t *testing.T) {
	var first, second bytes.Buffer
	must(t, WriteText(&first, open(t, writeSample(t, 100))))
	path := filepath.Join(t.TempDir(), "again.kmon")
	must(t, ReadText(bytes.NewReader(first.Bytes()), path))
	must(t, WriteText(&second, open(t, path)))
	if first.String() != second.String() {
		t.Errorf("text form changed on its way through a capture:\n%s\n%s", first.String(), second.String())
	}
}

func TestRepairCountsWhatDamageCost(t *testing.T) {
	src := writeSample(t, 1000)
	data, err := os.ReadFile(src)
	must(t, err)
	s := open(t, src).Segments("exchanges")[0]
	data[s.entry.data+100] ^= 1
	dst := filepath.Join(t.TempDir(), "mended.kmon")
	r, err := Repair(t.Context(), rewrite(t, data), dst)
	must(t, err)
	if !r.Damaged() || r.Rows["exchanges"] != 0 {
		t.Errorf("report of the repair is %+v", r)
	}
	c := open(t, dst)
	losses, err := All[Loss](c)
	must(t, err)
	last := losses[len(losses)-1]
	if last.Cause != LossDamage || last.Table != "exchanges" || last.Count != 1000 || last.Collector != "tcp" {
		t.Errorf("loss is %+v", last)
	}
	if c.Final.StopReason != "duration" || !strings.Contains(c.Final.Error, "repaired: ") {
		t.Errorf("final is %+v", c.Final)
	}
	if r, err := Verify(t.Context(), dst); err != nil || r.Damaged() {
		t.Errorf("the repaired capture is damaged: %+v, %v", r, err)
	}
}

func TestRepairWithoutManifest(t *testing.T) {
	src := writeSample(t, 100)
	data, err := os.ReadFile(src)
	must(t, err)
	data[open(t, src).entries[0].data+5] ^= 0x20
	dst := filepath.Join(t.TempDir(), "mended.kmon")
	_, err = Repair(t.Context(), rewrite(t, data), dst)
	must(t, err)
	c := open(t, dst)
	if rows, err := All[Exchange](c); len(rows) != 100 || err != nil || c.Manifest.Host.Name != "unknown" {
		t.Errorf("%d rows, %v, manifest %+v", len(rows), err, c.Manifest)
	}
}
