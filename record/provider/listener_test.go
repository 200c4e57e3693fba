package provider

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"kmon/format"
)

const listenerNode = `
file net1/tcp
	  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
	   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 501 1 0 100 0 0 10 0
proc 20 comm=web exe=/srv/web fds=501,777 args: web
proc 21 parent=20 comm=web exe=/srv/web fds=501 args: web
proc 30 comm=late exe=/srv/late args: late
`

const listenerLine = "   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 502 1 0 100 0 0 10 0\n"

// TestListenerLater: a process that begins to listen long after its start is
// found, though the listeners are not read in every scan.
func TestListenerLater(t *testing.T) {
	n := parseNode(t, listenerNode)
	p := newProvider(t, n.root, "")
	if s := p.Snapshot(1); len(s.Listeners) != 1 || s.Listeners[0].PID != 20 {
		t.Fatalf("first: %+v", s.Listeners)
	}
	for range 20 {
		if s := p.Snapshot(2); len(s.Listeners) != 0 {
			t.Fatalf("nothing changed: %+v", s.Listeners)
		}
	}
	n.root["net1/tcp"].Data = append(n.root["net1/tcp"].Data, listenerLine...)
	n.root["proc/30/fd/3"] = symlink("socket:[502]")
	var rows []format.Listener
	for range listenScans {
		rows = append(rows, p.Snapshot(3).Listeners...)
	}
	if want := (format.Listener{TsNs: 3, NetnsID: 1, Addr: "127.0.0.1", Port: 8080, Protocol: 6, PID: 30}); len(rows) != 1 || rows[0] != want {
		t.Errorf("got %+v, want %+v", rows, want)
	}
	if got := p.listeners.portsOf(21); !slices.Equal(got, []uint16{80}) {
		t.Errorf("the forked worker listens on %v, want 80", got)
	}
}

// TestListenerOwnerEnds: the socket outlives its first owner in a child.
func TestListenerOwnerEnds(t *testing.T) {
	n := parseNode(t, listenerNode)
	p := newProvider(t, n.root, "")
	p.Snapshot(1)
	n.remove("proc/20")
	s := p.Snapshot(2)
	if len(s.Listeners) != 1 || s.Listeners[0].PID != 21 || s.Listeners[0].Port != 80 {
		t.Errorf("got %+v", s.Listeners)
	}
}

// TestListenerWithoutOwner: the search for an owner ends, so that it does not
// cost every scan.
func TestListenerWithoutOwner(t *testing.T) {
	n := parseNode(t, listenerNode)
	n.root["net1/tcp"].Data = append(n.root["net1/tcp"].Data, listenerLine...)
	opened := 0
	p := newProvider(t, faulty{MapFS: n.root, onOpen: func(name string) {
		if strings.HasSuffix(name, "/fd") {
			opened++
		}
	}}, "")
	for range 30 {
		p.Snapshot(1)
	}
	// Three processes: once each when new, once more each in two further
	// tries, and once after they settled.
	if opened > 3*(1+ownerTries) {
		t.Errorf("%d searches of open files", opened)
	}
	if it := p.listeners.byKey[listenKey{1, netip.MustParseAddr("127.0.0.1"), 8080}]; it == nil || it.pid != 0 {
		t.Errorf("got %+v", it)
	}
}

func TestParseAddr(t *testing.T) {
	for text, want := range map[string]string{
		"0100007F:0050":                         "127.0.0.1:80",
		"00000000:FFFF":                         "0.0.0.0:65535",
		"0000000000000000FFFF00000200A8C0:1F90": "192.168.0.2:8080", // IPv4-mapped
		"000080FE00000000FF00FC00010000FE:0016": "[fe80::fc:ff:fe00:1]:22",
	} {
		addr, port, ok := parseAddr(text)
		if got := netip.AddrPortFrom(addr, port).String(); !ok || got != want {
			t.Errorf("%s: got %s, %v, want %s", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "x", "0100007F", "0100007F:", "0100007F:12345", "01:50", "zz00007F:0050"} {
		if addr, port, ok := parseAddr(text); ok {
			t.Errorf("%q gives %v %d", text, addr, port)
		}
	}
}

// TestReadListeningStops: connections after the listeners are not read.
func TestReadListeningStops(t *testing.T) {
	const connection = "   2: 0100007F:1539 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 9010 1 0 100 0 0 10 0\n"
	text := "  sl  local_address\n" + listenerLine + strings.Repeat(connection, 10_000)
	r := strings.NewReader(text)
	sockets := map[uint64]listenKey{}
	readListening(r, 1, sockets)
	if len(sockets) != 1 || r.Len() < len(text)-64<<10 {
		t.Errorf("found %d, read %d bytes", len(sockets), len(text)-r.Len())
	}
}

// TestInterfaceChange: an address that comes later makes a row, unchanged ones
// do not.
func TestInterfaceChange(t *testing.T) {
	n := readNode(t, "testdata/docker-compose.node")
	p := newProvider(t, n.root, "")
	if s := p.Snapshot(1); len(s.Interfaces) != 4 {
		t.Fatalf("first: %+v", s.Interfaces)
	}
	n.root["net2/if_inet6"].Data = append(n.root["net2/if_inet6"].Data, "fd000000000000000000000000000007 1a 30 00 80     eth0\n"...)
	var rows []format.Interface
	for range addressScans {
		rows = append(rows, p.Snapshot(2).Interfaces...)
	}
	if want := (format.Interface{TsNs: 2, NetnsID: 2, Index: 26, Name: "eth0", Addr: "fd00::7/48"}); len(rows) != 1 || rows[0] != want {
		t.Errorf("got %+v, want %+v", rows, want)
	}
}

// TestAddressWithoutRoute: a pod's address of some network plugins has /32 and
// no connected route; it is the only interface's.
func TestAddressWithoutRoute(t *testing.T) {
	n := readNode(t, "testdata/docker-compose.node")
	n.root["proc/700/net/route"] = n.root["net2/route"]
	n.root["net2/route"].Data = []byte("Iface\tDestination\tGateway\tFlags\n")
	s := newProvider(t, n.root, "").Snapshot(1)
	if !slices.ContainsFunc(s.Interfaces, func(i format.Interface) bool { return i.Name == "eth0" && i.Addr == "172.17.0.2/32" }) {
		t.Errorf("got %+v", s.Interfaces)
	}
}

// FuzzNodeTexts holds that no text of /proc makes a reader panic, and that
// rows hold what rows may.
func FuzzNodeTexts(f *testing.F) {
	f.Add("22 1 8:1 / /a\\040b rw - ext4 /dev/sda1 rw\n")
	f.Add("0100007F:1F90")
	f.Add("1 1 4294967295:4294967295 / \\777 - \\ \\9\n")
	f.Fuzz(func(t *testing.T, text string) {
		if addr, _, ok := parseAddr(text); ok && !addr.IsValid() {
			t.Errorf("%q is an address that is none", text)
		}
		for _, m := range parseMounts(text, 1) {
			if !fit(m.Point) || !fit(m.Type) || !fit(m.Source) {
				t.Errorf("%q gives the mount %+v", text, m)
			}
		}
	})
}
