package format

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

// roundTrip writes n rows of T and reads them back.
func roundTrip[T Row](t *testing.T, n int) {
	name := tableOf[T]().name
	t.Run(name, func(t *testing.T) {
		w, path := create(t)
		want := sampleRows[T](n)
		must(t, Append(w, want...))
		must(t, w.Close(Final{StopReason: "duration"}))
		c := open(t, path)
		got, err := All[T](c)
		must(t, err)
		if name == "exchanges" { // sorted within batches
			sortExchanges(any(got).([]Exchange))
			sortExchanges(any(want).([]Exchange))
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("read %d rows that differ from the %d written", len(got), len(want))
		}
		if c.Final == nil || c.Final.Rows[name] != int64(n) {
			t.Errorf("final.json is %+v, want %d rows of %s", c.Final, n, name)
		}
		noProblems(t, c)
	})
}

func TestRoundTripOfEveryTable(t *testing.T) {
	for _, n := range []int{1, 7, 5000} {
		roundTrip[Exchange](t, n)
		roundTrip[Socket](t, n)
		roundTrip[Proc](t, n)
		roundTrip[Loss](t, n)
		roundTrip[Self](t, n)
		roundTrip[Mark](t, n)
		roundTrip[Process](t, n)
		roundTrip[Listener](t, n)
		roundTrip[Container](t, n)
		roundTrip[Interface](t, n)
		roundTrip[Config](t, n)
		roundTrip[Interval](t, n)
		roundTrip[Wake](t, n)
		roundTrip[OffCPU](t, n)
		roundTrip[OnCPU](t, n)
		roundTrip[Stack](t, n)
		roundTrip[Frame](t, n)
		roundTrip[IO](t, n)
		roundTrip[Disk](t, n)
		roundTrip[Mount](t, n)
		roundTrip[NetEvent](t, n)
		roundTrip[AcceptQueue](t, n)
		roundTrip[Syscall](t, n)
		roundTrip[Memory](t, n)
		roundTrip[Limit](t, n)
	}
}

func TestInvalidTextIsMended(t *testing.T) {
	w, path := create(t)
	must(t, Append(w, Mark{Kind: "a\xff\xfeb", Text: "ok"}))
	must(t, w.Close(Final{}))
	got, err := All[Mark](open(t, path))
	must(t, err)
	if want := (Mark{Kind: "a\uFFFDb", Text: "ok"}); len(got) != 1 || got[0] != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestLongTexts holds that a Writer makes nothing that a reader refuses.
func TestLongTexts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	text := make([]byte, 2<<20)
	for i := range text {
		text[i] = "abcdefghijklmnopqrstuvwxyz"[r.IntN(26)]
	}
	w, path := create(t)
	var want []Config
	for i := range 400 {
		row := Config{TsNs: int64(i), Text: string(text[i : i+100_000]), Path: "x"}
		want = append(want, row)
		must(t, Append(w, row))
	}
	must(t, Append(w, Config{TsNs: 400, Text: string(text)}))
	want = append(want, Config{TsNs: 400, Text: string(text[:maxTextValue])})
	must(t, w.Close(Final{}))
	c := open(t, path)
	got, err := All[Config](c)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("read %d of %d rows, %v", len(got), len(want), err)
	}
	for _, s := range c.Segments("config") {
		if s.Size > maxEntryBytes/4 {
			t.Errorf("%s has %d bytes", s.Name, s.Size)
		}
	}
	noProblems(t, c)
}

func TestReadExchangesIsSortedAndWhole(t *testing.T) {
	w, path := create(t)
	want := traffic(250_000, 1)
	for rows := range slices.Chunk(want, 777) {
		must(t, w.AppendExchanges(rows))
	}
	must(t, w.Close(Final{}))
	c := open(t, path)
	var got []Exchange
	var cols ExchangeColumns
	for _, s := range c.Segments("exchanges") {
		must(t, s.ReadExchanges(&cols))
		if !slices.IsSorted(cols.StartNs) {
			t.Errorf("%s is not sorted", s.Name)
		}
		got = append(got, exchangeRows(&cols)...)
	}
	sortExchanges(got)
	sortExchanges(want)
	if !slices.Equal(got, want) {
		t.Errorf("%d rows read differ from %d written", len(got), len(want))
	}
	noProblems(t, c)
}

func sortExchanges(rows []Exchange) {
	slices.SortStableFunc(rows, func(a, b Exchange) int { return compareInt(a.StartNs, b.StartNs) })
}

// exchangeRows turns columns back into rows.
func exchangeRows(c *ExchangeColumns) []Exchange {
	rows := make([]Exchange, len(c.StartNs))
	for i := range rows {
		rows[i] = Exchange{SocketID: c.SocketIDs[c.Socket[i]], StartNs: c.StartNs[i], UploadNs: c.UploadNs[i],
			ServerNs: c.ServerNs[i], DownloadNs: c.DownloadNs[i], RequestBytes: c.RequestBytes[i], AnswerBytes: c.AnswerBytes[i],
			RequestMessages: c.RequestMessages[i], AnswerMessages: c.AnswerMessages[i], PID: c.PID[i], TID: c.TID[i], Flags: c.Flags[i]}
	}
	return rows
}
