package probe

import (
	"net/netip"
	"slices"
	"testing"
	"unsafe"

	"kmon/bpf"
	"kmon/format"
)

func bytesOf[T any](v *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v))
}

func words4(text string) (w [4]uint32) {
	addr := netip.MustParseAddr(text)
	b := unsafe.Slice((*byte)(unsafe.Pointer(&w)), 16)
	if addr.Is4() {
		copy(b, addr.AsSlice())
	} else {
		b16 := addr.As16()
		copy(b, b16[:])
	}
	return w
}

func setText(to []int8, text string) {
	for i := range text {
		to[i] = int8(text[i])
	}
}

func TestDecodeExchange(t *testing.T) {
	in := bpf.KmonExchangeRecord{
		Kind: 1, Flags: 65, Cookie: 7, StartNs: 1, Upload: 2, Server: 3, ServerShift: 10, Download: 1<<32 - 1, DownloadShift: 20,
		RequestBytes: 5, AnswerBytes: 6, RequestMessages: 8, AnswerMessages: 9, Tgid: 10, Tid: 11,
		Parts: bpf.KmonThreadAccount{RunQueue: 1, Lock: 2, Disk: 3, Network: 1<<32 - 1, Sleep: 5, Other: 6},
	}
	want := format.Exchange{
		SocketID: 7, StartNs: 1, UploadNs: 2, ServerNs: 3072, DownloadNs: (1<<32 - 1) << 20, RequestBytes: 5, AnswerBytes: 6,
		RequestMessages: 8, AnswerMessages: 9, PID: 10, TID: 11, Flags: format.ExchangeClient | format.ExchangeClosed,
		RunQueueNs: 64, LockNs: 128, DiskNs: 192, NetworkNs: (1<<32 - 1) << 6, SleepNs: 320, OtherWaitNs: 384,
	}
	var d Decoder
	batch := append(append([]byte{}, bytesOf(&in)...), bytesOf(&in)...)
	if got := d.exchanges(nil, batch); len(got) != 2 || got[0] != want || got[1] != want || d.Undecodable != 0 {
		t.Errorf("got %+v, want twice %+v", got, want)
	}
	if got := d.exchanges(nil, batch[:len(batch)-1]); len(got) != 1 || d.Undecodable != 1 {
		t.Errorf("a cut batch gives %d rows, %d undecodable", len(got), d.Undecodable)
	}
	in.Kind = 2
	if got := d.exchanges(nil, bytesOf(&in)); len(got) != 0 || d.Undecodable != 2 {
		t.Errorf("a record of another kind was taken for an exchange")
	}
}

func TestDecodeSocketAddresses(t *testing.T) {
	for _, test := range []struct {
		family        uint16
		in, addr      string
		decodedFamily int32
	}{
		{afInet, "10.1.2.3", "10.1.2.3", 4},
		{afInet6, "2001:db8::1", "2001:db8::1", 6},
		{afInet6, "::ffff:10.1.2.3", "10.1.2.3", 4},
		{99, "1.2.3.4", "", 0},
	} {
		in := bpf.KmonSocketRecord{
			Kind: 2, NetnsId: 5, TsNs: 1, Cookie: 2, LocalAddr: words4(test.in), RemoteAddr: words4(test.in), Family: test.family,
			LocalPort: 80, RemotePort: 4000, Tgid: 3, Event: 3, Role: 2, RoleSource: 1, CloseReason: 4, BytesSent: 6, BytesReceived: 7, Retransmits: 8, Srtt: 9,
		}
		want := format.Socket{
			TsNs: 1, SocketID: 2, Event: format.SocketClose, Role: format.RoleServer, RoleSource: format.RoleSourceConnect,
			Family: test.decodedFamily, NetnsID: 5, LocalAddr: test.addr, RemoteAddr: test.addr, LocalPort: 80, RemotePort: 4000,
			PID: 3, CloseReason: format.CloseResetReceived, BytesSent: 6, BytesReceived: 7, Retransmits: 8, SRTTNs: 1125,
		}
		var d Decoder
		if got := d.Control(bytesOf(&in)); got != want {
			t.Errorf("%s: got %+v, want %+v", test.in, got, want)
		}
	}
}

func TestDecodeProc(t *testing.T) {
	in := bpf.KmonProcRecord{
		Kind: 4, Event: 2, TsNs: 9, StartBoottimeNs: 12_345_678_901, CgroupId: 3, Tgid: 100, ParentTgid: 1, PidnsPid: 7, ExitCode: 0x300,
		ExeLen: 8, ArgsLen: 9,
	}
	setText(in.Comm[:], "sh\x00junk")
	setText(in.Exe[:], "/bin/sh\x00junk")
	setText(in.Args[:], "sh\x00-c\x00\xff x\x00junk")
	d := Decoder{BootOffsetNs: 1_000_000_000}
	want := format.Proc{
		TsNs: 9, Event: format.ProcExec, PID: 100, ParentPID: 1, StartNs: 11_340_000_000, Comm: "sh", Exe: "/bin/sh",
		Cmdline: "sh -c \uFFFD x", CgroupID: 3, PidnsPID: 7, ExitCode: 0x300,
	}
	got, _ := d.Control(bytesOf(&in)).(Proc)
	if got.Proc != want || !slices.Equal(got.Args, []string{"sh", "-c", "\uFFFD x"}) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	in.Event = 3
	want.Event, want.Exe, want.Cmdline = format.ProcExit, "", ""
	in.ExeLen, in.ArgsLen = 0, 0
	if got, _ = d.Control(bytesOf(&in)[:shortProc]).(Proc); got.Proc != want || got.Args != nil {
		t.Errorf("short record: got %+v\nwant %+v", got, want)
	}
	setText(in.Args[:], "mysql\x00-phunter2\x00")
	in.Event, in.ArgsLen = 2, 16
	if got, _ = d.Control(bytesOf(&in)).(Proc); got.Cmdline != "mysql -p***" || !slices.Equal(got.Args, []string{"mysql", "-phunter2"}) {
		t.Errorf("a secret: got %+v", got)
	}
	setText(in.Comm[:], "a\x1bb\x00")
	setText(in.Exe[:], "/a\nb\x00")
	setText(in.Args[:], "sh\x00\x1b[2J\x00")
	in.ExeLen, in.ArgsLen = 5, 8
	if got, _ = d.Control(bytesOf(&in)).(Proc); got.Comm != "a b" || got.Exe != "/a b" || got.Cmdline != "sh  [2J" || !slices.Equal(got.Args, []string{"sh", " [2J"}) {
		t.Errorf("control characters: got %+v", got)
	}
}

// The enumerations of the kernel's side and the file's are the same numbers.
func TestEnumerationsAgree(t *testing.T) {
	type pair struct{ kernel, file int64 }
	for name, p := range map[string]pair{
		"client":         {int64(bpf.KmonExchangeFlagsEXCHANGE_CLIENT), int64(format.ExchangeClient)},
		"partial":        {int64(bpf.KmonExchangeFlagsEXCHANGE_PARTIAL), int64(format.ExchangePartial)},
		"continued":      {int64(bpf.KmonExchangeFlagsEXCHANGE_CONTINUED), int64(format.ExchangeContinued)},
		"no request":     {int64(bpf.KmonExchangeFlagsEXCHANGE_NO_REQUEST), int64(format.ExchangeNoRequest)},
		"no answer":      {int64(bpf.KmonExchangeFlagsEXCHANGE_NO_ANSWER), int64(format.ExchangeNoAnswer)},
		"open":           {int64(bpf.KmonExchangeFlagsEXCHANGE_OPEN), int64(format.ExchangeOpen)},
		"closed":         {int64(bpf.KmonExchangeFlagsEXCHANGE_CLOSED), int64(format.ExchangeClosed)},
		"interleaved":    {int64(bpf.KmonExchangeFlagsEXCHANGE_INTERLEAVED), int64(format.ExchangeInterleaved)},
		"stream":         {int64(bpf.KmonExchangeFlagsEXCHANGE_STREAM), int64(format.ExchangeStream)},
		"idle":           {int64(bpf.KmonExchangeFlagsEXCHANGE_IDLE), int64(format.ExchangeIdle)},
		"joined":         {int64(bpf.KmonExchangeFlagsEXCHANGE_JOINED), int64(format.ExchangeJoined)},
		"reset":          {int64(bpf.KmonExchangeFlagsEXCHANGE_RESET), int64(format.ExchangeReset)},
		"server closed":  {int64(bpf.KmonExchangeFlagsEXCHANGE_SERVER_CLOSED), int64(format.ExchangeServerClosed)},
		"accounted":      {int64(bpf.KmonExchangeFlagsEXCHANGE_ACCOUNTED), int64(format.ExchangeAccounted)},
		"handed over":    {int64(bpf.KmonExchangeFlagsEXCHANGE_HANDED_OVER), int64(format.ExchangeHandedOver)},
		"existing":       {int64(bpf.KmonSocketEventSOCKET_EXISTING), int64(format.SocketExisting)},
		"open event":     {int64(bpf.KmonSocketEventSOCKET_OPEN), int64(format.SocketOpen)},
		"close event":    {int64(bpf.KmonSocketEventSOCKET_CLOSE), int64(format.SocketClose)},
		"connect failed": {int64(bpf.KmonSocketEventSOCKET_CONNECT_FAILED), int64(format.SocketConnectFailed)},
		"role client":    {int64(bpf.KmonRoleROLE_CLIENT), int64(format.RoleClient)},
		"role server":    {int64(bpf.KmonRoleROLE_SERVER), int64(format.RoleServer)},
		"connect":        {int64(bpf.KmonRoleSourceROLE_SOURCE_CONNECT), int64(format.RoleSourceConnect)},
		"accept":         {int64(bpf.KmonRoleSourceROLE_SOURCE_ACCEPT), int64(format.RoleSourceAccept)},
		"listener":       {int64(bpf.KmonRoleSourceROLE_SOURCE_LISTENER), int64(format.RoleSourceListener)},
		"port":           {int64(bpf.KmonRoleSourceROLE_SOURCE_PORT), int64(format.RoleSourcePort)},
		"local":          {int64(bpf.KmonCloseReasonCLOSE_LOCAL), int64(format.CloseLocal)},
		"peer":           {int64(bpf.KmonCloseReasonCLOSE_PEER), int64(format.ClosePeer)},
		"reset sent":     {int64(bpf.KmonCloseReasonCLOSE_RESET_SENT), int64(format.CloseResetSent)},
		"reset received": {int64(bpf.KmonCloseReasonCLOSE_RESET_RECEIVED), int64(format.CloseResetReceived)},
		"timeout":        {int64(bpf.KmonCloseReasonCLOSE_TIMEOUT), int64(format.CloseTimeout)},
		"refused":        {int64(bpf.KmonCloseReasonCLOSE_REFUSED), int64(format.CloseRefused)},
		"other":          {int64(bpf.KmonCloseReasonCLOSE_OTHER), int64(format.CloseOther)},
		"read":           {int64(bpf.KmonIoOperationIO_READ), int64(format.OperationRead)},
		"write":          {int64(bpf.KmonIoOperationIO_WRITE), int64(format.OperationWrite)},
		"flush":          {int64(bpf.KmonIoOperationIO_FLUSH), int64(format.OperationFlush)},
		"discard":        {int64(bpf.KmonIoOperationIO_DISCARD), int64(format.OperationDiscard)},
		"other IO":       {int64(bpf.KmonIoOperationIO_OTHER), int64(format.OperationOther)},
		"sync":           {int64(bpf.KmonIoFlagsIO_SYNC), int64(format.IOSync)},
		"meta":           {int64(bpf.KmonIoFlagsIO_META), int64(format.IOMeta)},
		"readahead":      {int64(bpf.KmonIoFlagsIO_READAHEAD), int64(format.IOReadahead)},
		"preflush":       {int64(bpf.KmonIoFlagsIO_PREFLUSH), int64(format.IOPreflush)},
		"FUA":            {int64(bpf.KmonIoFlagsIO_FUA), int64(format.IOFUA)},
		"fork":           {int64(bpf.KmonProcEventPROC_FORK), int64(format.ProcFork)},
		"exec":           {int64(bpf.KmonProcEventPROC_EXEC), int64(format.ProcExec)},
		"exit":           {int64(bpf.KmonProcEventPROC_EXIT), int64(format.ProcExit)},
	} {
		if p.kernel != p.file {
			t.Errorf("%s is %d in the kernel's records, %d in the file", name, p.kernel, p.file)
		}
	}
}

// Every loss counter of the kernel is told as some table's loss.
func TestEveryLossHasAName(t *testing.T) {
	for slot := bpf.KmonLossSlot(0); slot <= bpf.KmonLossSlotLOSS_IO_END; slot++ {
		if what, ok := lossSlots[slot]; !ok || what.Collector == "" || what.Table == "" || what.Cause == 0 {
			t.Errorf("loss counter %d is told as %+v", slot, what)
		}
	}
}
