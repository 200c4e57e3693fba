package main

import (
	"os"

	"golang.org/x/sys/windows"
)

// fileColumns asks the console behind f for its width; ok is false when there
// is no console.
func fileColumns(f *os.File) (columns int, ok bool) {
	var info windows.ConsoleScreenBufferInfo
	if err := windows.GetConsoleScreenBufferInfo(windows.Handle(f.Fd()), &info); err != nil {
		return 0, false
	}
	return int(info.Window.Right-info.Window.Left) + 1, true
}

// enableColour makes the console f show colour codes as colours and reports
// whether it does; consoles before Windows 10 do not.
func enableColour(f *os.File) bool {
	handle, mode := windows.Handle(f.Fd()), uint32(0)
	if err := windows.GetConsoleMode(handle, &mode); err != nil {
		return false
	}
	return windows.SetConsoleMode(handle, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
