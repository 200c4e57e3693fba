package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// runCrowd connects more clients to a listener than its queue takes, and
// accepts none. What was turned away is what the kernel counts for the whole
// network namespace, so nobody else there may overflow a queue meanwhile.
func runCrowd(_ context.Context, out io.Writer, args []string) error {
	flags := newFlags("crowd")
	clients := flags.Int("clients", 10, "clients that connect")
	backlog := flags.Int("backlog", 1, "connections that the listener lets wait, and one more")
	stay := flags.Duration("stay", 2500*time.Millisecond, "how long they wait; a client asks again after a second, and gives up two later unless net.ipv4.tcp_syn_linear_timeouts")
	if err := errors.Join(flags.parse(args), flags.atLeast("clients", *clients, 1)); err != nil {
		return err
	}
	truth := &Truth{Load: "crowd", StartUnixNs: time.Now().UnixNano(), Processes: []Process{{Name: exeName(), PID: os.Getpid()}}}
	listener, err := playCrowd(*clients, *backlog, *stay)
	if err != nil {
		return fmt.Errorf("workload crowd: %w", err)
	}
	truth.Listeners, truth.EndUnixNs = []Listener{listener}, time.Now().UnixNano()
	return flags.finish(out, truth)
}

func playCrowd(clients, backlog int, stay time.Duration) (Listener, error) {
	l := Listener{PID: os.Getpid(), Limit: backlog}
	before, err := readOverflows()
	if err != nil {
		return l, err
	}
	server, address, err := listenWith(backlog)
	if err != nil {
		return l, err
	}
	defer unix.Close(server) //nolint:errcheck // nothing was written
	l.Port = port(address)
	fds := make([]int, clients)
	for i := range fds {
		if fds[i], err = startConnect(address); err != nil {
			return l, err
		}
	}
	time.Sleep(stay)
	info, err := unix.GetsockoptTCPInfo(server, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return l, err
	}
	l.Depth = int(info.Unacked) // of a listener: those that wait
	for _, fd := range fds {
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err := errors.Join(err, unix.Close(fd)); err != nil {
			return l, err
		}
		l.Retransmits += int64(info.Total_retrans)
	}
	after, err := readOverflows()
	l.Overflows = after - before
	return l, err
}

// startConnect begins to connect and does not wait. The client asks as few times
// as it can, and leaves nothing to be sent again when it is closed.
func startConnect(to unix.Sockaddr) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	err = errors.Join(unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_SYNCNT, 1),
		unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}))
	if err != nil {
		return 0, err
	}
	if err := unix.Connect(fd, to); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return 0, err
	}
	return fd, nil
}

// listenWith listens on loopback with a queue of this length.
func listenWith(backlog int) (fd int, address unix.Sockaddr, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, nil, err
	}
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, backlog)); err != nil {
		return 0, nil, err
	}
	address, err = unix.Getsockname(fd)
	return fd, address, err
}

// readOverflows reads how many connections the listeners of this network
// namespace have turned away for a full queue.
func readOverflows() (int64, error) {
	const path, column = "/proc/thread-self/net/netstat", "ListenOverflows"
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	var names []string
	for line := range strings.Lines(string(text)) { // names, then values
		fields := strings.Fields(line)
		for i, name := range names {
			if name == column && i < len(fields) && fields[0] == names[0] {
				return strconv.ParseInt(fields[i], 10, 64)
			}
		}
		names = fields
	}
	return 0, fmt.Errorf("%s has no %s", path, column)
}
