package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A path is one way to send and one way to receive.
type path struct {
	name string
	// send sends all of p and gives the messages it took.
	send func(fd int, p []byte) (int, error)
	// receive fills p and gives the messages it took.
	receive func(fd int, p []byte) (int, error)
	// idle, if any, is called on the receiving end while no data is there.
	idle func(fd int) error
}

func paths() []path {
	return []path{
		{name: "read-write", send: counted(unix.Write), receive: counted(unix.Read)},
		{name: "send-recv", send: counted(sendto), receive: counted(recvfrom)},
		{name: "writev-readv", send: counted(inHalves(unix.Writev)), receive: counted(inHalves(unix.Readv))},
		{name: "sendmsg-recvmsg", send: counted(sendmsg), receive: counted(recvmsg)},
		{name: "sendmmsg-recvmmsg", send: mmsg(unix.SYS_SENDMMSG), receive: mmsg(unix.SYS_RECVMMSG)},
		{name: "sendfile", send: sendFile, receive: counted(unix.Read)},
		{name: "splice-to-socket", send: spliceOut, receive: counted(unix.Read)},
		{name: "splice-from-socket", send: counted(unix.Write), receive: spliceIn},
		{name: "peek", send: counted(unix.Write), receive: peekThenRead},
		{name: "again", send: counted(unix.Write), receive: counted(unix.Read), idle: pollEmpty},
		{name: "zerocopy", send: sendZerocopy, receive: counted(unix.Read)},
		{name: "uring-send-recv", send: uring(uringSend), receive: uring(uringRecv)},
		{name: "uring-write-read", send: uring(uringWrite), receive: uring(uringRead)},
	}
}

// runPaths plays each path on a connection of its own, both ends in this
// process, and writes down what each socket moved. A path that the kernel
// refuses becomes a note.
func runPaths(ctx context.Context, out io.Writer, args []string) error {
	flags := newFlags("paths")
	requests := flags.Int("requests", 3, "requests on each connection")
	ipv6 := flags.Bool("ipv6", false, "over ::1")
	hold := flags.Duration("hold", 0, "of each connection before its first request")
	if err := errors.Join(flags.parse(args), flags.atLeast("requests", *requests, 1)); err != nil {
		return err
	}
	truth := &Truth{Load: "paths", StartUnixNs: time.Now().UnixNano(), Processes: []Process{{Name: exeName(), PID: os.Getpid()}}}
	for i, p := range paths() {
		if ctx.Err() != nil {
			break
		}
		sockets, err := p.play(*requests, 1000+i, 2000+i, *ipv6, *hold)
		if refused(err) {
			truth.Notes = append(truth.Notes, fmt.Sprintf("path %s is not in this load, the kernel refuses it: %v", p.name, err))
			continue
		}
		if err != nil {
			return fmt.Errorf("path %s: %w", p.name, err)
		}
		truth.Sockets = append(truth.Sockets, sockets...)
	}
	truth.EndUnixNs = time.Now().UnixNano()
	return flags.finish(out, truth)
}

// refused says whether the kernel does not offer what was asked.
func refused(err error) bool {
	return errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EOPNOTSUPP)
}

// end is one end of a connection.
type end struct {
	fd int
	Socket
}

// play opens a connection and exchanges requests and answers of the given
// sizes on it.
func (p path) play(requests, requestSize, answerSize int, ipv6 bool, hold time.Duration) ([]Socket, error) {
	clientFD, serverFD, err := connection(ipv6)
	if err != nil {
		return nil, err
	}
	defer unix.Close(clientFD)
	defer unix.Close(serverFD)
	client := &end{fd: clientFD, Socket: Socket{Path: p.name, Role: "client", Requests: int64(requests)}}
	server := &end{fd: serverFD, Socket: Socket{Path: p.name, Role: "server", Requests: int64(requests)}}
	if err := errors.Join(client.name(), server.name()); err != nil {
		return nil, err
	}
	time.Sleep(hold)
	for range requests {
		if err := p.move(client, server, requestSize); err != nil {
			return nil, err
		}
		if err := p.move(server, client, answerSize); err != nil {
			return nil, err
		}
	}
	return []Socket{client.Socket, server.Socket}, nil
}

// move sends size bytes from one end to the other and checks that they came.
func (p path) move(from, to *end, size int) error {
	if p.idle != nil {
		if err := p.idle(to.fd); err != nil {
			return err
		}
	}
	sent, got := bytes.Repeat([]byte{byte(size)}, size), make([]byte, size)
	n, err := p.send(from.fd, sent)
	if err != nil {
		return fmt.Errorf("send: %w", err)
	}
	from.MessagesSent += int64(n)
	from.BytesSent += int64(size)
	if n, err = p.receive(to.fd, got); err != nil {
		return fmt.Errorf("receive: %w", err)
	}
	to.MessagesReceived += int64(n)
	to.BytesReceived += int64(size)
	if !bytes.Equal(sent, got) {
		return errors.New("other bytes were received than sent")
	}
	return nil
}

// connection opens a loopback connection of two blocking sockets that give up
// after five seconds.
func connection(ipv6 bool) (client, server int, err error) {
	family, address := unix.AF_INET, unix.Sockaddr(&unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	if ipv6 {
		family, address = unix.AF_INET6, &unix.SockaddrInet6{Addr: [16]byte{15: 1}}
	}
	listener, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, 0, err
	}
	defer unix.Close(listener)
	if err := errors.Join(unix.Bind(listener, address), unix.Listen(listener, 1)); err != nil {
		return 0, 0, err
	}
	if address, err = unix.Getsockname(listener); err != nil {
		return 0, 0, err
	}
	if client, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return 0, 0, err
	}
	if err = unix.Connect(client, address); err == nil {
		server, _, err = unix.Accept4(listener, unix.SOCK_CLOEXEC)
	}
	if err != nil {
		unix.Close(client) //nolint:errcheck // the first error counts
		return 0, 0, err
	}
	patience := &unix.Timeval{Sec: 5}
	return client, server, errors.Join(unix.SetsockoptTimeval(client, unix.SOL_SOCKET, unix.SO_RCVTIMEO, patience),
		unix.SetsockoptTimeval(server, unix.SOL_SOCKET, unix.SO_RCVTIMEO, patience))
}

// name fills in the ports.
func (e *end) name() error {
	local, err := unix.Getsockname(e.fd)
	if err != nil {
		return err
	}
	remote, err := unix.Getpeername(e.fd)
	if err != nil {
		return err
	}
	e.LocalPort, e.RemotePort = port(local), port(remote)
	return nil
}

func port(address unix.Sockaddr) int {
	switch a := address.(type) {
	case *unix.SockaddrInet4:
		return a.Port
	case *unix.SockaddrInet6:
		return a.Port
	}
	return 0
}
