package analyze

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"kmon/analyze/cpu"
	"kmon/analyze/replay"
	"kmon/format"
)

// readCPU reads what the captures tell of CPUs, waits, calls and memory.
func (r *run) readCPU(ctx context.Context) (*cpu.Partial, error) {
	total := cpu.New(cpu.Frame{Windows: r.windows()})
	for _, c := range r.captures {
		reader := cpuReader{r, c, total, cpu.Source{Capture: int32(c.Index), OffsetNs: c.OffsetNs}}
		if err := reader.read(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", c.Path, err)
		}
	}
	return total, nil
}

// cpuReader reads one capture.
type cpuReader struct {
	run     *run
	capture *replay.Capture
	total   *cpu.Partial
	from    cpu.Source
}

// read adds the rows up. Of process 0, which is nobody, there are only wakes.
func (r *cpuReader) read(ctx context.Context) error {
	err := eachRow(ctx, r.capture, "intervals", func(row *format.Interval) {
		if row.PID != 0 {
			who := r.who(row.PID, row.StartNs, row.EndNs)
			r.total.AddInterval(r.from, who, row)
			r.run.gather.cpu.AddInterval(r.from, who.Party, row)
		}
	})
	if err != nil {
		return err
	}
	err = eachRow(ctx, r.capture, "wakes", func(row *format.Wake) {
		r.total.AddWake(r.from, r.who(row.WakerPID, row.StartNs, row.EndNs), r.who(row.PID, row.StartNs, row.EndNs), row)
		r.run.gather.wakes.Add(r.from, row)
	})
	if err != nil {
		return err
	}
	if err := r.readOffCPU(ctx); err != nil {
		return err
	}
	err = eachRow(ctx, r.capture, "syscalls", func(row *format.Syscall) {
		if row.PID != 0 {
			who := r.who(row.PID, row.StartNs, row.EndNs)
			r.total.AddSyscall(r.from, who, row)
			r.run.gather.cpu.AddSyscall(r.from, who.Party, row)
			r.run.gather.calls.Add(r.from, who.Service, row)
		}
	})
	if err != nil {
		return err
	}
	return r.readMemory(ctx)
}

// readOffCPU needs the stacks first.
func (r *cpuReader) readOffCPU(ctx context.Context) error {
	if !r.capture.Has("offcpu") && !r.capture.Has("oncpu") {
		return nil
	}
	stacks := cpu.NewStacks()
	r.run.gather.stacks[r.capture.Index] = stacks
	err := replay.Rows(r.capture, "frames", func(rows []format.Frame) error {
		stacks.AddFrames(rows)
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	err = replay.Rows(r.capture, "stacks", func(rows []format.Stack) error {
		stacks.AddStacks(rows)
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	return eachRow(ctx, r.capture, "offcpu", func(row *format.OffCPU) {
		if row.PID == 0 {
			return
		}
		class := stacks.Class(row.State, row.StackID, row.UserStackID)
		who := r.who(row.PID, row.StartNs, row.EndNs)
		r.total.AddOffCPU(r.from, who, class, row)
		r.run.gather.cpu.AddOffCPU(r.from, who.Party, class, row)
	})
}

// readMemory counts a cgroup for the service of its processes, and leaves it
// out when they are of several.
func (r *cpuReader) readMemory(ctx context.Context) error {
	var groups map[string]int32
	return eachRow(ctx, r.capture, "memory", func(row *format.Memory) {
		if row.PID != 0 {
			r.total.AddMemory(r.from, r.who(row.PID, row.TsNs, row.TsNs).Service, row)
			return
		}
		if groups == nil {
			groups = r.groups()
		}
		if service, ok := groups[row.Cgroup]; ok && service >= 0 {
			r.total.AddMemory(r.from, service, row)
		}
	})
}

// groups gives the service that each cgroup's processes are of, -1 for
// several.
func (r *cpuReader) groups() map[string]int32 {
	groups := map[string]int32{}
	owners := r.capture.Owners
	for i := range int32(owners.Len()) {
		o := owners.Get(i)
		if o.Cgroup == "" {
			continue
		}
		service := r.run.parties().number(o.Service)
		if kept, ok := groups[o.Cgroup]; ok && kept != service {
			service = -1
		}
		groups[o.Cgroup] = service
	}
	return groups
}

// who names a process for the sums; 0 is nobody.
func (r *cpuReader) who(pid int32, startNs, endNs int64) cpu.Who {
	if pid == 0 {
		return cpu.Who{Party: -1, Service: -1}
	}
	party := r.run.partyDuring(r.capture, pid, startNs, endNs)
	return cpu.Who{Party: party, Service: r.run.parties().list[party].Number}
}

// eachRow reads a table row by row.
func eachRow[T format.Row](ctx context.Context, c *replay.Capture, table string, fn func(row *T)) error {
	if !c.Has(table) {
		return nil
	}
	return replay.Rows(c, table, func(rows []T) error {
		for i := range rows {
			fn(&rows[i])
		}
		return ctx.Err()
	})
}

// collector gives a collector of a capture, nil when it was not on.
func collector(c *replay.Capture, name string) *format.Collector {
	i := slices.IndexFunc(c.Manifest.Collectors, func(k format.Collector) bool { return k.Name == name })
	if i < 0 {
		return nil
	}
	return &c.Manifest.Collectors[i]
}

// recorded says which captures have rows of a table, or the collector that
// writes them and nothing to write.
func (r *run) recorded(table, by string) map[int32]bool {
	captures := map[int32]bool{}
	for i, c := range r.captures {
		k := collector(c, by)
		if c.Rows[table] > 0 || k != nil && k.Missing[table] == "" && (len(k.Variants) > 0 || len(k.Missing) == 0) {
			captures[int32(i)] = true
		}
	}
	return captures
}

// leastOffCPU is the least length of a wait that is recorded: the largest of
// the captures' settings.
func (r *run) leastOffCPU() int64 {
	least := int64(0)
	for _, c := range r.captures {
		if k := collector(c, "cpu"); k != nil {
			if ns, err := strconv.ParseInt(k.Settings["off_cpu_min_ns"], 10, 64); err == nil {
				least = max(least, ns)
			}
		}
	}
	return least
}
