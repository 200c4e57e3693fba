package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	progressDelay  = 700 * time.Millisecond // shorter work shows nothing
	progressPeriod = 250 * time.Millisecond
)

// startProgress shows on stderr, if that is a terminal, what takes so long and
// for how long already. The returned function wipes it; call it before
// anything else is written.
func startProgress(stderr io.Writer, what string) (stop func()) {
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

func showProgress(w io.Writer, what string, done <-chan struct{}) {
	begin := time.Now()
	select {
	case <-done:
		return
	case <-time.After(progressDelay):
	}
	ticker := time.NewTicker(progressPeriod)
	defer ticker.Stop()
	for {
		fmt.Fprintf(w, "\r\x1b[K%s … %.0f s", printable(what), time.Since(begin).Seconds())
		select {
		case <-done:
			fmt.Fprint(w, "\r\x1b[K")
			return
		case <-ticker.C:
		}
	}
}
