package format

import (
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// errNoDirectory: the file does not end with a sound central directory.
var errNoDirectory = errors.New("no sound directory at the end")

// readDirectory lists the entries by the central directory at the end of r and
// checks each against its local header. What is wrong with single entries is
// found; an error means that there is no sound directory and the caller scans.
func readDirectory(r io.ReaderAt, size int64) ([]entry, []finding, error) {
	end, err := findEnd(r, size)
	if err != nil {
		return nil, nil, err
	}
	if end.count < 0 || end.count > maxEntries || end.size < 0 || end.size > end.count*(centralHeaderLen+maxEntryNameLen+64) {
		return nil, nil, corrupt("directory of %d entries in %d bytes", end.count, end.size)
	}
	if end.offset < 0 || end.offset > size-end.size || end.offset+end.size != end.at {
		return nil, nil, errNoDirectory
	}
	buf := make([]byte, end.size)
	if _, err := r.ReadAt(buf, end.offset); err != nil {
		return nil, nil, err
	}
	if end.count > end.size/centralHeaderLen {
		return nil, nil, errNoDirectory // before memory is taken for so many
	}
	entries := make([]entry, 0, end.count)
	for range end.count {
		e, n, err := parseCentralHeader(buf)
		if err != nil {
			return nil, nil, err
		}
		entries, buf = append(entries, e), buf[n:]
	}
	if len(buf) > 0 {
		return nil, nil, errNoDirectory
	}
	entries, found := checkEntries(r, entries, end.offset)
	return entries, found, nil
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

// checkEntries holds directory records against the local headers before limit
// and gives the entries that can be read, by offset. It refuses what a Writer
// never makes: foreign names, duplicates, overlaps. An entry whose local header
// is damaged is kept, for its data are where a Writer puts them or fail their
// CRC, unless another entry begins within it: then its offset is wrong.
func checkEntries(r io.ReaderAt, entries []entry, limit int64) (good []entry, found []finding) {
	slices.SortStableFunc(entries, func(a, b entry) int { return compareInt(a.offset, b.offset) })
	names := make(map[string]bool, len(entries))
	end, before := int64(0), int64(0) // of the last good entry, and where the one before it ends
	doubtful := false                 // the last good entry's local header is damaged
	for _, e := range entries {
		err, damaged := checkName(e.name), false
		if e.offset < end && doubtful && e.offset >= before && err == nil {
			good, end, doubtful = good[:len(good)-1], before, false
		}
		switch {
		case err != nil:
		case names[e.name]:
			err = corrupt("a second entry of this name, ignored")
		case e.offset < end:
			err = corrupt("it overlaps the entry before it, ignored")
		default:
			err = locate(r, &e, limit, len(found) < maxProblems)
			if err != nil && e.data > 0 {
				found = append(found, finding{e.name, e.offset, err})
				damaged, err = true, nil
			}
		}
		if err != nil {
			found = append(found, finding{e.name, e.offset, err})
			continue
		}
		names[e.name] = true
		before, end, doubtful = end, e.data+e.size, damaged
		good = append(good, e)
	}
	return good, found
}

// locate sets where the data of a directory record are. Where directory and
// local header differ and weigh is set, the one that the data's CRC agrees with
// is right. With an error and data set they are where the Writer would have put
// them.
func locate(r io.ReaderAt, e *entry, limit int64, weigh bool) error {
	local, err := readLocalHeader(r, e.offset, limit)
	if err == nil && (local.name != e.name || local.size != e.size || local.crc != e.crc) {
		err = corrupt("directory and local header differ")
		if weigh && local.name == e.name && soundData(r, local) {
			*e = local
			return err
		}
	}
	if err == nil {
		e.data = local.data
		return nil
	}
	data := e.offset + localHeaderLen + int64(len(e.name))
	if e.offset >= 0 && data <= limit-e.size {
		e.data = data
	}
	return fmt.Errorf("local header: %w", err)
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
	name := int(le.Uint16(b[26:]))
	e := entry{offset: offset, size: int64(le.Uint32(b[22:])), crc: le.Uint32(b[14:])}
	e.data = offset + localHeaderLen + int64(name)
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
	if le.Uint16(b[8:]) != storedMethod || le.Uint32(b[18:]) != le.Uint32(b[22:]) || le.Uint16(b[6:])&^uint16(zipFlagUTF8) != 0 || le.Uint16(b[28:]) != 0 {
		return e, corrupt("the entry is compressed, encrypted, streamed or extended, a capture stores its entries")
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
