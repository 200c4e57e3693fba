package bpf

import (
	"testing"
	"unsafe"
)

// The sizes here are those asserted in record.h: a change of a record changes
// both, and with them the decoder.
func TestRecordsHaveTheSizesOfC(t *testing.T) {
	for _, test := range []struct {
		name      string
		got, want uintptr
	}{
		{"exchange_record", unsafe.Sizeof(KmonExchangeRecord{}), 80},
		{"socket_record", unsafe.Sizeof(KmonSocketRecord{}), 96},
		{"listener_record", unsafe.Sizeof(KmonListenerRecord{}), 48},
		{"queue_record", unsafe.Sizeof(KmonQueueRecord{}), 56},
		{"proc_record", unsafe.Sizeof(KmonProcRecord{}), 440},
		{"interval_record", unsafe.Sizeof(KmonIntervalRecord{}), 80},
		{"sample_record", unsafe.Sizeof(KmonSampleRecord{}), 40},
		{"io_record", unsafe.Sizeof(KmonIoRecord{}), 64},
		{"io_state", unsafe.Sizeof(KmonIoState{}), 72},
		{"kernel_stack", unsafe.Sizeof(KmonKernelStack{}), 520},
		{"user_stack", unsafe.Sizeof(KmonUserStack{}), 3080},
		{"control", unsafe.Sizeof(KmonControl{}), 16},
	} {
		if test.got != test.want {
			t.Errorf("%s has %d bytes in Go, %d in C", test.name, test.got, test.want)
		}
	}
	for name, offset := range map[string]uintptr{
		"exchange_record": unsafe.Offsetof(KmonExchangeRecord{}.Kind),
		"socket_record":   unsafe.Offsetof(KmonSocketRecord{}.Kind),
		"listener_record": unsafe.Offsetof(KmonListenerRecord{}.Kind),
		"queue_record":    unsafe.Offsetof(KmonQueueRecord{}.Kind),
		"interval_record": unsafe.Offsetof(KmonIntervalRecord{}.Kind),
		"sample_record":   unsafe.Offsetof(KmonSampleRecord{}.Kind),
		"io_record":       unsafe.Offsetof(KmonIoRecord{}.Kind),
		"proc_record":     unsafe.Offsetof(KmonProcRecord{}.Kind),
	} {
		if offset != 0 {
			t.Errorf("%s does not begin with its kind", name)
		}
	}
}

func TestEmbeddedObjectIsComplete(t *testing.T) {
	spec, err := LoadKmon()
	if err != nil {
		t.Fatal(err)
	}
	for name, prog := range spec.Programs {
		if prog.SectionName == "" || len(prog.Instructions) == 0 {
			t.Errorf("program %s is empty", name)
		}
	}
	if got, want := spec.Programs[KmonProgTcpSend].AttachTo, "sock_send_length"; got != want {
		t.Errorf("%s hangs on %q, want %q", KmonProgTcpSend, got, want)
	}
}
