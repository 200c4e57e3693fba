package format

import (
	"errors"
	"io"
	"path"
	"slices"
	"strings"
)

// errNoDirectory: the file does not end with a sound central directory.
var errNoDirectory = errors.New("no sound directory at the end")

// readDirectory lists the entries by the central directory at the end of r and
// checks each against its local header. Any doubt gives errNoDirectory or a
// corrupt error, and the caller scans instead.
func readDirectory(r io.ReaderAt, size int64) ([]entry, error) {
	end, err := findEnd(r, size)
	if err != nil {
		return nil, err
	}
	if end.count > maxEntries || end.size > end.count*(centralHeaderLen+maxEntryNameLen+64) {
		return nil, corrupt("directory of %d entries in %d bytes", end.count, end.size)
	}
	if end.offset < 0 || end.size < 0 || end.offset > size-end.size || end.offset+end.size != end.at {
		return nil, errNoDirectory
	}
	buf := make([]byte, end.size)
	if _, err := r.ReadAt(buf, end.offset); err != nil {
		return nil, err
	}
	entries := make([]entry, 0, end.count)
	for range end.count {
		e, n, err := parseCentralHeader(buf)
		if err != nil {
			return nil, err
		}
		entries, buf = append(entries, e), buf[n:]
	}
	if len(buf) > 0 {
		return nil, errNoDirectory
	}
	return entries, checkEntries(r, entries, end.offset)
}

// endRecord says where the central directory is.
type endRecord struct {
	at     int64 // where the directory must end
	count  int64
	size   int64
	offset int64
}

// findEnd finds the end record, which may be followed by a comment.
func findEnd(r io.ReaderAt, size int64) (endRecord, error) {
	n := min(size, endLen+1<<16)
	buf := make([]byte, n)
	if _, err := r.ReadAt(buf, size-n); err != nil && err != io.EOF {
		return endRecord{}, err
	}
	for i := len(buf) - endLen; i >= 0; i-- {
		b := buf[i:]
		if le.Uint32(b) != endSig || endLen+int(le.Uint16(b[20:])) != len(b) {
			continue
		}
		e := endRecord{
			at:     size - n + int64(i),
			count:  int64(le.Uint16(b[10:])),
			size:   int64(le.Uint32(b[12:])),
			offset: int64(le.Uint32(b[16:])),
		}
		if e.count == zip64Count || e.size == zip64Size || e.offset == zip64Size {
			return findEnd64(r, e)
		}
		return e, nil
	}
	return endRecord{}, errNoDirectory
}

// findEnd64 reads the zip64 end record before the end record e.
func findEnd64(r io.ReaderAt, e endRecord) (endRecord, error) {
	var b [end64Len + end64LocatorLen]byte
	at := e.at - int64(len(b))
	if at < 0 {
		return e, errNoDirectory
	}
	if _, err := r.ReadAt(b[:], at); err != nil {
		return e, err
	}
	locator := b[end64Len:]
	if le.Uint32(b[:]) != end64Sig || le.Uint32(locator) != end64LocatorSig || int64(le.Uint64(locator[8:])) != at {
		return e, errNoDirectory
	}
	return endRecord{
		at:     at,
		count:  int64(le.Uint64(b[32:])),
		size:   int64(le.Uint64(b[40:])),
		offset: int64(le.Uint64(b[48:])),
	}, nil
}

// parseCentralHeader reads one directory record of n bytes.
func parseCentralHeader(b []byte) (e entry, n int, err error) {
	if len(b) < centralHeaderLen || le.Uint32(b) != centralHeaderSig {
		return e, 0, errNoDirectory
	}
	name, extra, comment := int(le.Uint16(b[28:])), int(le.Uint16(b[30:])), int(le.Uint16(b[32:]))
	n = centralHeaderLen + name + extra + comment
	if len(b) < n {
		return e, 0, errNoDirectory
	}
	e = entry{
		name:   string(b[centralHeaderLen : centralHeaderLen+name]),
		offset: int64(le.Uint32(b[centralOffsetOffset:])),
		size:   int64(le.Uint32(b[24:])),
		crc:    le.Uint32(b[16:]),
	}
	if e.offset == zip64Size {
		e.offset = zip64Offset(b[centralHeaderLen+name : centralHeaderLen+name+extra])
	}
	if le.Uint16(b[10:]) != storedMethod || le.Uint32(b[20:]) != le.Uint32(b[24:]) {
		return e, n, corrupt("entry %q is compressed, a capture stores its entries", e.name)
	}
	return e, n, nil
}

// zip64Offset finds the 8-byte offset in a central header's extra fields; -1
// when there is none.
func zip64Offset(extra []byte) int64 {
	for len(extra) >= 4 {
		id, n := le.Uint16(extra), int(le.Uint16(extra[2:]))
		if len(extra)-4 < n {
			break
		}
		if id == zip64ExtraID && n >= 8 {
			return int64(le.Uint64(extra[4:]))
		}
		extra = extra[4+n:]
	}
	return -1
}

// checkEntries holds directory records against the local headers before limit,
// and refuses what a Writer never makes: foreign names, duplicates, overlaps.
func checkEntries(r io.ReaderAt, entries []entry, limit int64) error {
	names := make(map[string]bool, len(entries))
	for i := range entries {
		e := &entries[i]
		if err := checkName(e.name); err != nil {
			return err
		}
		if names[e.name] {
			return corrupt("two entries are called %q", e.name)
		}
		names[e.name] = true
		local, err := readLocalHeader(r, e.offset, limit)
		if err != nil {
			return err
		}
		if local.name != e.name || local.size != e.size || local.crc != e.crc {
			return corrupt("directory and local header of %q differ", e.name)
		}
		e.data = local.data
	}
	byOffset := slices.SortedFunc(slices.Values(entries), func(a, b entry) int { return compareInt(a.offset, b.offset) })
	for i := 1; i < len(byOffset); i++ {
		if byOffset[i-1].data+byOffset[i-1].size > byOffset[i].offset {
			return corrupt("entries %q and %q overlap", byOffset[i-1].name, byOffset[i].name)
		}
	}
	return nil
}

// readLocalHeader reads the local header at offset; header and data must lie
// before limit.
func readLocalHeader(r io.ReaderAt, offset, limit int64) (entry, error) {
	var b [localHeaderLen + maxEntryNameLen]byte
	if offset < 0 || offset > limit-localHeaderLen {
		return entry{}, io.ErrUnexpectedEOF
	}
	n, err := r.ReadAt(b[:min(int64(len(b)), limit-offset)], offset)
	if err != nil && err != io.EOF {
		return entry{}, err
	}
	if n < localHeaderLen {
		return entry{}, io.ErrUnexpectedEOF
	}
	if le.Uint32(b[:]) != localHeaderSig {
		return entry{}, corrupt("no entry begins here")
	}
	name, extra := int(le.Uint16(b[26:])), int64(le.Uint16(b[28:]))
	e := entry{offset: offset, size: int64(le.Uint32(b[22:])), crc: le.Uint32(b[14:])}
	e.data = offset + localHeaderLen + int64(name) + extra
	if name > maxEntryNameLen {
		return e, corrupt("entry name of %d bytes", name)
	}
	if localHeaderLen+name > n {
		return e, io.ErrUnexpectedEOF
	}
	e.name = string(b[localHeaderLen : localHeaderLen+name])
	if err := checkName(e.name); err != nil {
		return e, err
	}
	if le.Uint16(b[8:]) != storedMethod || le.Uint32(b[18:]) != le.Uint32(b[22:]) || le.Uint16(b[6:])&^uint16(zipFlagUTF8) != 0 {
		return e, corrupt("entry %q is compressed, encrypted or streamed, a capture stores its entries", e.name)
	}
	if e.data+e.size > limit {
		return e, io.ErrUnexpectedEOF
	}
	return e, nil
}

// checkName refuses names that could lead outside a directory when unpacked.
func checkName(name string) error {
	if name == "" || path.Clean(name) != name || name[0] == '/' || strings.HasPrefix(name, "..") ||
		strings.ContainsAny(name, "\\:\x00") {
		return corrupt("entry name %q", name)
	}
	for _, c := range []byte(name) {
		if c < 0x20 || c > 0x7e {
			return corrupt("entry name %q", name)
		}
	}
	return nil
}
