package format

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// finding is something scan saw that it should not.
type finding struct {
	name   string
	offset int64
	err    error
}

// scan lists the entries by their local headers, for a file without a sound
// directory. It steps over damage to the next thing that looks like an entry.
func scan(r io.ReaderAt, size int64) (entries []entry, found []finding) {
	names := map[string]bool{}
	offset := int64(0)
	for offset < size && len(entries) < maxEntries && len(found) < maxProblems {
		e, err := readLocalHeader(r, offset, size)
		if err == nil && !continues(r, e, size) {
			err = corrupt("the header is damaged, or the data are")
		}
		if err == nil {
			if names[e.name] {
				found = append(found, finding{e.name, offset, corrupt("a second entry of this name, ignored")})
			} else {
				names[e.name] = true
				entries = append(entries, e)
			}
			offset = e.data + e.size
			continue
		}
		if isDirectory(r, offset) {
			break
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = corrupt("the file ends within this entry")
		}
		next := nextHeader(r, offset+1, size)
		if next < size {
			err = fmt.Errorf("%w; skipped %d bytes", err, next-offset)
		}
		found = append(found, finding{e.name, offset, err})
		offset = next
	}
	return entries, found
}

// continues says whether the entry ends where it says: at the end of the file
// or where another record begins. If neither, its own CRC decides, since the
// damage may be in the record that follows.
func continues(r io.ReaderAt, e entry, size int64) bool {
	end := e.data + e.size
	if end == size || isDirectory(r, end) {
		return true
	}
	if _, err := readLocalHeader(r, end, size); err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	return soundData(r, e)
}

// soundData says whether the data of an entry agree with its CRC.
func soundData(r io.ReaderAt, e entry) bool {
	if e.size > maxEntryBytes {
		return false
	}
	h := crc32.NewIEEE()
	if _, err := io.Copy(h, io.NewSectionReader(r, e.data, e.size)); err != nil {
		return false
	}
	return h.Sum32() == e.crc
}

// isDirectory says whether a central directory or an end record begins here.
func isDirectory(r io.ReaderAt, offset int64) bool {
	var b [4]byte
	if _, err := r.ReadAt(b[:], offset); err != nil {
		return false
	}
	sig := le.Uint32(b[:])
	return sig == centralHeaderSig || sig == endSig || sig == end64Sig
}

// nextHeader finds the next sound local header at or after offset, or size.
func nextHeader(r io.ReaderAt, offset, size int64) int64 {
	const block = 256 << 10
	sig := le.AppendUint32(nil, localHeaderSig)
	buf := make([]byte, block)
	for offset < size {
		n, err := r.ReadAt(buf[:min(block, size-offset)], offset)
		if err != nil && err != io.EOF || n < len(sig) {
			return size
		}
		for at := 0; ; {
			i := bytes.Index(buf[at:n], sig)
			if i < 0 {
				break
			}
			at += i
			if _, err := readLocalHeader(r, offset+int64(at), size); err == nil {
				return offset + int64(at)
			}
			at += len(sig)
		}
		if offset+int64(n) >= size {
			return size
		}
		offset += int64(n - len(sig) + 1)
	}
	return size
}
