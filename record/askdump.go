package record

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

const (
	// dumpRequest begins what asks for a dump; a reason may follow. It is no mark,
	// which holds no control characters.
	dumpRequest = "\x01dump "
	// dumpWait begins an answer that says that the dump is not written yet.
	dumpWait = "wait "
	// dumpPatience is how long a recorder may say nothing: one that works says
	// once a second how far it is.
	dumpPatience = 15 * time.Second
	// noRing begins the answer of a recorder that has nothing to dump.
	noRing = "it keeps no ring"
)

// Dumped is what a recorder answers when it has written a dump.
type Dumped struct {
	PID  int    // of the recorder, as its pid namespace counts
	Path string // of the dump
	Text string // how much it holds
}

// Dump asks a recorder of this network namespace that keeps a ring to write it
// out, and waits until it has: the one with pid, or the only one if pid is 0.
// reason, one line or "", becomes a part of the dump's mark. progress, if not
// nil, gets what the recorder says meanwhile. Recorders listen to root and their
// own user.
func Dump(ctx context.Context, pid int, reason string, progress func(string)) (Dumped, error) {
	if reason != "" {
		if err := checkMark(reason); err != nil {
			return Dumped{}, fmt.Errorf("the reason: %w", err)
		}
	}
	sockets, err := recorders(pid)
	if err != nil {
		return Dumped{}, err
	}
	if last := sockets[len(sockets)-1].pid; last != sockets[0].pid {
		var pids []string
		for _, pid := range Recorders() {
			pids = append(pids, fmt.Sprint(pid))
		}
		return Dumped{}, fmt.Errorf("several recordings run here, processes %s; name one", strings.Join(pids, ", "))
	}
	for _, s := range sockets { // of one process, mostly one
		var d Dumped
		d, err = askDump(ctx, s, reason, progress)
		if err == nil || !strings.HasPrefix(err.Error(), noRing) {
			return d, dumpError(s.pid, err)
		}
	}
	return Dumped{}, dumpError(sockets[0].pid, err)
}

// dumpError says which recorder did not dump.
func dumpError(pid int, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ECONNREFUSED): // it ended this moment
		return notRecording(pid)
	}
	return fmt.Errorf("recorder %d wrote no dump: %w", pid, err)
}

// askDump asks one recorder and waits for its answer.
func askDump(ctx context.Context, address markAddress, reason string, progress func(string)) (Dumped, error) {
	dialer := net.Dialer{Control: withCredentials} // which also gives the socket an address for the answer
	conn, err := dialer.DialContext(ctx, "unixgram", address.name)
	if err != nil {
		return Dumped{}, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if err := conn.SetDeadline(time.Now().Add(dumpPatience)); err != nil {
		return Dumped{}, err
	}
	if _, err := conn.Write([]byte(dumpRequest + reason)); err != nil {
		return Dumped{}, err
	}
	for {
		answer, err := receive(conn.(*net.UnixConn))
		switch {
		case ctx.Err() != nil:
			return Dumped{}, fmt.Errorf("not waited for, it may come all the same: %w", ctx.Err())
		case errors.Is(err, os.ErrDeadlineExceeded):
			return Dumped{}, errNoAnswer
		case err != nil:
			return Dumped{}, err
		}
		if text, waits := strings.CutPrefix(answer.text, dumpWait); waits {
			if progress != nil {
				progress(text)
			}
			if err := conn.SetDeadline(time.Now().Add(dumpPatience)); err != nil {
				return Dumped{}, err
			}
			continue
		}
		done, ok := strings.CutPrefix(answer.text, markAccepted)
		if !ok {
			return Dumped{}, errors.New(answer.text)
		}
		path, text, _ := strings.Cut(done, "\n")
		return Dumped{PID: address.pid, Path: path, Text: text}, nil
	}
}
