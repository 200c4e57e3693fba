package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// childVerb is the first argument of a child process; the role and its
// configuration as JSON follow.
const childVerb = "child"

// childEnv, set in a child's environment, sends a test binary to runChild.
const childEnv = "WORKLOAD_CHILD"

// A role is what a child process does. It calls ready as soon as it serves,
// works until its work is done or ctx is, and returns what it knows.
type role func(ctx context.Context, config []byte, ready func(address string)) (Truth, error)

func roles() map[string]role {
	return map[string]role{
		"shop-service": shopService, "shop-loadgen": shopLoadgen,
		"echo-server": echoServer, "echo-client": echoClient,
		"stream-server": streamServer, "stream-client": streamClient,
		"fork-worker": forkWorker, "idle-holder": idleHolder,
		"release-server": releaseServe, "release-client": releaseAsk,
		"fault-server": faultServe, "fault-client": faultAsker, "fault-burner": faultBurner,
	}
}

// message is what a child writes to its standard output, one JSON value each:
// its address when it is ready, and at the end its truth.
type message struct {
	Address string `json:"address,omitempty"`
	Truth   *Truth `json:"truth,omitempty"`
}

// runChild runs a role in this process. Standard input is a leash: its end
// means that the load is over, or that the parent died.
func runChild(in io.Reader, out io.Writer, args []string) error {
	if len(args) != 3 || roles()[args[0]] == nil {
		return fmt.Errorf("a child needs ROLE LIMIT CONFIG, got %q", args)
	}
	limit, err := time.ParseDuration(args[1])
	if err != nil {
		return err
	}
	time.AfterFunc(limit, func() {
		fmt.Fprintln(os.Stderr, "workload:", args[0], "outlived its limit of", limit)
		os.Exit(2)
	})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		io.Copy(io.Discard, in) //nolint:errcheck // any end of the leash is the end
		cancel()
	}()
	encoder := json.NewEncoder(out)
	ready := func(address string) {
		if encoder.Encode(message{Address: address}) != nil {
			cancel()
		}
	}
	truth, err := roles()[args[0]](ctx, []byte(args[2]), ready)
	if err != nil {
		return err
	}
	truth.Processes = []Process{{Name: exeName(), PID: os.Getpid()}}
	return encoder.Encode(message{Truth: &truth})
}

// exeName is the name of the running executable.
func exeName() string {
	exe, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return filepath.Base(exe)
}

// A crew is the set of processes of one load. Each runs from an executable of
// its own name, so that observers see names and not one "workload".
type crew struct {
	dir      string
	limit    time.Duration
	children []*child
	through  []string // the command line that the next children are started by
}

type child struct {
	name   string
	cmd    *exec.Cmd
	leash  io.Closer
	output *json.Decoder
}

func newCrew(limit time.Duration) (*crew, error) {
	dir, err := os.MkdirTemp("", "workload-")
	if err != nil {
		return nil, err
	}
	return &crew{dir: dir, limit: limit}, nil
}

// close ends what still runs and removes the executables.
func (c *crew) close() {
	for _, child := range c.children {
		if child.cmd.ProcessState == nil {
			child.cmd.Process.Kill() //nolint:errcheck // it may have ended meanwhile
			child.cmd.Wait()         //nolint:errcheck // killed
		}
	}
	os.RemoveAll(c.dir)
}

// start starts a process of the given name. Files reach it as descriptors 3
// and up.
func (c *crew) start(name, role string, config any, files ...*os.File) (*child, error) {
	exe, err := c.executable(name)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	args := append(slices.Clone(c.through), exe, childVerb, role, c.limit.String(), string(text))
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), childEnv+"=1")
	cmd.Stderr = os.Stderr
	cmd.ExtraFiles = files
	leash, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s (is %s on a noexec file system? set TMPDIR): %w", name, c.dir, err)
	}
	started := &child{name: name, cmd: cmd, leash: leash, output: json.NewDecoder(out)}
	c.children = append(c.children, started)
	return started, nil
}

// serve starts a process and waits for the address it serves on.
func (c *crew) serve(name, role string, config any, files ...*os.File) (*child, string, error) {
	child, err := c.start(name, role, config, files...)
	if err != nil {
		return nil, "", err
	}
	var m message
	if err := child.output.Decode(&m); err != nil {
		return nil, "", errors.Join(fmt.Errorf("%s ended before it served", name), child.cmd.Wait())
	}
	return child, m.Address, nil
}

// wait waits until the child is done by itself, or ctx is, and gives its truth.
func (c *child) wait(ctx context.Context) (Truth, error) {
	stop := context.AfterFunc(ctx, func() { c.leash.Close() }) //nolint:errcheck // the child may have ended
	defer stop()
	m := message{}
	err := c.output.Decode(&m)
	if err := errors.Join(c.cmd.Wait(), err); err != nil {
		return Truth{}, fmt.Errorf("%s: %w", c.name, err)
	}
	if m.Truth == nil {
		return Truth{}, fmt.Errorf("%s ended without its truth", c.name)
	}
	return *m.Truth, nil
}

// finish ends the child in order and gives its truth.
func (c *child) finish() (Truth, error) {
	c.leash.Close() //nolint:errcheck // a child that is gone fails in wait
	return c.wait(context.Background())
}

// executable gives a copy of this program under the given name.
func (c *crew) executable(name string) (string, error) {
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	path := filepath.Join(c.dir, name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	original := filepath.Join(c.dir, "original")
	if _, err := os.Stat(original); err != nil {
		if err := copySelf(original); err != nil {
			return "", err
		}
	}
	return path, os.Link(original, path)
}

// copySelf makes path a copy of this program. No process is forked meanwhile:
// it would hold the file open for writing, and until it has executed its own
// program nobody can execute the copy (ETXTBSY, go.dev/issue/22315).
func copySelf(path string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	from, err := os.Open(self)
	if err != nil {
		return err
	}
	defer from.Close()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	to, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o700)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	return errors.Join(err, to.Close())
}
