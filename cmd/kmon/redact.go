package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"kmon/format"
	"kmon/reports"
)

// redactFlags is the command line of redact.
type redactFlags struct {
	output string
	key    string
	newKey string
	keep   []string
	check  bool
}

func newRedact() *cobra.Command {
	var f redactFlags
	cmd := &cobra.Command{
		Use:   "redact CAPTURE -o FILE",
		Short: "Write a copy with pseudonyms for all names, to be shared",
		Long: `Write a copy of a capture in which what names something has a pseudonym:
addresses, hosts, services, programs, threads, pods, containers, paths, cgroups,
disks, interfaces, functions of programs, command lines, the texts of marks,
errors and the configuration. Whoever analyzes the copy finds the same latencies,
edges and findings under other names. CAPTURE is not changed, an existing file is
never overwritten.

A name has one pseudonym in all tables, as service-k3f9a2bq, and in all captures
that were redacted with the same --key. Without one the key is thrown away. An
address becomes another of its kind: private, link-local, global; loopback stays.
Functions of the kernel, of public libraries and of languages' runtimes stay,
words of the kernel's and kmon's own too, and every number: times, sizes, ports,
ids of processes. SECURITY.md says what these still tell. Tables and columns of a
newer kmon are left out.

--keep leaves a class of names as they are, or one name of it:
  ` + wrapped(format.RedactClasses()) + `

--check writes every text that can be read in a capture: where it stands, how
often, and the text; pseudonyms are only counted. Its exit code says nothing but
whether the capture could be read.

Parts of one recording are one after the other redacted with one key, or merged
first.`,
		Example: `  $ kmon redact shop.kmon -o public.kmon
  $ kmon redact public.kmon --check
  $ kmon redact node-a.kmon -o a.kmon --new-key team.key
  $ kmon redact node-b.kmon -o b.kmon --key team.key
  $ kmon redact shop.kmon -o named.kmon --keep service --keep host=shop-1`,
		Args:              captures(1, 1),
		ValidArgsFunction: completeOneCapture,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.sound(); err != nil {
				return err
			}
			if f.check {
				return checkReadable(cmd, args[0])
			}
			return redact(cmd, f, args[0])
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.output, "output", "o", "", "write this `FILE`")
	flags.StringVar(&f.key, "key", "", "make pseudonyms with the key in this `FILE`")
	flags.StringVar(&f.newKey, "new-key", "", "make a key, write it to this `FILE` (mode 0600) and use it")
	flags.StringArrayVar(&f.keep, "keep", nil, "leave this `CLASS` of names, or CLASS=NAME, as it is; repeatable")
	flags.BoolVar(&f.check, "check", false, "write the texts that can be read in CAPTURE")
	must(cmd.RegisterFlagCompletionFunc("output", completeEndings("kmon")))
	must(cmd.RegisterFlagCompletionFunc("keep", completeWords(format.RedactClasses()...)))
	return cmd
}

// wrapped lists words in lines of a help text.
func wrapped(words []string) string {
	var b strings.Builder
	used := 0
	for i, w := range words {
		if i < len(words)-1 {
			w += ","
		}
		switch {
		case i == 0:
		case used+len(w) > 72:
			b.WriteString("\n  ")
			used = 0
		default:
			b.WriteString(" ")
		}
		b.WriteString(w)
		used += len(w) + 1
	}
	return b.String()
}

// sound refuses flags that don't fit together.
func (f redactFlags) sound() error {
	switch {
	case f.check && (f.output != "" || f.key != "" || f.newKey != "" || len(f.keep) > 0):
		return usagef("--check writes nothing but what can be read in CAPTURE: it goes with no other flag")
	case !f.check && f.output == "":
		return usagef("redact needs a file to write: -o FILE")
	case f.key != "" && f.newKey != "":
		return usagef("--key and --new-key: give one of them")
	}
	for _, what := range f.keep {
		if err := format.CheckKeep(what); err != nil {
			return &usageError{err}
		}
	}
	return nil
}

func redact(cmd *cobra.Command, f redactFlags, path string) error {
	if err := withCapture(path, func(*format.Capture) error { return nil }); err != nil {
		return err // before a key is made
	}
	key, err := f.readKey(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	stop := startProgress(cmd.ErrOrStderr(), working("writing", f.output))
	r, err := format.Redact(f.output, path, format.RedactOptions{Key: key, Keep: f.keep})
	stop()
	if err != nil {
		return explain(err)
	}
	warnDamage(cmd.ErrOrStderr(), texts(r.Problems))
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: redacted, %s; kmon redact %[1]s --check writes what can still be read\n", oneLine(f.output), rowsText(r.Rows))
	return err
}

// texts gives problems as sentences.
func texts(problems []format.Problem) []string {
	var list []string
	for _, p := range problems {
		list = append(list, p.String())
	}
	return list
}

// checkReadable lists the texts of a capture.
func checkReadable(cmd *cobra.Command, path string) error {
	return withCapture(path, func(c *format.Capture) error {
		stop := startProgress(cmd.ErrOrStderr(), working("reading", path))
		found, further, err := format.ReadableTexts(c)
		stop()
		if err != nil {
			return err
		}
		warnDamage(cmd.ErrOrStderr(), texts(c.Problems()))
		pseudonyms := 0
		return buffered(cmd.OutOrStdout(), func(w io.Writer) error {
			for _, t := range found {
				if t.Pseudonym() {
					pseudonyms++
					continue
				}
				fmt.Fprintf(w, "%s\t%d\t%s\n", oneLine(t.Where), t.Count, oneLine(t.Text))
			}
			fmt.Fprintf(w, "%s: %s texts can be read; %s pseudonyms are not listed\n", oneLine(path),
				reports.CountText(int64(len(found)-pseudonyms)), reports.CountText(int64(pseudonyms)))
			if further > 0 {
				fmt.Fprintf(w, "%s further texts are too many to list\n", reports.CountText(further))
			}
			return nil
		})
	})
}
