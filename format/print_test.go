package format

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestPrint(t *testing.T) {
	cases := []struct {
		name  string
		table string
		o     PrintOptions
		want  string
	}{
		{"text of one table", "procs", PrintOptions{}, "" +
			`ts_ns=5000050000 event=exec pid=300 parent_pid=1 start_ns=4900000000 comm=client exe=/usr/bin/client cmdline="client --to \"10.0.0.1\" \ufffd" cgroup_id=77 pidns_pid=300` + "\n" +
			"ts_ns=5005000000 event=exit pid=300 parent_pid=1 start_ns=4900000000 comm=client cgroup_id=77 pidns_pid=300 exit_code=256\n"},
		{"flags as words", "exchanges", PrintOptions{Limit: 2, Format: PrintText}, "" +
			"socket_id=101 start_ns=5001000000 server_ns=21000 request_bytes=120 answer_bytes=5000 request_messages=1 answer_messages=1 pid=200 tid=200\n" +
			"socket_id=102 start_ns=5001000100 server_ns=45000 request_bytes=120 answer_bytes=5000 request_messages=1 answer_messages=1 pid=300 tid=301 flags=client\n"},
		{"ndjson", "config", PrintOptions{Format: PrintNDJSON}, `{"ts_ns":5000000000,"version":1,"path":"/etc/kmon.yaml","text":"targets:\n  - service: shop/*\n","error":""}` + "\n"},
		{"csv", "interfaces", PrintOptions{Format: PrintCSV}, "" +
			"ts_ns,netns_id,index,name,addr,mtu,speed_mbps\n" +
			"5000000000,4026531840,2,eth0,10.0.0.1/24,1500,10000\n" +
			"5000000000,4026531840,2,eth0,fd00::1/64,1500,10000\n"},
		{"table without rows", "planets", PrintOptions{}, ""},
	}
	c := open(t, "testdata/v1.kmon")
	for _, k := range cases {
		t.Run(k.name, func(t *testing.T) {
			var out bytes.Buffer
			err := Print(&out, c, k.table, k.o)
			if k.table == "planets" {
				if err == nil || !strings.Contains(err.Error(), "it has exchanges, sockets") {
					t.Errorf("error %v does not name the tables", err)
				}
				return
			}
			must(t, err)
			if out.String() != k.want {
				t.Errorf("got\n%s\nwant\n%s", out.String(), k.want)
			}
		})
	}
	if err := Print(&bytes.Buffer{}, c, "", PrintOptions{Format: PrintCSV}); err == nil {
		t.Error("csv of all tables at once is not refused")
	}
	if err := Print(&bytes.Buffer{}, c, "marks", PrintOptions{Format: "xml"}); err == nil {
		t.Error("an unknown format is not refused")
	}
	if err := Print(failingWriter{}, c, "", PrintOptions{}); !errors.Is(err, errFull) {
		t.Errorf("a full disk gives %v", err)
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errFull }

func TestReadTextNamesTheLine(t *testing.T) {
	head := textHeader + "\nmanifest {}\n"
	cases := []struct{ name, text, want string }{
		{"no header", "x\n", "line 1: want"},
		{"empty", "", "without a manifest"},
		{"no manifest", textHeader + "\ntable marks ts_ns\n", "line 2: the manifest comes first"},
		{"two manifests", head + "manifest {}\n", "line 3: a second manifest"},
		{"unknown member", textHeader + "\nmanifest {\"color\":1}\n", `line 2: json: unknown field "color"`},
		{"unknown table", head + "table planets\n", `no table is called "planets"`},
		{"unknown column", head + "table marks color\n", `no column "color"`},
		{"row without table", head + "1 2\n", "before the first table"},
		{"too few values", head + "table marks ts_ns kind\n1\n", "want 2 values"},
		{"too many values", head + "table marks ts_ns kind\n1 a b\n", "want 2 values"},
		{"no number", head + "table marks ts_ns\nx\n", "line 4: column ts_ns"},
		{"too large", head + "table procs pid\n9999999999\n", "does not fit"},
		{"unknown word", head + "table sockets event\nexploded\n", "neither a known word"},
		{"open quote", head + "table marks kind\n\"x\n", "invalid syntax"},
		{"after final", head + "final {}\ntable marks ts_ns\n", "nothing comes after final"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := ReadText(strings.NewReader(c.text), t.TempDir()+"/x.kmon")
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestVerifyFindsBrokenRules(t *testing.T) {
	const head = textHeader + "\n" + `manifest {"clock":{"monotonic_ns":100000000000}}` + "\n"
	const final = `final {"end_ns":200000000000}` + "\n"
	const socket = "table sockets ts_ns socket_id event\n100000000000 1 open\n"
	cases := []struct{ name, text, want string }{
		{"sound", head + socket + "table exchanges socket_id start_ns\n1 100000000000\n" + final, ""},
		{"unknown socket", head + socket + "table exchanges socket_id start_ns\n2 100000000000\n" + final, "1 exchanges name a socket that has no row"},
		{"unknown socket after a loss", head + socket + "table exchanges socket_id start_ns\n2 100000000000\n" +
			"table losses start_ns end_ns table cause count\n100000000000 100000000001 sockets ring-full 1\n" + final, ""},
		{"negative duration", head + socket + "table exchanges socket_id start_ns server_ns\n1 100000000000 -1\n" + final, "negative"},
		{"before the recording", head + socket + "table exchanges socket_id start_ns\n1 90000000000\n" + final, "outside the recording"},
		{"after the recording", head + socket + "table exchanges socket_id start_ns download_ns\n1 199000000000 9000000000\n" + final, "outside the recording"},
		{"unknown flag", head + socket + "table exchanges socket_id start_ns flags\n1 100000000000 1073741824\n" + final, "flags this kmon does not know"},
		{"unknown event", head + "table sockets ts_ns socket_id event\n100000000000 1 77\n" + final, "event, role or cause"},
		{"backward loss", head + "table losses start_ns end_ns cause count\n5 4 decode 1\n" + final, "end before they start"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := t.TempDir() + "/x.kmon"
			must(t, ReadText(strings.NewReader(c.text), path))
			r, err := Verify(t.Context(), path)
			must(t, err)
			if r.Damaged() != (c.want != "") {
				t.Errorf("damaged: %v, problems %v", r.Damaged(), r.Problems)
			}
			for _, p := range r.Problems {
				if c.want != "" && strings.Contains(p.String(), c.want) {
					return
				}
			}
			if c.want != "" {
				t.Errorf("problems %v, want %q", r.Problems, c.want)
			}
		})
	}
}
