package main

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// listenMapped listens on ::ffff:127.0.0.1 with an IPv6 socket, so that IPv4
// clients appear under IPv4-mapped addresses. The net package would take an
// IPv4 socket for that address.
func listenMapped() (net.Listener, error) {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	file := os.NewFile(uintptr(fd), "mapped")
	defer file.Close()
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0); err != nil {
		return nil, os.NewSyscallError("setsockopt IPV6_V6ONLY", err)
	}
	address := &unix.SockaddrInet6{Addr: [16]byte{10: 0xff, 11: 0xff, 12: 127, 15: 1}}
	if err := unix.Bind(fd, address); err != nil {
		return nil, os.NewSyscallError("bind ::ffff:127.0.0.1", err)
	}
	if err := unix.Listen(fd, unix.SOMAXCONN); err != nil {
		return nil, os.NewSyscallError("listen", err)
	}
	return net.FileListener(file)
}
