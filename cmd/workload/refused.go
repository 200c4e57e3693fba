package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// runRefused connects to ports that nobody listens on.
func runRefused(_ context.Context, out io.Writer, args []string) error {
	flags := newFlags("refused")
	connects := flags.Int("connects", 10, "connections to ask for, over IPv4 and as many over IPv6")
	if err := errors.Join(flags.parse(args), flags.atLeast("connects", *connects, 1)); err != nil {
		return err
	}
	truth := &Truth{Load: "refused", StartUnixNs: time.Now().UnixNano(), Processes: []Process{{Name: exeName(), PID: os.Getpid()}}}
	for _, host := range []string{"127.0.0.1", "::1"} {
		refused, err := playRefused(host, *connects)
		if err != nil {
			return fmt.Errorf("workload refused: %w", err)
		}
		truth.Refused = append(truth.Refused, refused)
	}
	truth.EndUnixNs = time.Now().UnixNano()
	return flags.finish(out, truth)
}

// playRefused finds a port that is free and connects to it.
func playRefused(host string, connects int) (Refused, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return Refused{}, err
	}
	address := listener.Addr().(*net.TCPAddr)
	if err := listener.Close(); err != nil {
		return Refused{}, err
	}
	refused := Refused{Host: host, Port: address.Port, PID: os.Getpid()}
	for range connects {
		conn, err := net.DialTCP("tcp", nil, address)
		switch {
		case err == nil:
			return refused, errors.Join(fmt.Errorf("somebody listens on %v", address), conn.Close())
		case !errors.Is(err, syscall.ECONNREFUSED):
			return refused, err
		}
		refused.Connects++
	}
	return refused, nil
}
