package format

import (
	"regexp"
	"strings"
)

// publicSymbols begin the functions of languages' runtimes and standard
// libraries, and of programs that anybody can get, that threads are seen to wait
// in: the analysis tells by them what for.
var publicSymbols = strings.Fields(`runtime. runtime/ internal/ reflect. sync. sync/ syscall. time. strings. strconv. bytes. bufio.
	io. io/ os. os/ net. net/ fmt. errors. context. sort. slices. maps. math. math/ unicode. unicode/ encoding/ crypto/ compress/
	container/ database/sql hash/ log. path. path/ regexp. text/ html/ vendor/golang.org/
	pthread_ __pthread_ ___pthread_ __lll_ lll_ __GI_ _start __libc_ __clone clone3 start_thread
	ObjectMonitor:: ObjectSynchronizer:: Ljava/ Ljdk/ java. jdk. Parker:: Unsafe_Park JavaThread:: GangWorker CompileQueue:: WorkerThread:: CompileBroker::
	std:: core:: alloc:: tokio:: mio:: parking_lot:: rayon_core::
	node:: v8:: uv_ take_gil drop_gil PyEval_ _PyEval_ ngx_ LWLock ProcSleep WaitOnLock ReadCommand secure_read`)

// method is how Go writes the type that a function is a method of.
var method = regexp.MustCompile(`\(\*[A-Za-z0-9_]+\)`)

// PublicSymbol says whether a function's name, as that of a user frame, is one
// that anybody knows. Arguments of types may be anything, so what has some is not.
func PublicSymbol(symbol string) bool {
	if strings.ContainsAny(method.ReplaceAllString(symbol, ""), "<[({ ") {
		return false
	}
	for _, begin := range publicSymbols {
		if strings.HasPrefix(symbol, begin) {
			return true
		}
	}
	return false
}
