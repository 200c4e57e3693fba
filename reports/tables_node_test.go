package reports

import (
	"strconv"
	"strings"
	"testing"

	"kmon/analyze"
)

// columnOf gives the texts of a column, by its head.
func columnOf(t *testing.T, x table, head string) []string {
	t.Helper()
	for i, c := range x.Columns {
		if c.Head != head {
			continue
		}
		texts := []string{}
		for _, row := range x.Rows {
			texts = append(texts, row[i].Text)
		}
		return texts
	}
	t.Fatalf("table %s has no column %q: %+v", x.ID, head, x.Columns)
	return nil
}

// What a table of time lists adds up to the series.
func TestTimeTablesAddUp(t *testing.T) {
	a := node()
	want := map[string]int64{}
	for _, d := range a.Disks {
		for _, w := range d.Series {
			want[d.Name] += w.IOs
		}
	}
	x := disksTimeTable(a)
	names, ios := columnOf(t, x, "Disk"), columnOf(t, x, "IOs")
	got, rows := map[string]int64{}, map[string]int{}
	for i, name := range names {
		n, err := strconv.ParseInt(strings.ReplaceAll(ios[i], ",", ""), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		got[name] += n
		rows[name]++
	}
	for _, name := range []string{"vda", "dm-0", "sda"} {
		if got[name] != want[name] || rows[name] != timePoints {
			t.Errorf("%s: %d rows of %d IOs, want %d rows of %d", name, rows[name], got[name], timePoints, want[name])
		}
	}
	if rows["sdb"] != 0 {
		t.Errorf("an idle disk has %d rows", rows["sdb"])
	}
	for _, table := range timeTables(&analyze.Analysis{}) {
		if len(table.Rows) != 0 {
			t.Errorf("table %s of nothing has rows", table.ID)
		}
	}
}

// What was not recorded is absent, what was and did not happen is 0, and no
// report shows a number for it.
func TestNotRecordedIsNotZero(t *testing.T) {
	a := shop()
	zero := int64(0)
	a.Network = []analyze.NetworkCount{{Service: "tcp only", RTT: spread(3, millisecond)}, {Service: "quiet", Retransmits: &zero}}
	if got := columnOf(t, networkTable(a), "Retransmits"); got[0] != absent || got[1] != "0" {
		t.Errorf("retransmits are shown as %q", got)
	}
	if got := notRecorded(a); !strings.Contains(got, "disks (collector block)") || !strings.Contains(got, "network faults (collector drop)") {
		t.Errorf("not recorded: %q", got)
	}
	a.Disks, a.Drops = []analyze.Disk{}, []analyze.Drop{}
	if got := notRecorded(a); strings.Contains(got, "disks") || strings.Contains(got, "faults") {
		t.Errorf("of what was recorded and empty: %q", got)
	}
	for _, f := range []Format{Text, Markdown} { // HTML says it by section
		text := strings.ReplaceAll(string(render(t, shop(), f, Options{})), "**Not recorded** |", "Not recorded:")
		if n := strings.Count(text, "Not recorded:"); n != 1 {
			t.Errorf("%s says %d times what was not recorded", f, n)
		}
	}
}

func TestDroppedIn(t *testing.T) {
	for _, test := range []struct {
		stack []string
		want  string
	}{
		{nil, ""}, {[]string{"kfree_skb_reason"}, ""}, {[]string{"sk_skb_reason_drop", "tcp_v4_rcv", "ip_rcv"}, "tcp_v4_rcv"}, {[]string{"ip_rcv"}, "ip_rcv"},
	} {
		if got := droppedIn(test.stack); got != test.want {
			t.Errorf("%q: dropped in %q, want %q", test.stack, got, test.want)
		}
	}
}

func TestThroughputText(t *testing.T) {
	for value, want := range map[float64]string{0: "0 B/s", 0.2: "<1 B/s", 1536: "1.50 KiB/s", -1: absent} {
		if got := throughputText(value); got != want {
			t.Errorf("throughputText(%g) = %q, want %q", value, got, want)
		}
	}
}
