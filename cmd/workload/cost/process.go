package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// process is a program in the background whose output goes to a file.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when it has ended
	err  error         // how it ended; read after done
}

// start starts a program.
func start(log, name string, args ...string) (*process, error) {
	output, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer output.Close()
	p := &process{name: name, cmd: exec.Command(name, args...), log: log, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = output, output
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// ended says whether the program has ended.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// output gives what the program has written so far.
func (p *process) output() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text))
}

// stop interrupts the program and waits for its end; it kills it after ten
// seconds, which is an error.
func (p *process) stop() error {
	if p.ended() {
		return p.err
	}
	p.cmd.Process.Signal(os.Interrupt) //nolint:errcheck // it may have ended meanwhile
	select {
	case <-p.done:
		return p.err
	case <-time.After(10 * time.Second):
		p.cmd.Process.Kill() //nolint:errcheck // as above
		<-p.done
		return errors.Join(fmt.Errorf("%s did not end 10 s after its interrupt and was killed", p.name), p.err)
	}
}

// await waits until ready says so.
func (p *process) await(ready func() bool) error {
	for deadline := time.Now().Add(10 * time.Second); !ready(); time.Sleep(10 * time.Millisecond) {
		if p.ended() || time.Now().After(deadline) {
			return fmt.Errorf("%s is not ready after 10 s, or ended; it says %q", p.name, p.output())
		}
	}
	return nil
}
