package main

import (
	"errors"
	"fmt"
	"io"
	"unsafe"

	"golang.org/x/sys/unix"
)

// counted calls move until all of p is moved, and counts the calls.
func counted(move func(fd int, p []byte) (int, error)) func(int, []byte) (int, error) {
	return func(fd int, p []byte) (int, error) {
		messages := 0
		for len(p) > 0 {
			n, err := move(fd, p)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err != nil {
				return messages, err
			}
			if n == 0 {
				return messages, io.ErrUnexpectedEOF
			}
			p = p[n:]
			messages++
		}
		return messages, nil
	}
}

func sendto(fd int, p []byte) (int, error) {
	return unix.SendmsgN(fd, p, nil, nil, unix.MSG_NOSIGNAL)
}

func recvfrom(fd int, p []byte) (int, error) {
	n, _, err := unix.Recvfrom(fd, p, 0)
	return n, err
}

func sendmsg(fd int, p []byte) (int, error) {
	half := len(p) / 2
	return unix.SendmsgBuffers(fd, [][]byte{p[:half], p[half:]}, nil, nil, 0)
}

func recvmsg(fd int, p []byte) (int, error) {
	half := len(p) / 2
	n, _, _, _, err := unix.RecvmsgBuffers(fd, [][]byte{p[:half], p[half:]}, nil, 0)
	return n, err
}

// inHalves gives a vectored call two buffers.
func inHalves(call func(int, [][]byte) (int, error)) func(int, []byte) (int, error) {
	return func(fd int, p []byte) (int, error) {
		half := len(p) / 2
		return call(fd, [][]byte{p[:half], p[half:]})
	}
}

// mmsghdr is struct mmsghdr of sendmmsg(2).
type mmsghdr struct {
	header unix.Msghdr
	length uint32
	_      [4]byte
}

// mmsg moves p by calls of sendmmsg or recvmmsg, two messages each.
func mmsg(call uintptr) func(fd int, p []byte) (int, error) {
	return func(fd int, p []byte) (int, error) {
		messages := 0
		for len(p) > 0 {
			n, bytes, err := moveTwo(call, fd, p)
			if err != nil && !errors.Is(err, unix.EINTR) {
				return messages, err
			}
			p = p[bytes:]
			messages += n
		}
		return messages, nil
	}
}

// moveTwo makes one call that moves p as two messages, and gives the messages
// and bytes that it did move.
func moveTwo(call uintptr, fd int, p []byte) (n, bytes int, err error) {
	half := (len(p) + 1) / 2
	var vectors [2]unix.Iovec
	var messages [2]mmsghdr
	parts := [][]byte{p[:half], p[half:]}
	if len(p) == 1 {
		parts = parts[:1]
	}
	for i, part := range parts {
		vectors[i].Base = &part[0]
		vectors[i].SetLen(len(part))
		messages[i].header.Iov = &vectors[i]
		messages[i].header.SetIovlen(1)
	}
	moved, _, errno := unix.Syscall6(call, uintptr(fd), uintptr(unsafe.Pointer(&messages[0])), uintptr(len(parts)), 0, 0, 0)
	if errno != 0 {
		return 0, 0, errno
	}
	for _, m := range messages[:moved] {
		bytes += int(m.length)
	}
	if moved == 2 && int(messages[0].length) != half {
		return 0, 0, fmt.Errorf("the first of two messages is short: %d of %d bytes", messages[0].length, half)
	}
	if bytes == 0 {
		return 0, 0, io.ErrUnexpectedEOF
	}
	return int(moved), bytes, nil
}

// sendFile sends from a file that lives in memory.
func sendFile(fd int, p []byte) (int, error) {
	file, err := unix.MemfdCreate("workload", unix.MFD_CLOEXEC)
	if err != nil {
		return 0, err
	}
	defer unix.Close(file)
	if _, err := unix.Write(file, p); err != nil {
		return 0, err
	}
	var offset int64
	return counted(func(fd int, p []byte) (int, error) {
		return unix.Sendfile(fd, file, &offset, len(p))
	})(fd, p)
}

// throughPipe calls use with the ends of a pipe.
func throughPipe(use func(read, write int) (int, error)) (int, error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return 0, err
	}
	defer unix.Close(ends[0])
	defer unix.Close(ends[1])
	return use(ends[0], ends[1])
}

func spliceOut(fd int, p []byte) (int, error) {
	return throughPipe(func(read, write int) (int, error) {
		if _, err := unix.Write(write, p); err != nil {
			return 0, err
		}
		return counted(func(fd int, p []byte) (int, error) {
			n, err := unix.Splice(read, nil, fd, nil, len(p), 0)
			return int(n), err
		})(fd, p)
	})
}

func spliceIn(fd int, p []byte) (int, error) {
	return throughPipe(func(read, write int) (int, error) {
		messages, err := counted(func(fd int, p []byte) (int, error) {
			n, err := unix.Splice(fd, nil, write, nil, len(p), 0)
			return int(n), err
		})(fd, p)
		if err != nil {
			return messages, err
		}
		_, err = counted(unix.Read)(read, p)
		return messages, err
	})
}

// peekThenRead looks at the data twice before it takes it.
func peekThenRead(fd int, p []byte) (int, error) {
	for looks := 0; looks < 2; looks++ {
		_, _, err := unix.Recvfrom(fd, p, unix.MSG_PEEK)
		if errors.Is(err, unix.EINTR) {
			looks--
		} else if err != nil {
			return 0, err
		}
	}
	return counted(unix.Read)(fd, p)
}

// pollEmpty asks five times for data that is not there.
func pollEmpty(fd int) error {
	for range 5 {
		n, _, err := unix.Recvfrom(fd, make([]byte, 1), unix.MSG_DONTWAIT)
		if err == nil {
			return fmt.Errorf("an empty socket gave %d bytes", n)
		}
		if !errors.Is(err, unix.EAGAIN) {
			return fmt.Errorf("poll an empty socket: %w", err)
		}
	}
	return nil
}

func sendZerocopy(fd int, p []byte) (int, error) {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ZEROCOPY, 1); err != nil {
		return 0, err
	}
	return counted(func(fd int, p []byte) (int, error) {
		return unix.SendmsgN(fd, p, nil, nil, unix.MSG_ZEROCOPY)
	})(fd, p)
}
