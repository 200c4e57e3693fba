package analyze

import (
	"context"
	"strings"
	"unicode"

	"kmon/analyze/replay"
	"kmon/analyze/topology"
	"kmon/format"
)

// NamedExchange is an exchange with all that other tables say of it. Times are
// Unix, in ns.
type NamedExchange struct {
	StartUnixNs     int64  `parquet:"start_unix_ns,delta"`
	LatencyNs       int64  `parquet:"latency_ns,delta"` // upload + server + download
	UploadNs        int64  `parquet:"upload_ns,delta"`
	ServerNs        int64  `parquet:"server_ns,delta"`
	DownloadNs      int64  `parquet:"download_ns,delta"`
	Host            string `parquet:"host,dict"`
	Role            string `parquet:"role,dict"`    // of this end: client or server
	Service         string `parquet:"service,dict"` // of this end
	Instance        string `parquet:"instance,dict"`
	Client          string `parquet:"client_service,dict"`
	Server          string `parquet:"server_service,dict"`
	LocalAddr       string `parquet:"local_addr,dict"`
	LocalPort       int32  `parquet:"local_port,dict"`
	RemoteAddr      string `parquet:"remote_addr,dict"`
	RemotePort      int32  `parquet:"remote_port,dict"`
	ServerPort      int32  `parquet:"server_port,dict"`
	SocketID        int64  `parquet:"socket_id,dict"`
	PID             int32  `parquet:"pid,dict"`
	TID             int32  `parquet:"tid,dict"`
	RequestBytes    int64  `parquet:"request_bytes,dict"`
	AnswerBytes     int64  `parquet:"answer_bytes,dict"`
	RequestMessages int32  `parquet:"request_messages,dict"`
	AnswerMessages  int32  `parquet:"answer_messages,dict"`
	Flags           string `parquet:"flags,dict"` // words joined by |, "-": none
}

// NamedSample is a sample of table oncpu with its service and stack.
type NamedSample struct {
	TsUnixNs int64  `parquet:"ts_unix_ns,delta"`
	Host     string `parquet:"host,dict"`
	CPU      int32  `parquet:"cpu,dict"`
	PID      int32  `parquet:"pid,dict"`
	TID      int32  `parquet:"tid,dict"`
	Service  string `parquet:"service,dict"`
	Stack    string `parquet:"stack,dict"` // frames from the root, joined by ;
}

// NamedWait is a row of table offcpu with its service and stack.
type NamedWait struct {
	StartUnixNs int64  `parquet:"start_unix_ns,delta"`
	EndUnixNs   int64  `parquet:"end_unix_ns,delta"`
	Host        string `parquet:"host,dict"`
	PID         int32  `parquet:"pid,dict"`
	Service     string `parquet:"service,dict"`
	State       string `parquet:"state,dict"` // sleep, disk, runnable
	Stack       string `parquet:"stack,dict"` // frames from the root, joined by ;
	Count       int64  `parquet:"count,delta"`
	TotalNs     int64  `parquet:"total_ns,delta"`
	MaxNs       int64  `parquet:"max_ns,delta"`
	Waiting     int64  `parquet:"waiting,dict"`
}

// namedBatch is how many named rows are handed over at once.
const namedBatch = 1000

// EachNamedExchange calls fn with all exchanges of a capture, in the order of
// time within a segment. The services of an end are those of the processes
// that own its socket; of an end that was not recorded it is the address. The
// slice is reused.
func EachNamedExchange(ctx context.Context, path string, fn func([]NamedExchange) error) error {
	r, err := open(ctx, []string{path}, Options{})
	if err != nil {
		return err
	}
	defer closeAll(r.captures)
	g := topology.New(r.captures, r.start, r.end)
	n := exchangeNamer{capture: r.captures[0], graph: g}
	for r.parts.Next() {
		if r.parts.Read {
			g.Begin()
		}
		err := r.parts.Each(ctx, 1, func(_ int, b *replay.Batch) error { return n.each(b, fn) })
		if err != nil {
			return err
		}
		if r.parts.Spent {
			g.End(r.parts.Last, func(int, int64) bool { return false })
		}
	}
	return nil
}

// exchangeNamer names the exchanges of a capture.
type exchangeNamer struct {
	capture *replay.Capture
	graph   *topology.Graph
	rows    []NamedExchange
}

// each hands over the exchanges of a batch.
func (n *exchangeNamer) each(b *replay.Batch, fn func([]NamedExchange) error) error {
	c := b.Columns
	for i := range c.StartNs {
		n.rows = append(n.rows, n.row(b, i))
		if len(n.rows) == namedBatch || i == len(c.StartNs)-1 {
			if err := fn(n.rows); err != nil {
				return err
			}
			n.rows = n.rows[:0]
		}
	}
	return nil
}

func (n *exchangeNamer) row(b *replay.Batch, i int) NamedExchange {
	c := b.Columns
	row := NamedExchange{
		StartUnixNs: c.StartNs[i] + n.capture.OffsetNs, LatencyNs: c.UploadNs[i] + c.ServerNs[i] + c.DownloadNs[i],
		UploadNs: c.UploadNs[i], ServerNs: c.ServerNs[i], DownloadNs: c.DownloadNs[i],
		Host: n.capture.Host(), Role: "server", SocketID: c.SocketIDs[c.Socket[i]], PID: c.PID[i], TID: c.TID[i],
		RequestBytes: c.RequestBytes[i], AnswerBytes: c.AnswerBytes[i],
		RequestMessages: c.RequestMessages[i], AnswerMessages: c.AnswerMessages[i], Flags: c.Flags[i].String(),
	}
	client := c.Flags[i]&format.ExchangeClient != 0
	if client {
		row.Role = "client"
	}
	at, peer := b.Sockets[c.Socket[i]], topology.UnknownPeer
	pid, ns := row.PID, c.StartNs[i]+row.LatencyNs
	if at >= 0 {
		s := &n.capture.Sockets.List[at]
		row.LocalAddr, row.LocalPort = n.capture.Sockets.Addr(s.Local), int32(s.LocalPort)
		row.RemoteAddr, row.RemotePort = n.capture.Sockets.Addr(s.Remote), int32(s.RemotePort)
		row.ServerPort = row.LocalPort
		if client {
			row.ServerPort = row.RemotePort
		}
		if pid == 0 {
			pid = s.PID
		}
		peer = row.RemoteAddr
		if link := n.graph.Link(0, at); link.Peer >= 0 {
			peer, _ = n.owner(n.capture.Sockets.List[link.Peer].PID, ns, peer)
		}
	}
	row.Service, row.Instance = n.owner(pid, ns, UnknownProcess)
	row.Client, row.Server = peer, row.Service
	if client {
		row.Client, row.Server = row.Service, peer
	}
	return row
}

// owner names a process, or gives what stands for one that is not known.
func (n *exchangeNamer) owner(pid int32, ns int64, unknown string) (service, instance string) {
	i := n.capture.Owners.At(pid, ns)
	if i < 0 {
		return unknown, ""
	}
	o := n.capture.Owners.Get(i)
	return o.Service, o.Instance
}

// EachNamedStack calls samples and waits with the rows of oncpu and offcpu of a
// capture. The slices are reused.
func EachNamedStack(ctx context.Context, path string, samples func([]NamedSample) error, waits func([]NamedWait) error) error {
	r, err := open(ctx, []string{path}, Options{})
	if err != nil {
		return err
	}
	defer closeAll(r.captures)
	r.topology = new(topology.Topology) // names of connections are not needed
	c := r.captures[0]
	n := stackNamer{offset: c.OffsetNs, host: c.Host(), samples: samples, waits: waits}
	if err := r.flameBuilder().Rows(ctx, c, n.add); err != nil {
		return err
	}
	return n.flush(0)
}

// stackNamer collects named rows.
type stackNamer struct {
	offset     int64
	host       string
	samples    func([]NamedSample) error
	waits      func([]NamedWait) error
	sampleRows []NamedSample
	waitRows   []NamedWait
}

func (n *stackNamer) add(service string, path []string, s *format.OnCPU, w *format.OffCPU) error {
	stack := FoldedPath(path[1:]) // the first is the service
	if s != nil {
		n.sampleRows = append(n.sampleRows, NamedSample{TsUnixNs: s.TsNs + n.offset, Host: n.host, CPU: s.CPU, PID: s.PID, TID: s.TID,
			Service: service, Stack: stack})
	} else {
		state, rest := "", stack
		if w.State != 0 {
			state, rest, _ = strings.Cut(stack, ";")
		}
		n.waitRows = append(n.waitRows, NamedWait{StartUnixNs: w.StartNs + n.offset, EndUnixNs: w.EndNs + n.offset, Host: n.host, PID: w.PID,
			Service: service, State: state, Stack: rest, Count: w.Count, TotalNs: w.TotalNs, MaxNs: w.MaxNs, Waiting: w.Waiting})
	}
	return n.flush(namedBatch - 1)
}

// flush hands over lists longer than most.
func (n *stackNamer) flush(most int) error {
	if len(n.sampleRows) > most {
		if err := n.samples(n.sampleRows); err != nil {
			return err
		}
		n.sampleRows = n.sampleRows[:0]
	}
	if len(n.waitRows) > most {
		if err := n.waits(n.waitRows); err != nil {
			return err
		}
		n.waitRows = n.waitRows[:0]
	}
	return nil
}

// foldedName makes a name fit for a folded line, which may be shown on a terminal:
// what separates frames, ends lines or steers is replaced.
func foldedName(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ';':
			return ':'
		case unicode.IsControl(r):
			return ' '
		}
		return r
	}, name)
}

// FoldedPath joins names as lines of folded stacks do.
func FoldedPath(names []string) string {
	var text strings.Builder
	for i, name := range names {
		if i > 0 {
			text.WriteByte(';')
		}
		text.WriteString(foldedName(name))
	}
	return text.String()
}
