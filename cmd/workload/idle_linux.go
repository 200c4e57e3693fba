package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// idleConfig configures one process that holds connections to itself.
type idleConfig struct {
	Connections int `json:"connections"`
	Requests    int `json:"requests"` // of which so many ask something at the end
}

const (
	// idlePerProcess is how many connections one process holds: their two ends
	// fit below the 20,000 open files that many systems allow, and one address
	// has ports for them.
	idlePerProcess = 9_000
	// idleBatch is how many connections are begun before they are accepted.
	idleBatch = 128
)

// runIdle opens connections, keeps all of them, asks once on some, and closes
// all.
func runIdle(ctx context.Context, out io.Writer, args []string) error {
	flags := newFlags("idle")
	connections := flags.Int("connections", 1000, "connections, each of which is two sockets")
	requests := flags.Int("requests", 100, "connections on which something is asked, once all are open")
	gate := flags.String("gate", "", "`FOLDER` in which a file opened is made when all are open, and in which a file ask is waited for then")
	if err := errors.Join(flags.parse(args), flags.atLeast("connections", *connections, 1)); err != nil {
		return err
	}
	truth := &Truth{Load: "idle", StartUnixNs: time.Now().UnixNano()}
	crew, err := newCrew(flags.limit)
	if err != nil {
		return err
	}
	defer crew.close()
	ctx, cancel := context.WithTimeout(ctx, flags.limit)
	defer cancel()
	if err := playIdle(ctx, crew, truth, idleConfig{*connections, *requests}, *gate); err != nil {
		return fmt.Errorf("workload idle: %w", err)
	}
	truth.EndUnixNs = time.Now().UnixNano()
	return flags.finish(out, truth)
}

func playIdle(ctx context.Context, crew *crew, truth *Truth, all idleConfig, gate string) error {
	var holders []*child
	for left := all; left.Connections > 0; {
		part := idleConfig{min(left.Connections, idlePerProcess), min(left.Requests, left.Connections, idlePerProcess)}
		holder, _, err := crew.serve("idle", "idle-holder", part)
		if err != nil {
			return err
		}
		holders = append(holders, holder)
		left.Connections -= part.Connections
		left.Requests -= part.Requests
	}
	if err := passGate(ctx, gate); err != nil {
		return err
	}
	for _, holder := range holders {
		part, err := holder.finish()
		if err != nil {
			return err
		}
		truth.Processes = append(truth.Processes, part.Processes...)
		truth.Services = append(truth.Services, part.Services...)
		truth.Edges = append(truth.Edges, part.Edges...)
	}
	return nil
}

// passGate tells that all connections are open and waits to go on.
func passGate(ctx context.Context, gate string) error {
	if gate == "" {
		return nil
	}
	if err := os.WriteFile(filepath.Join(gate, "opened"), nil, 0o600); err != nil {
		return err
	}
	for {
		if _, err := os.Stat(filepath.Join(gate, "ask")); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// idleHolder holds connections to itself until ctx is done, then asks and ends.
func idleHolder(ctx context.Context, text []byte, ready func(string)) (Truth, error) {
	var config idleConfig
	if err := json.Unmarshal(text, &config); err != nil {
		return Truth{}, err
	}
	if err := allowFiles(2*config.Connections + 100); err != nil {
		return Truth{}, err
	}
	server, address, err := listenWith(2 * idleBatch)
	if err != nil {
		return Truth{}, err
	}
	defer unix.Close(server) //nolint:errcheck // nothing was written
	clients, accepted, err := openIdle(server, address, config.Connections)
	if err != nil {
		return Truth{}, err
	}
	ready(fmt.Sprint(port(address)))
	<-ctx.Done()
	truth := Truth{
		Services: []Service{{Name: exeName(), PID: os.Getpid(), Connections: int64(len(accepted))}},
		Edges:    []Edge{{Client: exeName(), Server: exeName(), PID: os.Getpid(), Connections: int64(len(clients))}},
	}
	for i := range config.Requests {
		if err := askOnce(clients[i], accepted[i]); err != nil {
			return truth, err
		}
		truth.Services[0].Requests++
		truth.Edges[0].Requests++
	}
	for i := range clients { // the client's reset ends the server's end, too
		if err := errors.Join(unix.Close(clients[i]), unix.Close(accepted[i])); err != nil {
			return truth, err
		}
	}
	return truth, nil
}

// allowFiles raises the limit of open files of this process.
func allowFiles(files int) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if limit.Cur >= uint64(files) {
		return nil
	}
	limit = unix.Rlimit{Cur: uint64(files), Max: max(limit.Max, uint64(files))}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("open %d files (root may, up to fs.nr_open): %w", files, err)
	}
	return nil
}

// openIdle opens connections. clients[i] and accepted[i] are the two ends of
// one.
func openIdle(server int, to unix.Sockaddr, connections int) (clients, accepted []int, err error) {
	for len(clients) < connections {
		for range min(idleBatch, connections-len(clients)) {
			fd, err := startConnect(to)
			if err != nil {
				return clients, accepted, fmt.Errorf("connection %d: %w", len(clients)+1, err)
			}
			clients = append(clients, fd)
		}
		for len(accepted) < len(clients) { // on loopback, in order
			fd, _, err := unix.Accept4(server, unix.SOCK_CLOEXEC)
			if err != nil {
				return clients, accepted, fmt.Errorf("accept %d: %w", len(accepted)+1, err)
			}
			accepted = append(accepted, fd)
		}
	}
	return clients, accepted, nil
}

// askOnce sends a byte to the server and one back.
func askOnce(client, server int) error {
	for _, pair := range [][2]int{{client, server}, {server, client}} {
		message := []byte{'.'}
		if _, err := unix.Write(pair[0], message); err != nil {
			return err
		}
		wait := []unix.PollFd{{Fd: int32(pair[1]), Events: unix.POLLIN}}
		if n, err := unix.Poll(wait, 10_000); err != nil || n == 0 {
			return errors.Join(err, errors.New("no answer within 10 s"))
		}
		if _, err := unix.Read(pair[1], message); err != nil {
			return err
		}
	}
	return nil
}
