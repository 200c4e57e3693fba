package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// echoConfig configures the echo load; server and client get the same.
type echoConfig struct {
	Connections  int           `json:"connections"`
	Requests     int           `json:"requests"` // in all
	RequestSize  int           `json:"request_size"`
	ResponseSize int           `json:"response_size"`
	Sleep        time.Duration `json:"sleep"` // of the server before it answers
	Pause        time.Duration `json:"pause"` // of the client after each answer
	Gate         string        `json:"gate"`  // folder where both ends say how far they are and wait, see pass; "": none
	Fresh        bool          `json:"fresh"`
	IPv6         bool          `json:"ipv6"`
	Mapped       bool          `json:"mapped"`
	Port         int           `json:"port"`              // that the server listens on; 0: any
	Address      string        `json:"address,omitempty"` // the server's, for the client
	Server       string        `json:"server,omitempty"`  // the server's name, for the client
}

// runEcho runs an exact number of requests of fixed sizes between one client
// and one server process.
func runEcho(ctx context.Context, out io.Writer, args []string) error {
	flags := newFlags("echo")
	var config echoConfig
	flags.IntVar(&config.Connections, "connections", 1, "connections at a time")
	flags.IntVar(&config.Requests, "requests", 1000, "requests in all")
	flags.IntVar(&config.RequestSize, "request-size", 100, "bytes of a request")
	flags.IntVar(&config.ResponseSize, "response-size", 100, "bytes of an answer")
	flags.DurationVar(&config.Sleep, "sleep", 0, "of the server before each answer")
	flags.DurationVar(&config.Pause, "pause", 0, "of the client after each answer")
	flags.StringVar(&config.Gate, "gate", "", "`FOLDER` in which each connection makes a file connected-PORT and asks once there is a file ask, then asked-PORT and answers once there is a file answer")
	flags.BoolVar(&config.Fresh, "fresh", false, "a new connection for each request")
	flags.BoolVar(&config.IPv6, "ipv6", false, "over ::1")
	flags.BoolVar(&config.Mapped, "mapped", false, "the server's sockets are IPv6 with IPv4-mapped addresses (Linux)")
	flags.IntVar(&config.Port, "port", 0, "that the server listens on; 0: any that is free")
	if err := errors.Join(flags.parse(args), flags.atLeast("connections", config.Connections, 1),
		flags.atLeast("request-size", config.RequestSize, 1), flags.atLeast("response-size", config.ResponseSize, 1)); err != nil {
		return err
	}
	if config.Mapped && (config.IPv6 || config.Port != 0) {
		return errors.New("workload echo: --mapped goes neither with --ipv6 nor with --port")
	}
	truth, err := playPair(ctx, "echo", flags.limit, config, func(address string) any {
		config.Address, config.Server = address, "echo-server"
		return config
	})
	if err != nil {
		return err
	}
	return flags.finish(out, truth)
}

// playPair runs NAME-server and NAME-client as two processes until the client
// is done. The client's configuration needs the server's address.
func playPair(ctx context.Context, name string, limit time.Duration, server any, client func(address string) any) (*Truth, error) {
	crew, err := newCrew(limit)
	if err != nil {
		return nil, err
	}
	defer crew.close()
	serving, address, err := crew.serve(name+"-server", name+"-server", server)
	if err != nil {
		return nil, err
	}
	truth := &Truth{Load: name, StartUnixNs: time.Now().UnixNano()}
	asking, err := crew.start(name+"-client", name+"-client", client(address))
	if err != nil {
		return nil, err
	}
	for _, end := range []func() (Truth, error){func() (Truth, error) { return asking.wait(ctx) }, serving.finish} {
		part, err := end()
		if err != nil {
			return nil, err
		}
		truth.add(part)
	}
	truth.EndUnixNs = time.Now().UnixNano()
	return truth, nil
}

// echoServer is the role that answers.
func echoServer(ctx context.Context, text []byte, ready func(string)) (Truth, error) {
	var config echoConfig
	if err := json.Unmarshal(text, &config); err != nil {
		return Truth{}, err
	}
	listener, err := config.listen()
	if err != nil {
		return Truth{}, err
	}
	var meter meter
	ready(listener.Addr().String())
	err = acceptAll(ctx, meteredListener{listener, &meter}, config.answer)
	return Truth{Services: []Service{meter.service("echo-server", listener.Addr().String())}}, err
}

func (c echoConfig) listen() (net.Listener, error) {
	switch {
	case c.Mapped:
		return listenMapped()
	case c.IPv6:
		return net.Listen("tcp", net.JoinHostPort("::1", strconv.Itoa(c.Port)))
	default:
		return net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(c.Port)))
	}
}

// answer answers each request of one connection until the client closes it.
func (c echoConfig) answer(conn net.Conn) {
	request, response := make([]byte, c.RequestSize), make([]byte, c.ResponseSize)
	for {
		if _, err := io.ReadFull(conn, request); err != nil {
			return
		}
		if c.pass(conn.RemoteAddr(), "asked", "answer") != nil {
			return
		}
		time.Sleep(c.Sleep)
		if _, err := conn.Write(response); err != nil {
			return
		}
	}
}

// pass says in the gate's folder how far a connection is, by the client's port,
// and waits until it may go on. The file holds the pid of the end that waits.
func (c echoConfig) pass(client net.Addr, here, next string) error {
	if c.Gate == "" {
		return nil
	}
	name := fmt.Sprintf("%s-%d", here, client.(*net.TCPAddr).Port)
	if err := os.WriteFile(filepath.Join(c.Gate, name), []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
		return err
	}
	for {
		if _, err := os.Stat(filepath.Join(c.Gate, next)); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if _, err := os.Stat(c.Gate); err != nil { // who made it is gone
			return err
		}
		time.Sleep(time.Millisecond)
	}
}

// acceptAll gives each connection to serve in a goroutine of its own and
// closes it after that. Once ctx is done it accepts no more and waits for
// those it has: clients close first.
func acceptAll(ctx context.Context, listener net.Listener, serve func(net.Conn)) error {
	stop := context.AfterFunc(ctx, func() { listener.Close() }) //nolint:errcheck // Accept tells
	defer stop()
	var running sync.WaitGroup
	defer running.Wait()
	for {
		conn, err := listener.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		running.Go(func() {
			defer conn.Close()
			serve(conn)
		})
	}
}

// echoClient is the role that asks.
func echoClient(ctx context.Context, text []byte, _ func(string)) (Truth, error) {
	var config echoConfig
	if err := json.Unmarshal(text, &config); err != nil {
		return Truth{}, err
	}
	var meter meter
	var left atomic.Int64
	left.Store(int64(config.Requests))
	err := inParallel(config.Connections, func() error {
		for ctx.Err() == nil && left.Add(-1) >= 0 {
			if err := config.ask(ctx, &meter, &left); err != nil {
				return err
			}
		}
		return nil
	})
	return Truth{Edges: []Edge{meter.edge("echo-client", config.Server)}}, err
}

// inParallel runs work n times at once and joins the errors.
func inParallel(n int, work func() error) error {
	failures := make([]error, n)
	var running sync.WaitGroup
	for i := range n {
		running.Go(func() { failures[i] = work() })
	}
	running.Wait()
	return errors.Join(failures...)
}

// ask opens a connection and asks on it: the one request that the caller has
// taken from left and, without Fresh, until none is left.
func (c echoConfig) ask(ctx context.Context, meter *meter, left *atomic.Int64) error {
	plain, err := net.Dial("tcp", c.Address)
	if err != nil {
		return err
	}
	conn := meter.wrap(plain, false)
	defer conn.Close()
	request, response := make([]byte, c.RequestSize), make([]byte, c.ResponseSize)
	if err := c.pass(conn.LocalAddr(), "connected", "ask"); err != nil {
		return err
	}
	for {
		if _, err := conn.Write(request); err != nil {
			return err
		}
		if _, err := io.ReadFull(conn, response); err != nil {
			return err
		}
		time.Sleep(c.Pause)
		if c.Fresh || ctx.Err() != nil || left.Add(-1) < 0 {
			return nil
		}
	}
}
