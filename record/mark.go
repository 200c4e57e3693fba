package record

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

const (
	// MaxMarkBytes bounds the text of a mark.
	MaxMarkBytes = 1024
	// markSocket and the recorder's pid (".2" when it records twice at a time)
	// name the socket to which marks are sent: in the abstract namespace, where
	// nothing is left behind by a recorder that was killed.
	markSocket = "@kmon-record-"
	// markSockets bounds the recordings of one process that take marks.
	markSockets = 16
	// markWait is how long a recorder may take to write a mark: on a computer that
	// has no time for it that can be seconds.
	markWait = 10 * time.Second
	// markAccepted begins the answer to a mark that was written.
	markAccepted = "ok "
)

// Marked is a recorder that was sent a mark.
type Marked struct {
	PID  int    // of the recorder, as its pid namespace counts
	Path string // of the capture that has the mark; "" with Err
	Err  error  // why it has not
}

// ErrNotRecording says that there is no recorder to send a mark to.
var ErrNotRecording = errors.New("no recording runs here")

// Mark writes a mark into the captures of all recorders of this network
// namespace, or of the one with pid, if pid is not 0. Recorders take marks from
// root and their own user. The answers are sorted by pid.
func Mark(ctx context.Context, text string, pid int) ([]Marked, error) {
	if err := checkMark(text); err != nil {
		return nil, err
	}
	sockets, err := recorders(pid)
	if err != nil {
		return nil, err
	}
	var all []Marked
	for _, socket := range sockets {
		path, err := sendMark(ctx, socket.name, text)
		if errors.Is(err, syscall.ECONNREFUSED) {
			continue // it ended this moment
		}
		all = append(all, Marked{PID: socket.pid, Path: path, Err: err})
	}
	if len(all) == 0 {
		return nil, notRecording(pid)
	}
	return all, nil
}

// recorders gives the sockets of the recorders of this network namespace, or of
// the one with pid, if pid is not 0; at least one.
func recorders(pid int) ([]markAddress, error) {
	list, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		return nil, fmt.Errorf("find recorders: %w", err)
	}
	found := slices.DeleteFunc(markSocketsIn(string(list)), func(s markAddress) bool { return pid != 0 && s.pid != pid })
	if len(found) == 0 {
		return nil, cmp.Or(elsewhereError(elsewhere(pid)), notRecording(pid))
	}
	return found, nil
}

// notRecording says that no recorder was found, or none with pid.
func notRecording(pid int) error {
	if pid != 0 {
		return fmt.Errorf("%w as process %d", ErrNotRecording, pid)
	}
	return ErrNotRecording
}

// Recorders gives the pids of the recorders of this network namespace, sorted.
func Recorders() []int {
	sockets, err := recorders(0)
	if err != nil {
		return nil
	}
	var pids []int
	for _, s := range sockets {
		pids = append(pids, s.pid)
	}
	return slices.Compact(pids)
}

// checkMark refuses what no row may hold.
func checkMark(text string) error {
	switch {
	case strings.TrimSpace(text) == "":
		return errors.New("a mark needs a text")
	case len(text) > MaxMarkBytes:
		return fmt.Errorf("a mark has at most %d bytes, this one has %d", MaxMarkBytes, len(text))
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return errors.New("a mark is one line of text")
	}
	return nil
}

type markAddress struct {
	name string
	pid  int
}

// markSocketsIn finds the recorders' sockets in the text of /proc/net/unix.
func markSocketsIn(list string) []markAddress {
	var found []markAddress
	for line := range strings.Lines(list) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		name := fields[len(fields)-1]
		rest, ok := strings.CutPrefix(name, markSocket)
		number, _, _ := strings.Cut(rest, ".")
		if pid, err := strconv.Atoi(number); ok && err == nil && pid > 0 {
			found = append(found, markAddress{name, pid})
		}
	}
	slices.SortFunc(found, func(a, b markAddress) int {
		return cmp.Or(cmp.Compare(a.pid, b.pid), cmp.Compare(a.name, b.name))
	})
	return slices.Compact(found)
}

// sendMark sends a mark to one recorder and returns the path of its capture.
func sendMark(ctx context.Context, address, text string) (path string, err error) {
	dialer := net.Dialer{Control: withCredentials} // which also gives the socket an address for the answer
	conn, err := dialer.DialContext(ctx, "unixgram", address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(markWait)); err != nil {
		return "", err
	}
	if _, err := conn.Write([]byte(text)); err != nil {
		return "", err
	}
	answer, err := receive(conn.(*net.UnixConn))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "", errNoAnswer
	}
	if err != nil {
		return "", err
	}
	path, ok := strings.CutPrefix(answer.text, markAccepted)
	if !ok {
		return "", errors.New(answer.text)
	}
	return path, nil
}

var errNoAnswer = errors.New("no answer: it is about to end, or listens to root and its own user only")

// withCredentials has the kernel tell who sent what is received.
func withCredentials(_, _ string, raw syscall.RawConn) error {
	var err error
	if e := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1) }); e != nil {
		return e
	}
	return err
}

// maxDatagram is longer than a mark and than the answer to it, a path.
const maxDatagram = 8 << 10

// datagram is what somebody who is trusted has sent.
type datagram struct {
	text   string
	from   *net.UnixAddr
	sender unix.Ucred
}

// receive returns the next datagram from root or from this process's user;
// those of others are dropped, for anybody may send here.
func receive(conn *net.UnixConn) (datagram, error) {
	// There is room for the credentials, which come first, and for nothing else:
	// descriptors that anybody may attach are not taken.
	buf, control := make([]byte, maxDatagram), make([]byte, unix.CmsgSpace(unix.SizeofUcred))
	for {
		n, nc, _, from, err := conn.ReadMsgUnix(buf, control)
		if err != nil {
			return datagram{}, err
		}
		if sender, ok := trusted(control[:nc]); ok {
			return datagram{string(buf[:n]), from, sender}, nil
		}
	}
}

// trusted looks at the credentials that the kernel has attached.
func trusted(control []byte) (sender unix.Ucred, ok bool) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return unix.Ucred{}, false
	}
	for _, m := range messages {
		if sender, err := unix.ParseUnixCredentials(&m); err == nil {
			return *sender, sender.Uid == 0 || int(sender.Uid) == os.Geteuid()
		}
	}
	return unix.Ucred{}, false
}
