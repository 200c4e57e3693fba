package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"kmon/format"
)

// Set by the Makefile with -ldflags -X; a plain go build leaves them empty and
// the build information of the Go toolchain stands in.
var (
	version string
	commit  string
)

// build is what this kmon is.
type build struct {
	Version       string `json:"version"`
	Commit        string `json:"commit"` // "" : not known
	Go            string `json:"go"`
	OS            string `json:"os"`
	Arch          string `json:"arch"`
	FormatVersion int    `json:"format_version"` // of the captures it writes; it reads all up to it

	date string // of the commit, 2006-01-02; "": not known
}

// readBuild fills a build from what the linker and the toolchain left.
func readBuild() build {
	b := build{Version: version, Commit: commit, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, FormatVersion: format.Version}
	if info, ok := debug.ReadBuildInfo(); ok {
		modified := ""
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision" && commit == "":
				b.Commit = s.Value
			case s.Key == "vcs.time":
				b.date, _, _ = strings.Cut(s.Value, "T")
			case s.Key == "vcs.modified" && s.Value == "true":
				modified = "+changes"
			}
		}
		if commit == "" && b.Commit != "" {
			b.Commit += modified
		}
		if info.Main.Version != "(devel)" {
			b.Version = cmp.Or(b.Version, info.Main.Version)
		}
	}
	b.Version = cmp.Or(b.Version, "devel")
	return b
}

func newVersion() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print version, commit, Go and capture format",
		Example: `  $ kmon version
  $ kmon version --json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), readBuild())
			}
			return readBuild().write(cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "write JSON")
	return cmd
}

func (b build) write(w io.Writer) error {
	_, err := fmt.Fprintf(w, "kmon    %s\ncommit  %s\ngo      %s %s/%s\nformat  %d\n",
		b.Version, cmp.Or(b.Commit, "not known"), b.Go, b.OS, b.Arch, b.FormatVersion)
	return err
}

// writeJSON writes v as indented JSON. <, > and & stay as they are: the output
// is no HTML.
func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
