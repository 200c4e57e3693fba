package record

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"

	"kmon/format"
	"kmon/record/probe"
	"kmon/record/provider"
)

// marks is the recorder's end of what Mark sends.
type marks struct {
	conn     *net.UnixConn // nil: marks cannot be taken
	received chan receivedMark
	losing   bool // events were lost in the second before this one
}

type receivedMark struct {
	tsNs       int64
	kind, text string
	from       *net.UnixAddr // nil: the recorder's own
	by         string        // who asks for a dump
}

// maxMarks bounds the marks that wait to be written; senders wait meanwhile.
const maxMarks = 16

// listenForMarks lets Mark reach this recording until ctx ends. Without a
// socket recording goes on: the error becomes a mark itself.
func (r *recorder) listenForMarks(ctx context.Context) {
	r.received = make(chan receivedMark, maxMarks)
	var err error
	for i := 1; i <= markSockets && r.conn == nil; i++ {
		name := fmt.Sprint(markSocket, r.session.SelfPID())
		if i > 1 {
			name += fmt.Sprint(".", i)
		}
		config := net.ListenConfig{Control: withCredentials}
		var conn net.PacketConn
		if conn, err = config.ListenPacket(ctx, "unixgram", name); err == nil {
			r.conn = conn.(*net.UnixConn)
		}
	}
	if r.conn == nil {
		r.received <- receivedMark{tsNs: r.startNs, kind: "warning", text: "kmon mark cannot reach this recording: " + err.Error()}
		return
	}
	context.AfterFunc(ctx, func() { // who waits for a dump of the ring is told until the end
		if r.ring == nil {
			_ = r.conn.Close() // it only receives
		}
	})
	go r.receiveMarks(ctx)
}

func (r *recorder) receiveMarks(ctx context.Context) {
	for {
		d, err := receive(r.conn)
		if err != nil {
			return // closed
		}
		m := receivedMark{tsNs: provider.Clock().MonotonicNs, kind: "user", text: d.text, from: d.from}
		if reason, dump := strings.CutPrefix(d.text, dumpRequest); dump {
			m.kind, m.text = "dump", reason
			m.by = fmt.Sprintf("kmon dump, process %d of user %d", d.sender.Pid, d.sender.Uid)
		}
		select {
		case r.received <- m:
		case <-ctx.Done():
			return
		}
	}
}

// takeMarks writes what was sent and answers.
func (r *recorder) takeMarks() error {
	for {
		select {
		case m := <-r.received:
			if m.kind == "dump" {
				r.askedForDump(m)
				continue
			}
			answer := markAccepted + absolute(r.path)
			if err := checkMark(m.text); err != nil && m.from != nil {
				answer = err.Error()
			} else if err := r.mark(m.tsNs, m.kind, m.text); err != nil {
				return err
			}
			r.answer(m.from, answer)
		default:
			return nil
		}
	}
}

// answer tells whoever sent a mark or asked for a dump. The sender may have
// given up, and the mark stands all the same.
func (r *recorder) answer(to *net.UnixAddr, text string) {
	if to != nil && r.conn != nil {
		_, _ = r.conn.WriteToUnix([]byte(text), to)
	}
}

func absolute(path string) string {
	if full, err := filepath.Abs(path); err == nil {
		return full
	}
	return path
}

func (r *recorder) mark(tsNs int64, kind, text string) error {
	return format.Append(r.writer, format.Mark{TsNs: tsNs, Kind: kind, Text: text})
}

// markLosses marks the beginning of a burst of losses: the first ones after a
// second without any.
func (r *recorder) markLosses(nowNs int64, lost []probe.Lost) error {
	lost = slices.DeleteFunc(slices.Clone(lost), isShed) // they have marks of their own
	began := len(lost) > 0 && !r.losing
	r.losing = len(lost) > 0
	if !began {
		return nil
	}
	var what []string
	for _, l := range lost {
		what = append(what, fmt.Sprintf("%d of %s (%s)", l.Count, l.Table, l.Cause))
	}
	slices.Sort(what)
	return r.mark(nowNs, "loss", "rows begin to be lost: "+strings.Join(what, ", "))
}

// lastMarks writes the marks that arrived until the end and takes no more.
func (r *recorder) lastMarks() error {
	err := r.takeMarks()
	if r.ring == nil {
		err = errors.Join(err, r.closeMarks())
	}
	return err
}

// closeMarks closes the socket.
func (r *recorder) closeMarks() error {
	if r.conn == nil {
		return nil
	}
	if err := r.conn.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
