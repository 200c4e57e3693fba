package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// openTerminal gives the two ends of a pseudo-terminal of 100 columns.
func openTerminal(t *testing.T) (controller, terminal *os.File) {
	t.Helper()
	controller, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	fd := int(controller.Fd())
	check(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	check(t, err)
	check(t, unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: 100, Row: 30}))
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	check(t, err)
	t.Cleanup(func() { terminal.Close(); controller.Close() })
	return controller, terminal
}

// startOnTerminal starts kmon with a terminal as output, whose other end it gives.
func startOnTerminal(t *testing.T, env string, args ...string) (*exec.Cmd, *os.File) {
	t.Helper()
	controller, terminal := openTerminal(t)
	cmd := kmonProcess(t, args...)
	cmd.Env = append(cmd.Env, "TERM=xterm", env)
	cmd.Stdout, cmd.Stderr = terminal, terminal
	check(t, cmd.Start())
	check(t, terminal.Close())
	return cmd, controller
}

// readUntil reads what a terminal shows until a pattern is in it.
func readUntil(t *testing.T, controller *os.File, pattern *regexp.Regexp) *bytes.Buffer {
	t.Helper()
	shown := new(bytes.Buffer)
	for buffer := make([]byte, 1000); !pattern.Match(shown.Bytes()); {
		n, err := controller.Read(buffer)
		if err != nil {
			t.Fatalf("%v after %q, want %s in it", err, shown, pattern)
		}
		shown.Write(buffer[:n])
	}
	return shown
}

// onTerminal runs kmon with a terminal as output and gives what it shows.
func onTerminal(t *testing.T, env string, args ...string) string {
	t.Helper()
	cmd, controller := startOnTerminal(t, env, args...)
	var shown bytes.Buffer
	_, err := shown.ReadFrom(controller) // ends with EIO when kmon has gone
	if code := exitCodeOf(t, cmd); code != codeOK {
		t.Errorf("kmon %s: got exit code %d, %v", strings.Join(args, " "), code, err)
	}
	return shown.String()
}

func TestColours(t *testing.T) {
	t.Chdir(writeSamples(t))
	const green, red = "\x1b[32m", "\x1b[31m"
	for _, c := range []struct {
		env, file string
		want      string // "": no escape code at all
	}{
		{"NO_COLOR=", "shop.kmon", green},
		{"NO_COLOR=", "lossy.kmon", red},
		{"NO_COLOR=1", "shop.kmon", ""},
		{"TERM=dumb", "shop.kmon", ""},
	} {
		got := onTerminal(t, c.env, "info", c.file)
		if c.want != "" && !strings.Contains(got, c.want) {
			t.Errorf("%s kmon info %s: got %q, want %q in it", c.env, c.file, got, c.want)
		}
		if c.want == "" && strings.Contains(got, "\x1b") {
			t.Errorf("%s kmon info %s: got an escape code in %q", c.env, c.file, got)
		}
	}
	if got := onTerminal(t, "NO_COLOR=", "info", "hostile.kmon"); strings.Contains(got, "\x1b[2J") {
		t.Errorf("a name in the capture reaches the terminal raw: %q", got)
	}
}

func TestTerminalWidth(t *testing.T) {
	_, terminal := openTerminal(t)
	if got, ok := terminalWidth(terminal); got != 100 || !ok {
		t.Errorf("got %d, %v; want 100 columns", got, ok)
	}
	if got, ok := terminalWidth(new(bytes.Buffer)); ok {
		t.Errorf("a buffer: got %d columns", got)
	}
	null, err := os.Open(os.DevNull)
	check(t, err)
	defer null.Close()
	if got, ok := terminalWidth(null); ok {
		t.Errorf("%s: got %d columns", os.DevNull, got)
	}
}

// Progress appears on a terminal once work takes long, and wipes itself.
func TestProgress(t *testing.T) {
	controller, terminal := openTerminal(t)
	stop := startProgress(terminal, working("reading", "a\x1b[2Jb"))
	shown := readUntil(t, controller, regexp.MustCompile("reading a\uFFFD\\[2Jb … [1-9][0-9]* s"))
	stop()
	stop() // twice is harmless
	check(t, terminal.Close())
	_, _ = shown.ReadFrom(controller) // ends with EIO
	if got := shown.String(); !strings.HasSuffix(got, "\r\x1b[K") {
		t.Errorf("got %q, want a wiped line at the end", got)
	}
	var silent bytes.Buffer
	startProgress(&silent, working("reading", "x"))()
	if silent.Len() > 0 {
		t.Errorf("not a terminal: got %q", silent.String())
	}
}
