package main

import (
	"fmt"
	"strings"

	"kmon/format"
	"kmon/reports"
)

// notes are pairs of a word and what was done to a capture after it was recorded,
// or was left out of it.
func notes(m *format.Manifest) [][2]string {
	var list [][2]string
	if r := m.Redacted; r != nil {
		text := "names are pseudonyms, by key " + r.KeyID
		if len(r.Kept) > 0 {
			text += "; as recorded: " + strings.Join(r.Kept, ", ")
		}
		if len(r.LeftOut) > 0 {
			text += "; left out: " + strings.Join(r.LeftOut, ", ")
		}
		list = append(list, [2]string{"redacted", text})
	}
	if c := m.Cut; c != nil {
		text := fmt.Sprintf("%s after the start of a capture of %s", reports.DurationText(max(0, m.Clock.MonotonicNs-c.StartNs)), reports.DurationText(max(0, c.EndNs-c.StartNs)))
		if c.SHA256 != "" {
			text += " with sha256 " + c.SHA256
		}
		list = append(list, [2]string{"cut", text})
	}
	if m.NoCommandLines() {
		list = append(list, [2]string{"cmdlines", "not recorded (--no-cmdline)"})
	}
	return list
}
