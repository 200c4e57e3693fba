package probe

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// kernelTypes is where the kernel offers its own type information.
const kernelTypes = "/sys/kernel/btf/vmlinux"

// kernelEnumValue finds a value by its name in any enumeration of the running
// kernel.
func kernelEnumValue(name string) (uint32, error) {
	f, err := os.Open(kernelTypes)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return enumValue(f, name)
}

// btfHeader begins type information (include/uapi/linux/btf.h). Offsets count
// from its end.
type btfHeader struct {
	Magic            uint16
	Version, Flags   uint8
	Size             uint32
	TypeOff, TypeLen uint32
	TextOff, TextLen uint32
}

const (
	btfMagic = 0xeb9f
	btfEnum  = 6
)

// btfTails is what follows a type by its kind: bytes, and bytes for each of its
// members.
var btfTails = [...]struct{ bytes, each int }{
	1: {4, 0}, 3: {12, 0}, 4: {0, 12}, 5: {0, 12}, btfEnum: {0, 8},
	13: {0, 8}, 14: {4, 0}, 15: {0, 12}, 17: {4, 0}, 19: {0, 12},
}

// enumValue finds a value of an enumeration, which may have no name itself:
// btf.Spec finds those only by decoding all types, which takes more memory than
// all else a recorder does. This reads through them once.
func enumValue(r io.ReaderAt, name string) (uint32, error) {
	var h btfHeader
	if err := binary.Read(io.NewSectionReader(r, 0, 1<<10), binary.NativeEndian, &h); err != nil {
		return 0, fmt.Errorf("read %s: %w", kernelTypes, err)
	}
	if h.Magic != btfMagic {
		return 0, fmt.Errorf("%s is not of this machine", kernelTypes)
	}
	at, err := offsetOf(io.NewSectionReader(r, int64(h.Size)+int64(h.TextOff), int64(h.TextLen)), name)
	if err != nil {
		return 0, err
	}
	types := bufio.NewReader(io.NewSectionReader(r, int64(h.Size)+int64(h.TypeOff), int64(h.TypeLen)))
	for {
		var t struct{ Name, Info, Size uint32 }
		if err := binary.Read(types, binary.NativeEndian, &t); err != nil {
			if errors.Is(err, io.EOF) {
				return 0, fmt.Errorf("the kernel has no enumeration with %s", name)
			}
			return 0, fmt.Errorf("read %s: %w", kernelTypes, err)
		}
		kind, members := int(t.Info>>24&0x1f), int(t.Info&0xffff)
		if kind == btfEnum {
			value, found, err := memberValue(types, members, at)
			if found || err != nil {
				return value, err
			}
			continue
		}
		if kind < len(btfTails) {
			if _, err := types.Discard(btfTails[kind].bytes + btfTails[kind].each*members); err != nil {
				return 0, fmt.Errorf("read %s: %w", kernelTypes, err)
			}
		}
	}
}

// memberValue reads the members of an enumeration and looks for the one whose
// name lies at an offset.
func memberValue(r io.Reader, members int, name uint32) (value uint32, found bool, err error) {
	for range members {
		var m struct{ Name, Value uint32 }
		if err := binary.Read(r, binary.NativeEndian, &m); err != nil {
			return 0, false, fmt.Errorf("read %s: %w", kernelTypes, err)
		}
		if m.Name == name {
			value, found = m.Value, true
		}
	}
	return value, found, nil
}

// offsetOf finds a text among texts that end with NULs.
func offsetOf(r io.Reader, text string) (uint32, error) {
	texts := bufio.NewReader(r)
	for at := 0; ; {
		line, err := texts.ReadSlice(0)
		if errors.Is(err, bufio.ErrBufferFull) {
			at += len(line)
			continue // longer than any name looked for
		}
		if err != nil {
			return 0, fmt.Errorf("the kernel has no %s", text)
		}
		if bytes.Equal(line[:len(line)-1], []byte(text)) {
			return uint32(at), nil
		}
		at += len(line)
	}
}
