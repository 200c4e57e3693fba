package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// working is a progress that does not know how far it is.
func working(what, path string) func() string {
	return func() string { return what + " " + path }
}

const (
	progressDelay  = 700 * time.Millisecond // shorter work shows nothing
	progressPeriod = 250 * time.Millisecond
)

// startProgress shows on stderr, if that is a terminal, what takes so long and
// for how long already. The returned function wipes it; call it before
// anything else is written.
func startProgress(stderr io.Writer, what func() string) (stop func()) {
	if !isTerminal(stderr) {
		return func() {}
	}
	done, wiped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(wiped)
		showProgress(stderr, what, done)
	}()
	return sync.OnceFunc(func() {
		close(done)
		<-wiped
	})
}

func showProgress(w io.Writer, what func() string, done <-chan struct{}) {
	begin := time.Now()
	select {
	case <-done:
		return
	case <-time.After(progressDelay):
	}
	ticker := time.NewTicker(progressPeriod)
	defer ticker.Stop()
	for {
		fmt.Fprintf(w, "\r\x1b[K%s … %.0f s", oneLine(what()), time.Since(begin).Seconds())
		select {
		case <-done:
			fmt.Fprint(w, "\r\x1b[K")
			return
		case <-ticker.C:
		}
	}
}
