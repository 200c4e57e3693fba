package blockio

import (
	"strings"

	"kmon/format"
)

// Flusher is the name of the kernel's write-back of what processes wrote into
// the page cache.
const Flusher = "flusher"

// KernelThread says what a thread of the kernel is that asked for an IO. The
// threads of work queues are all one, whatever their number; those that write
// without anybody waiting for it (no IOSync) write the page cache back. So
// does a kworker at a sync(2), which cannot be told from other work.
func KernelThread(comm string, io *format.IO) string {
	if !strings.HasPrefix(comm, "kworker") {
		return comm
	}
	if io.Op == format.OperationWrite && io.Flags&format.IOSync == 0 {
		return Flusher
	}
	return "kworker"
}
