package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// A closed pipe then is a write error, for run to end quietly on, and not
	// the end of the process in the middle of a recording.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup wants to outlive the terminal
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	// After the first signal the next one has its usual effect, unless a verb
	// waits for it (record does).
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Stdin, os.Stdout, os.Stderr, os.Args[1:]))
}

// run executes one command line, given without the program's name, and returns
// the exit code. It writes to nothing but stdout, stderr and the files that
// args name; cancelling ctx ends a recording in order and abandons the rest.
func run(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer, args []string) int {
	root, out := newRoot(), &standardOutput{Writer: stdout}
	root.SetIn(stdin)
	root.SetOut(out)
	root.SetErr(stderr)
	root.SetArgs(append([]string{}, args...))
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = exit(codeInterrupted, errors.New("interrupted"))
	}
	if err == nil {
		err = out.err
	}
	return conclude(stderr, cmd, err)
}
