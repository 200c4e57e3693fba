package provider

import (
	"bufio"
	"cmp"
	"encoding/hex"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"kmon/format"
)

const (
	// maxSpaces bounds the network namespaces whose interfaces are listed.
	maxSpaces = 4096
	// maxTrie bounds the routes read of one namespace, in bytes of fib_trie: a
	// router has a million of them.
	maxTrie = 1 << 20
	// addressScans: addresses seldom change, so those of a namespace are read
	// when its interfaces changed and every so many scans.
	addressScans = 8
)

// link is one network interface.
type link struct {
	name              string
	index, mtu, speed int32
}

// interfaces remembers the interfaces of all namespaces.
type interfaces struct {
	rows  map[ifaceKey]*ifaceRow
	names map[int64]string // namespace → its interfaces, to see changes
}

type ifaceKey struct {
	netns      int64
	name, addr string
}

type ifaceRow struct {
	row  format.Interface
	sent bool
}

func newInterfaces() *interfaces {
	return &interfaces{rows: map[ifaceKey]*ifaceRow{}, names: map[int64]string{}}
}

// scan lists the interfaces of each namespace. What only /sys tells (MTU,
// speed) is known for the namespace /sys belongs to, the first process's.
func (in *interfaces) scan(f *files, spaces []space, scans int) {
	sys := f.namespace("proc/1", "net")
	if sys == 0 {
		sys = f.namespace("proc/self", "net")
	}
	names, rows := map[int64]string{}, map[ifaceKey]*ifaceRow{}
	for _, s := range spaces[:min(len(spaces), maxSpaces)] {
		devices := readDevices(f, s)
		names[s.id] = strings.Join(devices, " ")
		if old, ok := in.names[s.id]; ok && old == names[s.id] && scans%addressScans != 0 {
			for key, row := range in.rows {
				if key.netns == s.id {
					rows[key] = row
				}
			}
			continue
		}
		for _, row := range describe(f, s, devices, s.id == sys) {
			key := ifaceKey{s.id, row.Name, row.Addr}
			if old := in.rows[key]; old != nil {
				row.TsNs = old.row.TsNs
				if old.row == row {
					rows[key] = old
					continue
				}
			}
			rows[key] = &ifaceRow{row: row}
		}
	}
	in.rows, in.names = rows, names
}

// take returns the rows that are new or have changed.
func (in *interfaces) take(tsNs int64) []format.Interface {
	var rows []format.Interface
	for _, it := range in.rows {
		if !it.sent {
			it.row.TsNs, it.sent = tsNs, true
			rows = append(rows, it.row)
		}
	}
	slices.SortFunc(rows, func(a, b format.Interface) int {
		return cmp.Or(cmp.Compare(a.NetnsID, b.NetnsID), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Addr, b.Addr))
	})
	return rows
}

// describe makes the rows of one namespace: one per address, and one for each
// interface without any.
func describe(f *files, s space, devices []string, sys bool) []format.Interface {
	links := map[string]*link{}
	for _, name := range devices {
		l := &link{name: name}
		if sys {
			l.index, l.mtu = f.number("sys/class/net", name, "ifindex"), f.number("sys/class/net", name, "mtu")
			l.speed = max(0, f.number("sys/class/net", name, "speed"))
		}
		links[name] = l
	}
	addresses := map[string][]string{} // interface → addresses
	readIPv6(f, s, links, addresses)
	readIPv4(f, s, devices, addresses)
	var rows []format.Interface
	for _, name := range slices.Sorted(maps.Keys(links)) {
		l := links[name]
		list := addresses[name]
		delete(addresses, name)
		if len(list) == 0 {
			list = []string{""}
		}
		for _, addr := range list {
			rows = append(rows, format.Interface{NetnsID: s.id, Index: l.index, Name: name, Addr: addr, MTU: l.mtu, SpeedMbps: l.speed})
		}
	}
	for _, addr := range addresses[""] { // local, but on which interface is not known
		rows = append(rows, format.Interface{NetnsID: s.id, Addr: addr})
	}
	return rows
}

// lines calls do with the fields of each line of a file of /proc/PID/net.
func (s space) lines(f *files, name string, limit int64, do func(fields []string)) {
	file, err := s.open(f, name)
	if err != nil {
		return
	}
	defer file.Close()
	lines := bufio.NewScanner(io.LimitReader(file, limit))
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); len(fields) > 0 {
			do(fields)
		}
	}
}

// readDevices lists the interfaces of proc_pid_net(5) dev, sorted.
func readDevices(f *files, s space) []string {
	var names []string
	s.lines(f, "dev", maxTrie, func(fields []string) {
		if name, _, ok := strings.Cut(fields[0], ":"); ok && name != "" { // the heading has none
			names = append(names, format.Clean(name))
		}
	})
	slices.Sort(names)
	return slices.Compact(names)
}

// readIPv6 reads if_inet6: address, index, prefix length, scope, flags, name.
func readIPv6(f *files, s space, links map[string]*link, addresses map[string][]string) {
	s.lines(f, "if_inet6", maxTrie, func(fields []string) {
		if len(fields) < 6 {
			return
		}
		raw, err := hex.DecodeString(fields[0])
		index, err2 := strconv.ParseInt(fields[1], 16, 32)
		bits, err3 := strconv.ParseInt(fields[2], 16, 16)
		addr, ok := netip.AddrFromSlice(raw)
		if err != nil || err2 != nil || err3 != nil || !ok {
			return
		}
		name := format.Clean(fields[5])
		if l := links[name]; l != nil {
			l.index = int32(index)
		}
		addresses[name] = append(addresses[name], netip.PrefixFrom(addr, int(bits)).String())
	})
}

// connected is a route to a network an interface is on.
type connected struct {
	device string
	prefix netip.Prefix
}

// readIPv4 takes the local addresses from fib_trie and the interface and
// prefix length from the connected route that holds them. An address without
// one belongs, with /32, to the only interface that is not lo, if it is so.
func readIPv4(f *files, s space, devices []string, addresses map[string][]string) {
	routes := readConnected(f, s)
	others := slices.DeleteFunc(slices.Clone(devices), func(name string) bool { return name == "lo" })
	for _, addr := range readLocal(f, s) {
		best := connected{prefix: netip.PrefixFrom(addr, 32)}
		if addr.IsLoopback() {
			best = connected{"lo", netip.PrefixFrom(addr, 8)}
		} else if len(others) == 1 {
			best.device = others[0]
		}
		longest := -1
		for _, route := range routes {
			if route.prefix.Contains(addr) && route.prefix.Bits() > longest {
				longest = route.prefix.Bits()
				best = connected{route.device, netip.PrefixFrom(addr, longest)}
			}
		}
		if !slices.Contains(devices, best.device) {
			best.device = ""
		}
		addresses[best.device] = append(addresses[best.device], best.prefix.String())
	}
}

// readConnected reads the routes without a gateway of /proc/net/route: name,
// destination, gateway, flags, …, mask in the eighth field.
func readConnected(f *files, s space) []connected {
	var routes []connected
	s.lines(f, "route", maxTrie, func(fields []string) {
		if len(fields) < 8 || fields[2] != "00000000" {
			return
		}
		to, _, ok := parseAddr(fields[1] + ":0")
		mask, _, ok2 := parseAddr(fields[7] + ":0")
		if !ok || !ok2 || !to.Is4() || !mask.Is4() {
			return
		}
		bits := 0
		for _, b := range mask.As4() {
			for ; b&0x80 != 0; b <<= 1 {
				bits++
			}
		}
		if bits > 0 {
			routes = append(routes, connected{format.Clean(fields[0]), netip.PrefixFrom(to, bits).Masked()})
		}
	})
	return routes
}

// readLocal reads fib_trie, where "|-- ADDRESS" is followed by the kinds of
// routes to it: a local address has "/32 host LOCAL". Tables repeat them.
func readLocal(f *files, s space) []netip.Addr {
	var local []netip.Addr
	var last netip.Addr
	s.lines(f, "fib_trie", maxTrie, func(fields []string) {
		switch {
		case len(fields) == 2 && fields[0] == "|--":
			last, _ = netip.ParseAddr(fields[1])
		case len(fields) == 3 && fields[0] == "/32" && fields[2] == "LOCAL" && last.Is4():
			local = append(local, last)
		}
	})
	slices.SortFunc(local, netip.Addr.Compare)
	return slices.Compact(local)
}
