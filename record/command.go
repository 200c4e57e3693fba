package record

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// commandGrace is how long a command may take to end after SIGTERM.
const commandGrace = 5 * time.Second

// runCommand starts the command, if there is one; its exit code arrives on
// r.ended.
func (r *recorder) runCommand() error {
	r.ended = make(chan int, 1)
	if len(r.options.Command) == 0 {
		return nil
	}
	cmd := exec.Command(r.options.Command[0], r.options.Command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("run %s: %w", r.options.Command[0], err)
	}
	r.command = cmd
	go func() { r.ended <- exitCode(cmd.Wait()) }()
	return nil
}

// exitCode is what a shell would say.
func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case !errors.As(err, &exit):
		return 1
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return exit.ExitCode()
}

// stopCommand ends a command that outlives the recording.
func (r *recorder) stopCommand() {
	if r.command == nil {
		return
	}
	// The command may have ended by itself in this moment.
	_ = r.command.Process.Signal(syscall.SIGTERM)
	select {
	case r.exitCode = <-r.ended:
	case <-time.After(commandGrace):
		_ = r.command.Process.Kill()
		r.exitCode = <-r.ended
	}
	r.command = nil
}
