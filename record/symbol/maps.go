package symbol

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
)

const (
	// maxMappings bounds the mappings with code that are kept of a process while
	// its frames are named; a browser has some 300.
	maxMappings = 8192
	// maxMapsLines bounds what is read of a process's maps: max_map_count is
	// 65530 unless it was raised.
	maxMapsLines = 256 << 10
)

// mapping is a part of a process's memory that may hold code.
type mapping struct {
	start, end uint64
	offset     uint64 // in the file
	file       inode  // zero: memory without a file
	path       string // of the file as the process sees it; or [vdso], [heap], …
}

// inode is which file is mapped.
type inode struct {
	device string // as in the text, major:minor
	number uint64
}

// readMaps reads the mappings with code of a process from /proc/PID/maps, see
// proc_pid_maps(5); nil when the process is gone.
func readMaps(path string) []mapping {
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	var all []mapping
	lines := bufio.NewScanner(file)
	lines.Buffer(make([]byte, 8<<10), 64<<10)
	for n := 0; n < maxMapsLines && len(all) < maxMappings && lines.Scan(); n++ {
		if m, ok := mapsLine(lines.Bytes()); ok {
			all = append(all, m)
		}
	}
	return all
}

// mapsLine takes a line apart; it is not ok when the mapping holds no code.
func mapsLine(line []byte) (m mapping, ok bool) {
	fields := bytes.SplitN(line, []byte(" "), 6)
	if len(fields) < 5 || len(fields[1]) < 3 || fields[1][2] != 'x' {
		return mapping{}, false
	}
	start, end, _ := bytes.Cut(fields[0], []byte("-"))
	ok = true
	number := func(text []byte, base int) uint64 {
		n, err := strconv.ParseUint(string(text), base, 64)
		ok = ok && err == nil
		return n
	}
	m = mapping{start: number(start, 16), end: number(end, 16), offset: number(fields[2], 16)}
	if number := number(fields[4], 10); number != 0 {
		m.file = inode{string(fields[3]), number}
	}
	if len(fields) == 6 {
		path := strings.TrimLeft(string(fields[5]), " ")
		path = strings.ReplaceAll(path, `\012`, "\n") // the only character the kernel escapes
		m.path = strings.TrimSuffix(path, " (deleted)")
	}
	return m, ok && m.start < m.end
}

// span names the mapping's link in map_files.
func (m mapping) span() string { return fmt.Sprintf("%x-%x", m.start, m.end) }

// mappingAt finds the mapping of an address; mappings are sorted, as the kernel
// lists them.
func mappingAt(all []mapping, addr uint64) (mapping, bool) {
	i := sort.Search(len(all), func(i int) bool { return all[i].end > addr })
	if i == len(all) || addr < all[i].start {
		return mapping{}, false
	}
	return all[i], true
}
