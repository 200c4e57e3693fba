package probe

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
)

// ErrTooOld is that of a kernel on which nothing can be recorded for its age.
var ErrTooOld = errors.New("this kernel is too old: eBPF programs that trace it cannot keep state with its threads and sockets, as they can since Linux 5.11")

// taskStorage is the type of map that came with 5.11.
const taskStorage = "bpf_map_type.BPF_MAP_TYPE_TASK_STORAGE"

// checkKernel says in one sentence why nothing can be recorded on a kernel
// that lets programs trace it, and nil where something can.
func checkKernel() error {
	if err := features.HaveMapType(ebpf.TaskStorage); errors.Is(err, ebpf.ErrNotSupported) {
		return ErrTooOld
	}
	if err := tryReading(); err != nil {
		return fmt.Errorf("eBPF programs may not read this kernel's memory, as when it is locked down for confidentiality (/sys/kernel/security/lockdown): %s", firstLine(err))
	}
	return nil
}

// tryReading loads a program that would read the kernel's memory.
func tryReading() error {
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.Tracing, AttachType: ebpf.AttachTraceRawTp, AttachTo: "inet_sock_set_state", License: "GPL",
		Instructions: append(asm.Instructions{
			asm.Mov.Reg(asm.R1, asm.RFP), asm.Add.Imm(asm.R1, -8), asm.Mov.Imm(asm.R2, 8), asm.Mov.Imm(asm.R3, 0),
			asm.FnProbeReadKernel.Call(),
		}, returnZero()...),
	})
	if err != nil {
		return err
	}
	return prog.Close()
}
