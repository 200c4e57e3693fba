package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"kmon/record"
	"kmon/reports"
)

// maxNotices is how many may wait to be shown.
const maxNotices = 64

// followRing has SIGUSR2 ask for a dump, and shows what happens to the ring. The
// returned function ends both. Without a ring the signal says that there is none:
// it would end the recording otherwise.
func followRing(stderr io.Writer, options *record.Options) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR2)
	dumps, notices := make(chan string, 1), make(chan string, maxNotices)
	hasRing := options.Ring > 0
	options.Dumps, options.Notices = dumps, notices
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-signals:
				if !hasRing {
					showNotice(stderr, "SIGUSR2 asks for a dump, and there is no ring to write out (--ring 10m)")
					continue
				}
				select {
				case dumps <- "SIGUSR2":
				default: // one waits already
				}
			case text := <-notices:
				showNotice(stderr, text)
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
		<-ended
		for len(notices) > 0 {
			showNotice(stderr, <-notices)
		}
	}
}

// showNotice writes a sentence over the line that says how the recording is doing.
func showNotice(stderr io.Writer, text string) {
	wipe := ""
	if isTerminal(stderr) {
		wipe = "\r\x1b[K"
	}
	fmt.Fprintf(stderr, "%skmon: %s\n", wipe, oneLine(text))
}

// defaultName is what the parts and dumps of a ring are named after, when nothing
// was said: each dump has the time in its name anyway. "" without a ring.
func (f *ringFlags) defaultName(host string) string {
	if f.length == 0 {
		return ""
	}
	return fmt.Sprintf("kmon-%s%s", host, captureEnding)
}

// keptText says how much a ring has; "" without one.
func keptText(kept time.Duration) string {
	if kept == 0 {
		return ""
	}
	return ", the last " + reports.DurationText(kept.Nanoseconds()) + " are kept"
}

// ringSummary is the line at the end of a ring: its dumps, what was lost, its cost,
// and where the last one is. "" without a ring.
func ringSummary(r record.Result, p palette) string {
	if r.Ring == nil {
		return ""
	}
	lost := int64(0)
	for _, n := range r.Losses {
		lost += max(n, 0)
	}
	dumps := "1 dump"
	if r.Ring.Dumps != 1 {
		dumps = reports.CountText(int64(r.Ring.Dumps)) + " dumps"
	}
	text := fmt.Sprintf("%s of %s, %s, kmon's own %.1f%% of a core and %s", dumps, reports.DurationText(r.DurationNs), lossText(lost, p),
		percent(r.CPUNs, r.DurationNs), reports.BytesText(r.MaxRSSBytes))
	if r.Path != "" {
		text += fmt.Sprintf(", the last of %s: %s", reports.BytesText(r.SizeBytes), oneLine(r.Path))
	}
	if r.Ring.Left != "" {
		text += fmt.Sprintf("; the ring stays in %s (kmon analyze %s/*.kmon*)", oneLine(r.Ring.Left), oneLine(r.Ring.Left))
	}
	return text
}
