package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"kmon/record"
)

// The machines are those of record's golden files: what is said of them here is
// held against a text of the same name.
func TestCheckupText(t *testing.T) {
	files, err := filepath.Glob("../../record/testdata/doctor/*.json")
	if err != nil || len(files) < 5 {
		t.Fatalf("checkups: got %d, %v; want some", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		var got bytes.Buffer
		check(t, showCheckup(&got, readCheckup(t, file), false))
		golden := filepath.Join("testdata", "doctor", name+".txt")
		if *update {
			check(t, os.WriteFile(golden, got.Bytes(), 0o644))
		}
		want, err := os.ReadFile(golden)
		check(t, err)
		if got.String() != string(want) {
			t.Errorf("%s: got:\n%s\nwant:\n%s", name, got.String(), want)
		}
	}
}

func readCheckup(t *testing.T, file string) record.Checkup {
	t.Helper()
	text, err := os.ReadFile(file)
	check(t, err)
	var c record.Checkup
	check(t, json.Unmarshal(text, &c))
	return c
}

// Colours come in columns of one width, and nothing of a node reaches the
// terminal raw.
func TestCheckupColours(t *testing.T) {
	c := readCheckup(t, "../../record/testdata/doctor/6.1-without-fexit.json")
	c.Checks[0].Found = "6.1\x1b[2J"
	var plain, coloured bytes.Buffer
	check(t, showCheckup(&plain, c, false))
	check(t, showCheckup(&coloured, c, true))
	if strings.Contains(plain.String(), "\x1b") || strings.Contains(coloured.String(), "\x1b[2J") {
		t.Errorf("an escape code in %q or that of a file in %q", plain.String(), coloured.String())
	}
	for _, want := range []string{"  \x1b[31mmissing\x1b[0m  ", "  \x1b[32mloaded \x1b[0m  ", "  \x1b[32mok   \x1b[0m  "} {
		if !strings.Contains(coloured.String(), want) {
			t.Errorf("no %q in %q", want, coloured.String())
		}
	}
	without := strings.NewReplacer("\x1b[31m", "", "\x1b[32m", "", "\x1b[0m", "").Replace(coloured.String())
	if without != plain.String() {
		t.Errorf("got %q without colours, want %q", without, plain.String())
	}
}

// anybody prepares a kmon that every user can run, in a directory that every
// user can write.
func anybody(t *testing.T) func(caps ...uintptr) func(args ...string) (stdout string, code int) {
	t.Helper()
	dir, err := os.MkdirTemp("", "kmon-doctor-")
	check(t, err)
	t.Cleanup(func() { check(t, os.RemoveAll(dir)) })
	check(t, os.Chmod(dir, 0o777))
	self, err := os.Executable()
	check(t, err)
	program := filepath.Join(dir, "kmon")
	from, err := os.Open(self)
	check(t, err)
	defer from.Close()
	to, err := os.OpenFile(program, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	check(t, err)
	_, err = io.Copy(to, from)
	check(t, err)
	check(t, to.Close())
	return func(caps ...uintptr) func(args ...string) (string, int) {
		return func(args ...string) (string, int) {
			cmd := exec.Command(program, args...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), actAsKmon+"=1")
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, AmbientCaps: caps}
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			check(t, cmd.Start())
			code := exitCodeOf(t, cmd)
			return stdout.String() + stderr.String(), code
		}
	}
}

func statesOf(c record.Checkup) map[record.State]int {
	n := map[record.State]int{}
	for _, of := range c.Collectors {
		for _, in := range of.Indicators {
			n[in.State]++
		}
	}
	return n
}

// Without privileges everything is planned, with two capabilities it is loaded
// and can be recorded.
func TestDoctorAndPrivileges(t *testing.T) {
	need(t)
	as := anybody(t)
	examine := func(code int, caps ...uintptr) record.Checkup {
		text, got := as(caps...)("doctor", "-o", "json")
		var c record.Checkup
		if err := json.Unmarshal([]byte(text), &c); err != nil || got != code {
			t.Fatalf("exit code %d, want %d: %v in %q", got, code, err, text)
		}
		return c
	}
	user := examine(codeError)
	if n := statesOf(user); user.Verdict != record.VerdictNone || user.Allowed || n[record.StateLoaded] > 0 || n[record.StatePlanned] == 0 || len(user.Unseen) == 0 {
		t.Errorf("a user: %+v", user)
	}
	if want := "run as root, or give kmon CAP_BPF and CAP_PERFMON"; len(user.Mends) == 0 || user.Mends[0] != want {
		t.Errorf("a user is to %q, want %q first", user.Mends, want)
	}
	enough := []uintptr{unix.CAP_BPF, unix.CAP_PERFMON, unix.CAP_SYSLOG}
	able := examine(codeOK, enough...)
	if n := statesOf(able); !able.Allowed || n[record.StatePlanned] > 0 || n[record.StateLoaded] != statesOf(user)[record.StatePlanned] {
		t.Errorf("with capabilities: %+v", able)
	}
	if text, code := as(enough...)("record", "-d", "1s", "-o", "x.kmon"); code != codeOK {
		t.Errorf("record with the same: exit code %d, %q", code, text)
	}
}
