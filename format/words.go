package format

import (
	"fmt"
	"strconv"
	"strings"
)

// words names the numbers of an enum or the bits of a set of flags. They are
// what people read; the file holds the numbers.
type words struct {
	flags bool
	names []word
}

type word struct {
	number int64
	name   string
}

// text names v: a word for an enum, words joined by | for flags. Numbers
// without a name stay numbers, so that parse always gives v back.
func (w *words) text(v int64) string {
	if !w.flags {
		for _, n := range w.names {
			if n.number == v {
				return n.name
			}
		}
		return strconv.FormatInt(v, 10)
	}
	if v == 0 {
		return "-"
	}
	var set []string
	for _, n := range w.names {
		if v&n.number != 0 {
			set = append(set, n.name)
			v &^= n.number
		}
	}
	if v != 0 {
		set = append(set, strconv.FormatInt(v, 10))
	}
	return strings.Join(set, "|")
}

// parse is the inverse of text.
func (w *words) parse(s string) (int64, error) {
	if w.flags && s == "-" {
		return 0, nil
	}
	var v int64
	parts := []string{s}
	if w.flags {
		parts = strings.Split(s, "|")
	}
	for _, part := range parts {
		n, err := w.number(part)
		if err != nil {
			return 0, err
		}
		v |= n
	}
	return v, nil
}

func (w *words) number(name string) (int64, error) {
	for _, n := range w.names {
		if n.name == name {
			return n.number, nil
		}
	}
	v, err := strconv.ParseInt(name, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is neither a known word nor a number", name)
	}
	return v, nil
}

var exchangeFlagWords = &words{flags: true, names: []word{
	{int64(ExchangeClient), "client"},
	{int64(ExchangePartial), "partial"},
	{int64(ExchangeContinued), "continued"},
	{int64(ExchangeNoRequest), "no-request"},
	{int64(ExchangeNoAnswer), "no-answer"},
	{int64(ExchangeOpen), "open"},
	{int64(ExchangeClosed), "closed"},
	{int64(ExchangeInterleaved), "interleaved"},
	{int64(ExchangeStream), "stream"},
	{int64(ExchangeIdle), "idle"},
	{int64(ExchangeJoined), "joined"},
	{int64(ExchangeReset), "reset"},
	{int64(ExchangeServerClosed), "server-closed"},
	{int64(ExchangeAccounted), "accounted"},
	{int64(ExchangeHandedOver), "handed-over"},
}}

var socketEventWords = &words{names: []word{
	{int64(SocketExisting), "existing"},
	{int64(SocketOpen), "open"},
	{int64(SocketClose), "close"},
	{int64(SocketConnectFailed), "connect-failed"},
}}

var roleWords = &words{names: []word{
	{int64(RoleUnknown), "unknown"},
	{int64(RoleClient), "client"},
	{int64(RoleServer), "server"},
}}

var roleSourceWords = &words{names: []word{
	{int64(RoleSourceUnknown), "unknown"},
	{int64(RoleSourceConnect), "connect"},
	{int64(RoleSourceAccept), "accept"},
	{int64(RoleSourceListener), "listener"},
	{int64(RoleSourcePort), "port"},
}}

var closeReasonWords = &words{names: []word{
	{int64(CloseNone), "none"},
	{int64(CloseLocal), "local"},
	{int64(ClosePeer), "peer"},
	{int64(CloseResetSent), "reset-sent"},
	{int64(CloseResetReceived), "reset-received"},
	{int64(CloseTimeout), "timeout"},
	{int64(CloseRefused), "refused"},
	{int64(CloseOther), "other"},
}}

var procEventWords = &words{names: []word{
	{int64(ProcFork), "fork"},
	{int64(ProcExec), "exec"},
	{int64(ProcExit), "exit"},
}}

var lossCauseWords = &words{names: []word{
	{int64(LossRingFull), "ring-full"},
	{int64(LossStateFull), "state-full"},
	{int64(LossDecode), "decode"},
	{int64(LossWrite), "write"},
	{int64(LossMissedHit), "missed-hit"},
	{int64(LossDamage), "damage"},
	{int64(LossShed), "shed"},
}}

// String gives the flags as words joined by |, "-" for none.
func (f ExchangeFlags) String() string { return exchangeFlagWords.text(int64(f)) }

// String gives the event as a word.
func (e SocketEvent) String() string { return socketEventWords.text(int64(e)) }

// String gives the role as a word.
func (r Role) String() string { return roleWords.text(int64(r)) }

// String gives the source as a word.
func (s RoleSource) String() string { return roleSourceWords.text(int64(s)) }

// String gives the reason as a word.
func (r CloseReason) String() string { return closeReasonWords.text(int64(r)) }

// String gives the event as a word.
func (e ProcEvent) String() string { return procEventWords.text(int64(e)) }

// String gives the cause as a word.
func (c LossCause) String() string { return lossCauseWords.text(int64(c)) }

// String gives the state as a word.
func (s ThreadState) String() string { return threadStateWords.text(int64(s)) }

// String gives the kind as a word.
func (k CounterKind) String() string { return counterKindWords.text(int64(k)) }

// String gives the flags as words joined by |, "-" for none.
func (f IOFlags) String() string { return ioFlagWords.text(int64(f)) }

// String gives the operation as a word.
func (o Operation) String() string { return operationWords.text(int64(o)) }

var threadStateWords = &words{names: []word{
	{int64(StateSleep), "sleep"},
	{int64(StateDisk), "disk"},
	{int64(StateRunnable), "runnable"},
}}

var operationWords = &words{names: []word{
	{int64(OperationRead), "read"},
	{int64(OperationWrite), "write"},
	{int64(OperationFlush), "flush"},
	{int64(OperationDiscard), "discard"},
	{int64(OperationOther), "other"},
}}

var ioFlagWords = &words{flags: true, names: []word{
	{int64(IOSync), "sync"},
	{int64(IOMeta), "meta"},
	{int64(IOReadahead), "readahead"},
	{int64(IOPreflush), "preflush"},
	{int64(IOFUA), "fua"},
	{int64(IOOpen), "open"},
}}

var netEventKindWords = &words{names: []word{
	{int64(NetRetransmit), "retransmit"},
	{int64(NetResetSent), "reset-sent"},
	{int64(NetResetReceived), "reset-received"},
	{int64(NetDrop), "drop"},
}}

var counterKindWords = &words{names: []word{
	{int64(CounterSyscall), "syscall"},
	{int64(CounterTracepoint), "tracepoint"},
	{int64(CounterFunction), "function"},
}}

var frameKindWords = &words{names: []word{
	{int64(FrameKernel), "kernel"},
	{int64(FrameUser), "user"},
}}

var symbolSourceWords = &words{names: []word{
	{int64(SymbolNone), "none"},
	{int64(SymbolKallsyms), "kallsyms"},
	{int64(SymbolTable), "symtab"},
	{int64(SymbolDynamic), "dynsym"},
	{int64(SymbolGo), "go"},
	{int64(SymbolPerfMap), "perf-map"},
	{int64(SymbolDebugFile), "debug-file"},
}}

// wordsOf gives the words of each enum type.
var wordsOf = map[string]*words{
	"ExchangeFlags": exchangeFlagWords,
	"SocketEvent":   socketEventWords,
	"Role":          roleWords,
	"RoleSource":    roleSourceWords,
	"CloseReason":   closeReasonWords,
	"ProcEvent":     procEventWords,
	"LossCause":     lossCauseWords,
	"ThreadState":   threadStateWords,
	"Operation":     operationWords,
	"IOFlags":       ioFlagWords,
	"NetEventKind":  netEventKindWords,
	"CounterKind":   counterKindWords,
	"FrameKind":     frameKindWords,
	"SymbolSource":  symbolSourceWords,
}
