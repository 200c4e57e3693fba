package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kmon/analyze"
	"kmon/format"
)

// realCaptures are recordings of real machines: the shop, faults that kmon finds,
// and one with rows in every table.
var realCaptures = []string{
	"../../testdata/captures/v1/shop.kmon", "testdata/whole/whole.kmon",
	"../workload/faults/testdata/loop.kmon", "../workload/faults/testdata/disk.kmon",
	"../workload/faults/testdata/path.kmon", "../workload/faults/testdata/node.kmon",
}

// analysisOf analyzes one capture; what says which file it was is left out.
func analysisOf(t *testing.T, path string, o analyze.Options) map[string]any {
	t.Helper()
	a, err := analyze.Run(context.Background(), []string{path}, o)
	check(t, err)
	text, err := json.Marshal(a)
	check(t, err)
	text = bytes.ReplaceAll(text, []byte(filepath.Base(path)), []byte("the capture"))
	var value map[string]any
	check(t, json.Unmarshal(text, &value))
	capture := value["captures"].([]any)[0].(map[string]any)
	for _, member := range []string{"sha256", "redacted", "cut_from"} {
		delete(capture, member)
	}
	delete(value, "filter")
	return value
}

// originals gives by pseudonym what it stands for, by holding the rows of a capture
// against those of its redacted copy.
func originals(t *testing.T, src, dst string) map[string]string {
	t.Helper()
	names := map[string]string{}
	note := func(original, pseudonym string) {
		if known, ok := names[pseudonym]; ok && known != original {
			t.Errorf("%q stands for %q and for %q", pseudonym, known, original)
		}
		names[pseudonym] = original
	}
	before, after := rowsAsJSON(t, src), rowsAsJSON(t, dst)
	if len(before) != len(after) {
		t.Fatalf("%d rows become %d", len(before), len(after))
	}
	for i, row := range before {
		for column, value := range row {
			original, isText := value.(string)
			if !isText {
				if !reflect.DeepEqual(value, after[i][column]) {
					t.Fatalf("%s of row %d is %v, was %v", column, i, after[i][column], value)
				}
				continue
			}
			pseudonym := after[i][column].(string)
			if original == pseudonym {
				continue
			}
			note(original, pseudonym)
			parts, stand := strings.Split(original, "/"), strings.Split(pseudonym, "/")
			for k := range parts {
				if len(parts) == len(stand) && parts[k] != stand[k] {
					note(parts[k], stand[k])
				}
			}
		}
	}
	return names
}

func rowsAsJSON(t *testing.T, path string) (rows []map[string]any) {
	t.Helper()
	check(t, withCapture(path, func(c *format.Capture) error {
		var out bytes.Buffer
		if err := format.Print(&out, c, "", format.PrintOptions{Format: format.PrintNDJSON}); err != nil {
			return err
		}
		for line := range bytes.Lines(out.Bytes()) {
			var row map[string]any
			check(t, json.Unmarshal(line, &row))
			rows = append(rows, row)
		}
		return nil
	}))
	return rows
}

// sorted brings a JSON value into an order that does not depend on names, and
// leaves out which of many functions and paths are listed: among equals names
// decide that.
func sorted(value any, text func(string) string) any {
	switch v := value.(type) {
	case string:
		return text(v)
	case map[string]any:
		to := map[string]any{}
		for name, member := range v {
			if name != "functions" && name != "paths" {
				to[text(name)] = sorted(member, text)
			}
		}
		return to
	case []any:
		type item struct {
			key   string
			value any
		}
		var items []item
		for _, one := range v {
			one = sorted(one, text)
			key, _ := json.Marshal(one) // it came from JSON
			items = append(items, item{string(key), one})
		}
		slices.SortStableFunc(items, func(a, b item) int { return strings.Compare(a.key, b.key) })
		list := []any{}
		for _, i := range items {
			list = append(list, i.value)
		}
		return list
	}
	return value
}

// differences lists where two JSON values differ.
func differences(place string, a, b any) []string {
	switch x := a.(type) {
	case map[string]any:
		y, _ := b.(map[string]any)
		var list []string
		for name := range x {
			list = append(list, differences(place+"."+name, x[name], y[name])...)
		}
		for name := range y {
			if _, both := x[name]; !both {
				list = append(list, place+"."+name+" is new")
			}
		}
		return list
	case []any:
		y, _ := b.([]any)
		if len(x) != len(y) {
			return []string{fmt.Sprintf("%s: %d become %d", place, len(x), len(y))}
		}
		var list []string
		for i := range x {
			list = append(list, differences(fmt.Sprintf("%s[%d]", place, i), x[i], y[i])...)
		}
		return list
	}
	if !reflect.DeepEqual(a, b) {
		return []string{fmt.Sprintf("%s: %.200v becomes %.200v", place, a, b)}
	}
	return nil
}

func same(t *testing.T, want, got any) {
	t.Helper()
	list := differences("", want, got)
	for _, d := range list[:min(len(list), 20)] {
		t.Error(d)
	}
}

// TestRedactedSaysTheSame holds that analysis of a redacted capture says what that
// of the original does, under other names.
func TestRedactedSaysTheSame(t *testing.T) {
	for _, src := range realCaptures {
		t.Run(filepath.Base(src), func(t *testing.T) {
			t.Parallel()
			dst := filepath.Join(t.TempDir(), "redacted.kmon")
			if err := withCapture(src, func(c *format.Capture) error {
				if _, err := format.Redact(t.Context(), dst, c, format.RedactOptions{NoSync: true}); err != nil {
					return err
				}
				return withCapture(dst, func(r *format.Capture) error {
					if c.Manifest.Host.Name == r.Manifest.Host.Name {
						t.Error("the host keeps its name")
					}
					return nil
				})
			}); err != nil {
				t.Fatal(err)
			}
			names := originals(t, src, dst)
			want, got := analysisOf(t, src, analyze.Options{}), analysisOf(t, dst, analyze.Options{})
			host := func(a map[string]any) string { return a["captures"].([]any)[0].(map[string]any)["host"].(string) }
			names[host(got)] = host(want)
			same(t, sorted(want, func(s string) string { return s }), sorted(got, renaming(names)))
		})
	}
}

// renaming replaces names in texts, the longest first.
func renaming(names map[string]string) func(string) string {
	var patterns []string
	for name := range names {
		patterns = append(patterns, regexp.QuoteMeta(name))
	}
	slices.SortFunc(patterns, func(a, b string) int { return len(b) - len(a) })
	if len(patterns) == 0 {
		return func(s string) string { return s }
	}
	all := regexp.MustCompile(strings.Join(patterns, "|"))
	return func(s string) string {
		return all.ReplaceAllStringFunc(s, func(name string) string { return names[name] })
	}
}

// TestCutSaysTheSame holds that analysis of a cut says what that of the whole does
// of the time, of what was lost as well.
func TestCutSaysTheSame(t *testing.T) {
	for _, src := range []string{realCaptures[0], realCaptures[2], realCaptures[3], writeLatecomers(t)} {
		for _, span := range [][2]string{{"7.3s", "17.1s"}, {"", "-4s"}} {
			t.Run(filepath.Base(src)+" "+span[0]+" to "+span[1], func(t *testing.T) {
				t.Parallel()
				dst := filepath.Join(t.TempDir(), "cut.kmon")
				check(t, withCapture(src, func(c *format.Capture) error {
					o, err := (cutFlags{since: span[0], until: span[1]}).times(c)
					check(t, err)
					o.NoSync = true
					_, err = format.Cut(t.Context(), dst, c, o)
					return err
				}))
				want := analysisOf(t, src, analyze.Options{Since: span[0], Until: span[1]})
				got := analysisOf(t, dst, analyze.Options{})
				for _, a := range []map[string]any{want, got} { // what the whole file had and cost
					capture := a["captures"].([]any)[0].(map[string]any)
					for _, member := range []string{"clock", "duration_ns", "recorder", "rows", "start_ns", "stop_reason"} {
						delete(capture, member)
					}
				}
				same(t, want, got)
			})
		}
	}
}

// writeLatecomers writes a capture of processes that began late, each with its
// connection: before the recorder listed the connections, after the time that is cut
// out but within the last interval of it, and much later, whose connection loses
// packets. Rows are lost before, in and after that time, and at the end.
func writeLatecomers(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "latecomers.kmon")
	w, err := format.Create(path, format.Manifest{
		Host:  format.Host{Name: "node-a", CPUs: 2},
		Clock: format.ClockPair{MonotonicNs: sampleNs, RealtimeNs: sampleUTC},
		Collectors: []format.Collector{
			{Name: "tcp", Variants: map[string]string{"send": "tp_btf:sock_send_length"}},
			{Name: "drop", Variants: map[string]string{"retransmit": "tp_btf:tcp_retransmit_skb"}},
			{Name: "cpu", Variants: map[string]string{"intervals": "iter:task"}}},
	}, format.WriterOptions{NoSync: true})
	check(t, err)
	server := int32(200)
	check(t, format.Append(w, format.Process{TsNs: sampleNs, PID: server, StartNs: sampleNs - second, Comm: "shop", Exe: "/usr/bin/shop", Service: "shop", ServiceSource: "executable"}))
	for i, late := range []struct {
		name        string
		at          int64 // when it began
		event       format.SocketEvent
		retransmits bool
	}{
		{"early", second / 2, format.SocketExisting, false},
		{"fringe", 17*second + second/2, format.SocketOpen, false},
		{"last", 22 * second, format.SocketOpen, true},
	} {
		pid, began := int32(300+i), sampleNs+late.at
		check(t, format.Append(w, format.Process{TsNs: began + second/10, PID: pid, StartNs: began, Comm: late.name, Exe: "/usr/bin/" + late.name, Service: late.name, ServiceSource: "executable"}))
		for end, role := range []format.Role{format.RoleClient, format.RoleServer} {
			s := format.Socket{TsNs: began + second/5, SocketID: int64(10*i + end + 1), Event: late.event, Role: role, RoleSource: format.RoleSourceConnect, Family: 4, NetnsID: 1,
				LocalAddr: "127.0.0.1", LocalPort: 40000 + pid, RemoteAddr: "127.0.0.1", RemotePort: 8080, PID: pid}
			if role == format.RoleServer {
				s.LocalPort, s.RemotePort, s.PID, s.RoleSource = s.RemotePort, s.LocalPort, server, format.RoleSourceAccept
			}
			check(t, format.Append(w, s))
		}
		for at := began + second; at < sampleNs+23*second; at += second / 20 {
			check(t, format.Append(w, exchange(int64(10*i+1), at, 2_200_000, pid, format.ExchangeClient), exchange(int64(10*i+2), at+100_000, 2_000_000, server, 0)))
		}
		if late.retransmits {
			check(t, format.Append(w, format.NetEvent{TsNs: began + second, LastNs: began + second, Kind: format.NetRetransmit, SocketID: int64(10*i + 1), NetnsID: 1, Family: 4, Protocol: 6,
				LocalAddr: "127.0.0.1", LocalPort: 40000 + pid, RemoteAddr: "127.0.0.1", RemotePort: 8080, PID: pid, Count: 3}))
		}
		for at := sampleNs + late.at/second*second; at < sampleNs+24*second; at += second {
			check(t, format.Append(w, format.Interval{StartNs: at, EndNs: at + second, PID: pid, TID: pid, Comm: late.name, OnCPUNs: second / 10, Timeslices: 100, Voluntary: 100}))
		}
	}
	for _, l := range []struct {
		table    string
		from, to int64 // s; -1000: not known
		cause    format.LossCause
		count    int64
	}{
		{"exchanges", 1, 2, format.LossRingFull, 500}, {"exchanges", 6, 9, format.LossRingFull, 40}, {"exchanges", 16, 22, format.LossRingFull, 70},
		{"intervals", 10, 11, format.LossStateFull, 3}, {"netevents", 21, 24, format.LossStateFull, 9}, {"sockets", -1000, 12, format.LossStateFull, 30},
		{"wakes", 5, 8, format.LossShed, format.LossUncounted}, {"exchanges", 15, 18, format.LossShed, 60}, {"oncpu", 1, 2, format.LossShed, format.LossUncounted},
	} {
		row := format.Loss{StartNs: sampleNs + l.from*second, EndNs: sampleNs + l.to*second, Collector: "tcp", Table: l.table, Cause: l.cause, Count: l.count}
		check(t, format.Append(w, row))
	}
	check(t, format.Append(w, format.Self{TsNs: sampleNs + 19*second, RealtimeNs: sampleUTC + 19*second}))
	check(t, w.Close(format.Final{EndNs: sampleNs + 24*second, EndUnixNs: sampleUTC + 24*second, StopReason: "duration",
		Losses: map[string]int64{"exchanges/write": 50}}))
	return path
}

// TestReadmeShares runs what the README says of sharing a capture.
func TestReadmeShares(t *testing.T) {
	_, section, found := strings.Cut(string(read(t, "../../README.md")), "### Share a capture")
	_, block, fenced := strings.Cut(section, "```\n")
	block, _, closed := strings.Cut(block, "```")
	if !found || !fenced || !closed {
		t.Fatal("the README has no commands for sharing a capture")
	}
	t.Chdir(writeSamples(t))
	for line := range strings.Lines(block) {
		command, _, _ := strings.Cut(line, "#")
		runExample(t, strings.TrimSpace(command))
	}
	if stdout, _, _ := kmon("analyze", "public.kmon"); strings.Contains(stdout, "cart") || !strings.Contains(stdout, "redacted") {
		t.Errorf("what is shared reads:\n%s", stdout)
	}
}

// An interrupt in the middle of a copy ends it and leaves nothing of it; it went on
// to the end, and the second one left a part.
func TestInterruptedCopies(t *testing.T) {
	t.Chdir(writeSamples(t))
	check(t, os.Mkdir("copies", 0o755))
	files := func() string {
		list, err := filepath.Glob("*")
		check(t, err)
		below, err := filepath.Glob("copies/*")
		check(t, err)
		return strings.Join(append(list, below...), " ")
	}
	before := files()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, args := range []string{"redact shop.kmon -o made.kmon", "redact long-000001.kmon long-000002.kmon -o copies", "cut shop.kmon --since 1s -o made.kmon", "merge long-000001.kmon long-000002.kmon -o made.kmon", "repair shop.kmon -o made.kmon", "verify shop.kmon"} {
		var stderr bytes.Buffer
		code := run(ctx, strings.NewReader(""), io.Discard, &stderr, strings.Fields(args))
		if code != codeInterrupted || stderr.String() != "kmon: interrupted\n" {
			t.Errorf("kmon %s: exit code %d, want %d; %q", args, code, codeInterrupted, stderr.String())
		}
		if after := files(); after != before {
			t.Errorf("kmon %s left %s", args, after)
		}
	}
}
