package main

import (
	"github.com/spf13/cobra"
)

// registerHostRoot declares the flag that record and doctor have in common.
func registerHostRoot(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "host-root", "", "the host's / is mounted at `DIR`, as in a container (default: found where possible)")
	must(cmd.MarkFlagDirname("host-root"))
}

// The forms of doctor's answer.
const (
	formText = "text"
	formJSON = "json"
)

func newDoctor() *cobra.Command {
	form, hostRoot := formText, ""
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what can be recorded on this machine, and what to change (Linux)",
		Long: `Say what kmon record can record on this machine, by which variant of each hook,
what it cannot and why, and what to change: a capability, a sysctl, an option of
the kernel, a mount.

It leaves nothing behind: where this process may, the programs are loaded into
the kernel, attached to nothing, and unloaded again, for that alone proves that
the kernel takes them; only empty ones are attached, for a moment. Without
privileges doctor tells what would be recorded with them, as planned, as far as
the kernel's types tell, and what it could not see.

States: loaded, the kernel took the programs; planned, it should, but this
process may not load them; missing. Collectors marked * run only when asked for.

Exit codes: 0 all that record records by default can be; 1 something of it is
missing; 2 nothing can be recorded by this process, or a usage error.`,
		Example: `  $ kmon doctor
  $ kmon doctor -o json | jq -r '.mends[]'`,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if form != formText && form != formJSON {
				return usagef("-o %q is neither text nor json", form)
			}
			return runDoctor(cmd, form, hostRoot)
		},
	}
	cmd.Flags().StringVarP(&form, "output", "o", form, "answer as `FORM`: text, or json (schema kmon.doctor/v1)")
	registerHostRoot(cmd, &hostRoot)
	must(cmd.RegisterFlagCompletionFunc("output", completeWords(formText, formJSON)))
	return cmd
}
