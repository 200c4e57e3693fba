package probe

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
)

// modes is what the test binary is instead when a variable of that name is set.
var modes = map[string]func() error{holderMode: holdConnections, readerMode: answerReads}

func TestMain(m *testing.M) {
	for name, be := range modes {
		if os.Getenv(name) == "" {
			continue
		}
		if err := be(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// startSelf runs the test binary in a mode until the end of the test.
func startSelf(t *testing.T, mode string) (pid int, in io.WriteCloser, out io.Reader) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), mode+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err = cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(in.Close(), cmd.Wait()); err != nil {
			t.Error(err)
		}
	})
	return cmd.Process.Pid, in, out
}
