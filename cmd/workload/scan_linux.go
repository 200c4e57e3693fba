package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// runScan connects to one port after the other, as one does who looks for
// services, and listens on one of them. Nobody else may listen in its network
// namespace.
func runScan(ctx context.Context, out io.Writer, args []string) error {
	flags := newFlags("scan")
	connects := flags.Int("connects", 1000, "ports to connect to, from 1 to 65535 and again on another address")
	if err := errors.Join(flags.parse(args), flags.atLeast("connects", *connects, 1)); err != nil {
		return err
	}
	truth := &Truth{Load: "scan", StartUnixNs: time.Now().UnixNano(), Processes: []Process{{Name: exeName(), PID: os.Getpid()}}}
	server, err := listenEverywhere()
	if err != nil {
		return fmt.Errorf("workload scan: %w", err)
	}
	defer unix.Close(server) //nolint:errcheck // nothing was written
	ctx, cancel := context.WithTimeout(ctx, flags.limit)
	defer cancel()
	open, refused, err := scan(ctx, server, *connects)
	if err != nil {
		return fmt.Errorf("workload scan: %w", err)
	}
	truth.Edges = []Edge{{Client: exeName(), Server: exeName(), PID: os.Getpid(), Connections: open}}
	truth.Refused = []Refused{{Host: "127.1.0.1", PID: os.Getpid(), Connects: refused}}
	truth.EndUnixNs = time.Now().UnixNano()
	return flags.finish(out, truth)
}

const (
	ports    = 65535
	scanOpen = 80
)

func scan(ctx context.Context, server, connects int) (open, refused int64, err error) {
	for i := range connects {
		to := &unix.SockaddrInet4{Port: i%ports + 1, Addr: [4]byte{127, 1, 0, byte(i/ports) + 1}}
		found, err := tryPort(server, to)
		if err != nil {
			return open, refused, fmt.Errorf("port %d: %w", to.Port, err)
		}
		if found {
			open++
		} else {
			refused++
		}
		if ctx.Err() != nil {
			return open, refused, ctx.Err()
		}
	}
	return open, refused, nil
}

// listenEverywhere listens on a port of all addresses.
func listenEverywhere() (fd int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	return fd, errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Port: scanOpen}), unix.Listen(fd, 1))
}

// tryPort connects and hangs up at once.
func tryPort(server int, to *unix.SockaddrInet4) (open bool, err error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return false, err
	}
	err = unix.Connect(fd, to)
	if errors.Is(err, unix.ECONNREFUSED) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	accepted, _, err := unix.Accept4(server, unix.SOCK_CLOEXEC)
	if err != nil {
		return true, err
	}
	return true, unix.Close(accepted)
}
