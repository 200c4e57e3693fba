package format

import (
	"encoding/binary"
	"math"
)

// The few records of the ZIP format that a capture uses (PKWARE APPNOTE 6.3):
// stored entries whose local header has size and CRC, no data descriptors.
const (
	localHeaderSig      = 0x04034b50
	centralHeaderSig    = 0x02014b50
	endSig              = 0x06054b50
	end64Sig            = 0x06064b50
	end64LocatorSig     = 0x07064b50
	localHeaderLen      = 30
	centralHeaderLen    = 46
	endLen              = 22
	end64Len            = 56
	end64LocatorLen     = 20
	maxEndLen           = endLen + end64Len + end64LocatorLen
	zip64ExtraID        = 0x0001
	zipVersionStored    = 20        // version needed to extract a stored entry
	zipVersion64        = 45        // with zip64
	zipCreatorUnix      = 3 << 8    // upper byte of "version made by"
	zipFlagUTF8         = 1 << 11   // names are UTF-8
	zipMode             = 0o100600  // regular file, mode 0600
	zipDate             = 1<<5 | 1  // 1980-01-01: entries carry no time, the manifest does
	zip64Count          = 0xFFFF    // from this many entries on, zip64
	zip64Size           = 1<<32 - 1 // from this offset or size on, zip64
	centralExtraZip64   = 12        // an extra field with one 8-byte offset
	storedMethod        = 0
	centralOffsetOffset = 42 // of the local header offset in a central header
)

var le = binary.LittleEndian

// entry is one file in the archive.
type entry struct {
	name   string
	offset int64 // of the local header
	size   int64 // of the data
	crc    uint32
	data   int64 // offset of the data; only when read from a file
}

// putLocalHeader fills dst, which has localHeaderLen+len(name) bytes.
func putLocalHeader(dst []byte, e entry) {
	le.PutUint32(dst[0:], localHeaderSig)
	le.PutUint16(dst[4:], zipVersionStored)
	le.PutUint16(dst[6:], zipFlagUTF8)
	le.PutUint16(dst[8:], storedMethod)
	le.PutUint16(dst[10:], 0)
	le.PutUint16(dst[12:], zipDate)
	le.PutUint32(dst[14:], e.crc)
	le.PutUint32(dst[18:], uint32(e.size))
	le.PutUint32(dst[22:], uint32(e.size))
	le.PutUint16(dst[26:], uint16(len(e.name)))
	le.PutUint16(dst[28:], 0)
	copy(dst[localHeaderLen:], e.name)
}

// appendCentralHeader appends the directory record of e.
func appendCentralHeader(dst []byte, e entry) []byte {
	version, offset, extra := uint16(zipVersionStored), uint32(e.offset), uint16(0)
	if e.offset >= zip64Size {
		version, offset, extra = zipVersion64, math.MaxUint32, centralExtraZip64
	}
	dst = le.AppendUint32(dst, centralHeaderSig)
	dst = le.AppendUint16(dst, zipCreatorUnix|version)
	dst = le.AppendUint16(dst, version)
	dst = le.AppendUint16(dst, zipFlagUTF8)
	dst = le.AppendUint16(dst, storedMethod)
	dst = le.AppendUint16(dst, 0)
	dst = le.AppendUint16(dst, zipDate)
	dst = le.AppendUint32(dst, e.crc)
	dst = le.AppendUint32(dst, uint32(e.size))
	dst = le.AppendUint32(dst, uint32(e.size))
	dst = le.AppendUint16(dst, uint16(len(e.name)))
	dst = le.AppendUint16(dst, extra)
	dst = le.AppendUint16(dst, 0) // comment
	dst = le.AppendUint16(dst, 0) // disk
	dst = le.AppendUint16(dst, 0) // internal attributes
	dst = le.AppendUint32(dst, zipMode<<16)
	dst = le.AppendUint32(dst, offset)
	dst = append(dst, e.name...)
	if extra != 0 {
		dst = le.AppendUint16(dst, zip64ExtraID)
		dst = le.AppendUint16(dst, 8)
		dst = le.AppendUint64(dst, uint64(e.offset))
	}
	return dst
}

// appendEnd appends the end record(s) of a directory of n entries and size
// bytes that begins at offset.
func appendEnd(dst []byte, n int, size, offset int64) []byte {
	if n >= zip64Count || offset >= zip64Size || size >= zip64Size {
		dst = appendEnd64(dst, n, size, offset)
	}
	count := uint16(min(n, math.MaxUint16))
	dst = le.AppendUint32(dst, endSig)
	dst = le.AppendUint32(dst, 0) // disks
	dst = le.AppendUint16(dst, count)
	dst = le.AppendUint16(dst, count)
	dst = le.AppendUint32(dst, uint32(min(size, math.MaxUint32)))
	dst = le.AppendUint32(dst, uint32(min(offset, math.MaxUint32)))
	return le.AppendUint16(dst, 0) // comment
}

// appendEnd64 appends the zip64 end record and its locator.
func appendEnd64(dst []byte, n int, size, offset int64) []byte {
	dst = le.AppendUint32(dst, end64Sig)
	dst = le.AppendUint64(dst, end64Len-12)
	dst = le.AppendUint16(dst, zipCreatorUnix|zipVersion64)
	dst = le.AppendUint16(dst, zipVersion64)
	dst = le.AppendUint64(dst, 0) // disks
	dst = le.AppendUint64(dst, uint64(n))
	dst = le.AppendUint64(dst, uint64(n))
	dst = le.AppendUint64(dst, uint64(size))
	dst = le.AppendUint64(dst, uint64(offset))
	dst = le.AppendUint32(dst, end64LocatorSig)
	dst = le.AppendUint32(dst, 0)
	dst = le.AppendUint64(dst, uint64(offset+size))
	return le.AppendUint32(dst, 1)
}
