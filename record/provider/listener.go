package provider

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"kmon/format"
)

const (
	// maxFDs bounds the open files of one process that are searched for
	// listening sockets. Servers open those early, so they have low numbers.
	maxFDs = 4096
	// maxLinks bounds the open files searched in one scan, all processes.
	maxLinks = 200_000
	// maxListeners bounds the listeners remembered.
	maxListeners = 65536
	// ownerTries: a listener whose owner is not found (the kernel's own, or a
	// process of another namespace) is looked for in so many scans.
	ownerTries = 3
	// listenScans: the kernel walks the hash table of all connections of all
	// namespaces to the end for each reading of /proc/PID/net/tcp (about 1 ms),
	// so the listeners of a namespace are read when it has young processes and
	// every so many scans. Events tell of the others.
	listenScans = 8
	// youngScans: a process often begins to listen within so many scans.
	youngScans = 3
	// protocolTCP: /proc shows an MPTCP listener as its TCP subflow.
	protocolTCP = 6
)

// space is a network namespace and the processes in it, by pid.
type space struct {
	id        int64
	processes []*process
}

// namespaces groups processes by network namespace, sorted.
func namespaces(sorted []*process) []space {
	index := map[int64]int{}
	var spaces []space
	for _, e := range sorted {
		if e.kernel || e.row.NetnsID == 0 {
			continue
		}
		i, ok := index[e.row.NetnsID]
		if !ok {
			i = len(spaces)
			index[e.row.NetnsID] = i
			spaces = append(spaces, space{id: e.row.NetnsID})
		}
		spaces[i].processes = append(spaces[i].processes, e)
	}
	slices.SortFunc(spaces, func(a, b space) int { return cmp.Compare(a.id, b.id) })
	return spaces
}

// open opens a file of /proc/PID/net of any process of the namespace, for
// some may have ended.
func (s space) open(f *files, name string) (fs.File, error) {
	err := fs.ErrNotExist
	for _, e := range s.processes[:min(len(s.processes), 8)] {
		var file fs.File
		if file, err = f.root.Open(directory(e.row.PID) + "/net/" + name); err == nil {
			return file, nil
		}
	}
	return nil, err
}

// young says whether a process of the namespace is.
func (s space) young() bool {
	return slices.ContainsFunc(s.processes, func(e *process) bool { return e.scans < youngScans })
}

// listening reads the listening sockets of the namespace, by inode.
func (s space) listening(f *files) map[uint64]listenKey {
	sockets := map[uint64]listenKey{}
	for _, name := range []string{"tcp", "tcp6"} {
		if file, err := s.open(f, name); err == nil {
			readListening(file, s.id, sockets)
			file.Close()
		}
	}
	return sockets
}

// listenKey is what makes two listening sockets one listener: SO_REUSEPORT
// gives several sockets, MPTCP two.
type listenKey struct {
	netns int64
	addr  netip.Addr
	port  uint16
}

func (a listenKey) compare(b listenKey) int {
	return cmp.Or(cmp.Compare(a.netns, b.netns), a.addr.Compare(b.addr), cmp.Compare(a.port, b.port))
}

type listener struct {
	pid  int32
	sent bool
}

// listeners remembers the listeners of all namespaces.
type listeners struct {
	byKey   map[listenKey]*listener
	sockets map[int64]map[uint64]listenKey // namespace → socket inode → listener
	tries   map[uint64]int                 // socket inode → scans that did not find its owner
	ports   map[int32][]uint16
}

func newListeners() *listeners { return &listeners{byKey: map[listenKey]*listener{}} }

// portsOf returns the ports a process listened on at the last scan.
func (l *listeners) portsOf(pid int32) []uint16 { return l.ports[pid] }

// scan lists the listening sockets of each namespace and finds their owners.
func (l *listeners) scan(f *files, spaces []space, scans int) {
	listeners, tries, all := map[listenKey]*listener{}, map[uint64]int{}, map[int64]map[uint64]listenKey{}
	l.ports = map[int32][]uint16{}
	links := maxLinks
	for _, s := range spaces {
		sockets, known := l.sockets[s.id]
		if !known || s.young() || int64(scans)%listenScans == s.id%listenScans {
			sockets = s.listening(f)
		}
		all[s.id] = sockets
		var old []*process // searched in an earlier scan
		for _, e := range s.processes {
			if e.scanned {
				old = append(old, e)
			} else if len(sockets) > 0 && links > 0 {
				links -= findSockets(f, e, sockets, links)
			}
		}
		l.searchMissing(f, s, old, sockets, &links, tries)
		l.assign(s, sockets, listeners)
	}
	l.byKey, l.tries, l.sockets = listeners, tries, all
}

// searchMissing searches processes that were searched in earlier scans again,
// for sockets that have no owner yet, the youngest process first.
func (l *listeners) searchMissing(f *files, s space, old []*process, sockets map[uint64]listenKey, links *int, tries map[uint64]int) {
	missing := map[uint64]listenKey{}
	owned := map[uint64]bool{}
	for _, e := range s.processes {
		for _, inode := range e.sockets {
			owned[inode] = true
		}
	}
	for inode, key := range sockets {
		if owned[inode] {
			continue
		}
		if n := l.tries[inode]; n < ownerTries {
			missing[inode] = key
			tries[inode] = n + 1
		} else {
			tries[inode] = n
		}
	}
	if len(missing) == 0 {
		return
	}
	slices.SortStableFunc(old, func(a, b *process) int { return cmp.Compare(b.row.StartNs, a.row.StartNs) })
	for _, e := range old {
		if len(missing) == 0 || *links <= 0 {
			return
		}
		*links -= findSockets(f, e, sockets, *links)
		for _, inode := range e.sockets {
			delete(missing, inode)
			delete(tries, inode)
		}
	}
}

// assign makes listeners of sockets. The owner is the oldest process that has
// the socket open, but not the first process: it holds the sockets with which
// it activates services.
func (l *listeners) assign(s space, sockets map[uint64]listenKey, into map[listenKey]*listener) {
	owners := map[listenKey]int32{}
	for _, e := range s.processes {
		e.sockets = slices.DeleteFunc(slices.Clone(e.sockets), func(i uint64) bool { _, ok := sockets[i]; return !ok })
		for _, inode := range e.sockets {
			key := sockets[inode]
			if pid := owners[key]; pid == 0 || pid == 1 {
				owners[key] = e.row.PID
			}
			if !slices.Contains(l.ports[e.row.PID], key.port) {
				l.ports[e.row.PID] = append(l.ports[e.row.PID], key.port)
			}
		}
	}
	for _, key := range sockets {
		if _, ok := into[key]; ok || len(into) >= maxListeners {
			continue
		}
		next := &listener{pid: owners[key]}
		if old := l.byKey[key]; old != nil {
			next.sent = old.sent && old.pid == next.pid
		}
		into[key] = next
	}
}

// take returns the rows that are new or have another owner.
func (l *listeners) take(tsNs int64) []format.Listener {
	var keys []listenKey
	for key, it := range l.byKey {
		if !it.sent {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, listenKey.compare)
	rows := make([]format.Listener, len(keys))
	for i, key := range keys {
		it := l.byKey[key]
		it.sent = true
		rows[i] = format.Listener{TsNs: tsNs, NetnsID: key.netns, Addr: key.addr.String(), Port: int32(key.port), Protocol: protocolTCP, PID: it.pid}
	}
	return rows
}

// findSockets stores which of the sockets a process has open, from the links
// of /proc/PID/fd, and returns how many links it read.
func findSockets(f *files, e *process, sockets map[uint64]listenKey, limit int) int {
	dir := directory(e.row.PID) + "/fd"
	e.scanned, e.sockets = true, nil
	file, err := f.root.Open(dir)
	if err != nil {
		return 1
	}
	defer file.Close()
	list, ok := file.(fs.ReadDirFile)
	if !ok {
		return 1
	}
	entries, err := list.ReadDir(max(1, min(maxFDs, limit)))
	if err != nil && !errors.Is(err, io.EOF) && len(entries) == 0 {
		return 1
	}
	for _, entry := range entries {
		text, ok := strings.CutPrefix(f.link(dir+"/"+entry.Name()), "socket:[")
		if !ok {
			continue
		}
		inode, err := strconv.ParseUint(strings.TrimSuffix(text, "]"), 10, 64)
		if _, listens := sockets[inode]; err == nil && listens && !slices.Contains(e.sockets, inode) {
			e.sockets = append(e.sockets, inode)
		}
	}
	return len(entries) + 1
}

// readListening reads /proc/net/tcp or tcp6 into sockets, by inode. The kernel
// lists the listening sockets first (net/ipv4/tcp_ipv4.c, tcp_get_idx), so the
// reading ends at the first connection, of which there may be many thousands.
func readListening(file io.Reader, netns int64, sockets map[uint64]listenKey) {
	const listening, halfOpen = "0A", "03" // half-open ones stood between until Linux 4.4
	lines := bufio.NewScanner(file)
	for first := true; lines.Scan(); first = false {
		fields := strings.Fields(lines.Text())
		if first || len(fields) < 10 {
			continue
		}
		if fields[3] != listening {
			if fields[3] == halfOpen {
				continue
			}
			return
		}
		addr, port, ok := parseAddr(fields[1])
		inode, err := strconv.ParseUint(fields[9], 10, 64)
		if ok && err == nil && inode != 0 && len(sockets) < maxListeners {
			sockets[inode] = listenKey{netns, addr, port}
		}
	}
}

// parseAddr reads "0100007F:1F90": 32-bit words as the host stores them, the
// port in hexadecimal.
func parseAddr(text string) (netip.Addr, uint16, bool) {
	host, port, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(host)
	n, err2 := strconv.ParseUint(port, 16, 16)
	if err != nil || err2 != nil || len(raw) != 4 && len(raw) != 16 {
		return netip.Addr{}, 0, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	addr, _ := netip.AddrFromSlice(raw)
	return addr.Unmap(), uint16(n), true
}
