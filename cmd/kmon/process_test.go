//go:build unix

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// What only a process of its own can show: signals, closed pipes, terminals.
// The test binary is kmon when this is set.
const actAsKmon = "KMON_TEST_MAIN"

// actingAs is what the test binary does when a variable is set.
var actingAs = map[string]func(){actAsKmon: main}

func TestMain(m *testing.M) {
	for name, act := range actingAs {
		if os.Getenv(name) != "" {
			act()
			return
		}
	}
	code := m.Run()
	if builtIn != "" {
		_ = os.RemoveAll(builtIn) // of what is in the folder of temporary files
	}
	os.Exit(code)
}

// builtIn is the folder of the programs that were built, "": none.
var builtIn string

// buildOnce builds kmon and the loads for all tests that need them as programs.
var buildOnce = sync.OnceValue(func() (err error) {
	if builtIn, err = os.MkdirTemp("", "kmon-test-"); err != nil {
		return err
	}
	build := exec.Command("go", "build", "-o", builtIn, "kmon/cmd/kmon", "kmon/cmd/workload")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w: %s", err, out)
	}
	return nil
})

// programs gives the paths of kmon and the loads, static programs.
func programs(t *testing.T) (kmon, workload string) {
	t.Helper()
	check(t, buildOnce())
	return filepath.Join(builtIn, "kmon"), filepath.Join(builtIn, "workload")
}

// kmonProcess prepares kmon as a process in the current directory.
func kmonProcess(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	check(t, err)
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), actAsKmon+"=1")
	return cmd
}

// exitCodeOf runs out cmd and returns its exit code, -1 if a signal ended it.
func exitCodeOf(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode()
}

// kmon print … | head: quiet, and no complaint of a broken pipe.
func TestClosedPipe(t *testing.T) {
	t.Chdir(t.TempDir())
	writeCapture(t, "many.kmon", sample{exchanges: 20_000}) // more than a pipe and a buffer hold
	cmd := kmonProcess(t, "print", "many.kmon", "exchanges")
	stdout, err := cmd.StdoutPipe()
	check(t, err)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	check(t, cmd.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "socket_id=1 ") {
		t.Errorf("first line: got %q, %v", line, err)
	}
	check(t, stdout.Close())
	if code := exitCodeOf(t, cmd); code != codeOK || stderr.Len() > 0 {
		t.Errorf("got exit code %d and stderr %q, want 0 and nothing", code, stderr.String())
	}
}

// An interrupt in the middle of a report leaves neither it nor a part of it.
func TestInterruptedReport(t *testing.T) {
	t.Chdir(t.TempDir())
	writeCapture(t, "many.kmon", sample{exchanges: 20_000})
	check(t, syscall.Mkfifo("slow.txt", 0o600)) // nobody reads: kmon waits in its output
	cmd := kmonProcess(t, "print", "many.kmon", "exchanges", "-o", "slow.txt")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	check(t, cmd.Start())
	reader, err := os.OpenFile("slow.txt", os.O_RDONLY, 0)
	check(t, err)
	defer reader.Close()
	_, err = io.ReadFull(reader, make([]byte, 1))
	check(t, err)
	check(t, cmd.Process.Signal(os.Interrupt))
	// Read on so slowly that it is cancelled long before all is read.
	for err == nil {
		_, err = reader.Read(make([]byte, 4096))
		time.Sleep(5 * time.Millisecond)
	}
	if !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	if code := exitCodeOf(t, cmd); code != codeInterrupted || stderr.String() != "kmon: interrupted\n" {
		t.Errorf("got exit code %d and stderr %q, want %d and that it was interrupted", code, stderr.String(), codeInterrupted)
	}
}
