//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// forkConfig configures one child of the forked server.
type forkConfig struct {
	echoConfig
	PerConnection bool `json:"per_connection"` // descriptor 3 is a connection, not the listener
}

// runFork listens in this process, while its children accept and answer on the
// descriptor they inherit; or accepts in this process and starts a child for
// each connection. Either way the owner of the listener never answers.
func runFork(ctx context.Context, out io.Writer, args []string) error {
	flags := newFlags("fork")
	config := forkConfig{echoConfig: echoConfig{RequestSize: 100, ResponseSize: 100, Server: "fork-worker"}}
	children := flags.Int("children", 2, "processes that accept, where they do")
	flags.BoolVar(&config.PerConnection, "per-connection", false, "accept in the parent, start a child for each connection")
	flags.IntVar(&config.Connections, "connections", 4, "connections at a time")
	flags.IntVar(&config.Requests, "requests", 200, "requests in all")
	flags.DurationVar(&config.Sleep, "sleep", 0, "of a child before each answer")
	if err := errors.Join(flags.parse(args), flags.atLeast("children", *children, 1),
		flags.atLeast("connections", config.Connections, 1)); err != nil {
		return err
	}
	truth, err := playFork(ctx, config, *children, flags.limit)
	if err != nil {
		return err
	}
	return flags.finish(out, truth)
}

func playFork(ctx context.Context, config forkConfig, children int, limit time.Duration) (*Truth, error) {
	crew, err := newCrew(limit)
	if err != nil {
		return nil, err
	}
	defer crew.close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	if err := listener.(*net.TCPListener).SetDeadline(time.Now().Add(limit)); err != nil {
		return nil, err
	}
	config.Address = listener.Addr().String()
	truth := &Truth{Load: "fork", StartUnixNs: time.Now().UnixNano(), Processes: []Process{{Name: exeName(), PID: os.Getpid()}}}
	var workers []*child
	if !config.PerConnection {
		if workers, err = crew.prefork(listener, config, children); err != nil {
			return nil, err
		}
	}
	asking, err := crew.start("echo-client", "echo-client", config.echoConfig)
	if err != nil {
		return nil, err
	}
	if config.PerConnection {
		if workers, err = crew.forkEach(listener, config); err != nil {
			return nil, err
		}
	}
	part, err := asking.wait(ctx)
	if err != nil {
		return nil, err
	}
	truth.add(part)
	for _, worker := range workers {
		part, err := worker.finish()
		if err != nil {
			return nil, err
		}
		truth.add(part)
	}
	truth.EndUnixNs = time.Now().UnixNano()
	return truth, nil
}

// prefork starts children that share the listener.
func (c *crew) prefork(listener net.Listener, config forkConfig, n int) ([]*child, error) {
	file, err := sharedFile(listener.(*net.TCPListener))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var workers []*child
	for range n {
		worker, _, err := c.serve("fork-worker", "fork-worker", config, file)
		if err != nil {
			return nil, err
		}
		workers = append(workers, worker)
	}
	return workers, nil
}

// sharedFile gives another descriptor of the listener. The one of its method
// File would make all of them block each time that a child is started, and a
// child that blocks in accept cannot be told to end.
func sharedFile(listener *net.TCPListener) (*os.File, error) {
	raw, err := listener.SyscallConn()
	if err != nil {
		return nil, err
	}
	var file *os.File
	controlled := raw.Control(func(fd uintptr) {
		var copied int
		if copied, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0); err == nil {
			file = os.NewFile(uintptr(copied), "listener")
		}
	})
	return file, errors.Join(err, controlled)
}

// forkEach accepts each of the client's connections and starts a child for it.
func (c *crew) forkEach(listener net.Listener, config forkConfig) ([]*child, error) {
	var workers []*child
	for range config.Connections {
		conn, err := listener.Accept()
		if err != nil {
			return nil, err
		}
		file, err := conn.(*net.TCPConn).File()
		if err != nil {
			return nil, err
		}
		worker, err := c.start("fork-worker", "fork-worker", config, file)
		if err := errors.Join(err, file.Close(), conn.Close()); err != nil {
			return nil, err
		}
		workers = append(workers, worker)
	}
	return workers, nil
}

// forkWorker is the role of a child: it serves on inherited descriptor 3.
func forkWorker(ctx context.Context, text []byte, ready func(string)) (Truth, error) {
	var config forkConfig
	if err := json.Unmarshal(text, &config); err != nil {
		return Truth{}, err
	}
	var meter meter
	inherited := os.NewFile(3, "inherited")
	if inherited == nil {
		return Truth{}, errors.New("descriptor 3 was not inherited")
	}
	defer inherited.Close()
	var err error
	if config.PerConnection {
		err = serveInherited(inherited, &meter, config.answer)
	} else {
		var listener net.Listener
		if listener, err = net.FileListener(inherited); err == nil {
			ready(config.Address)
			err = acceptAll(ctx, meteredListener{listener, &meter}, config.answer)
		}
	}
	if err != nil {
		return Truth{}, fmt.Errorf("serve on descriptor 3: %w", err)
	}
	return Truth{Services: []Service{meter.service(config.Server, config.Address)}}, nil
}

// serveInherited serves one connection that the parent accepted.
func serveInherited(file *os.File, meter *meter, serve func(net.Conn)) error {
	plain, err := net.FileConn(file)
	if err != nil {
		return err
	}
	if err := file.Close(); err != nil { // or the connection would stay open
		return err
	}
	conn := meter.wrap(plain, true)
	defer conn.Close()
	serve(conn)
	return nil
}
