package trigger

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"syscall"
)

// pressure reads the share of the last ten seconds in which some task waited for
// a resource, in percent: avg10 of the line some in proc/pressure
// (Documentation/accounting/psi.rst).
func pressure(root fs.FS, resource string) (percent float64, err error) {
	data, err := fs.ReadFile(root, "proc/pressure/"+resource)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EOPNOTSUPP) {
		return 0, fmt.Errorf("this kernel does not measure pressure (CONFIG_PSI; where it is off by default, psi=1 on its command line): %w", err)
	}
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "some" {
			continue
		}
		text, found := strings.CutPrefix(fields[1], "avg10=")
		if percent, err := strconv.ParseFloat(text, 64); found && err == nil && percent >= 0 {
			return percent, nil
		}
	}
	return 0, fmt.Errorf("/proc/pressure/%s has no line of some with avg10", resource)
}
