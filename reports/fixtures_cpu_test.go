package reports

import "kmon/analyze"

// used is CPU time of so many cores over the minute of the shop.
func used(cores float64, requests int64) *analyze.CPU {
	ns := int64(cores * float64(60*second))
	c := &analyze.CPU{
		OnCPUNs: ns, Cores: cores, RunQueueNs: ns / 20, MeanQueueNs: 35 * microsecond, Timeslices: ns / 700_000,
		Voluntary: ns / 800_000, Involuntary: ns / 9_000_000, Coverage: 1,
	}
	if requests > 0 {
		each := ns / requests
		c.OnCPUPerRequestNs = &each
	}
	return c
}

// cpuWaves is a series of n windows about a number of cores: busier by turns.
func cpuWaves(n int, cores float64, phase int64) []analyze.CPUPoint {
	points := []analyze.CPUPoint{}
	for i := range int64(n) {
		ns := int64(cores*float64(second)) * (5 + (i+7*phase)%11) / 10
		points = append(points, analyze.CPUPoint{StartNs: start + i*second, Partial: i == 0, OnCPUNs: ns, RunQueueNs: ns / 20 * (i % 3)})
	}
	return points
}

// cpuShop is the shop with what threads did: checkout waits for locks, cart
// for its callee, a backup for its disk.
func cpuShop() *analyze.Analysis {
	a := shop()
	a.Captures[0].Coverage = append(a.Captures[0].Coverage, analyze.Coverage{Table: "intervals", Seen: 21000, Ratio: 1},
		analyze.Coverage{Table: "offcpu", Seen: 9900, Lost: 100, Ratio: 0.99})
	a.OffCPUMinNs = millisecond
	a.Services = append(a.Services,
		analyze.Service{Name: "backup", Source: "systemd", Instances: []analyze.Instance{}, Series: []analyze.Point{}, Coverage: 1, CPU: used(0.21, 0),
			OffCPU: []analyze.Wait{{For: "disk", Count: 4100, TotalNs: 38 * second, MaxNs: 410 * millisecond, Waiting: 1}}},
		analyze.Service{Name: "other processes", Source: "many", Instances: []analyze.Instance{}, Series: []analyze.Point{}, Coverage: 1, CPU: used(0.0004, 0), OffCPU: []analyze.Wait{}})
	for i := range a.Services {
		s := &a.Services[i]
		s.Series = s.Series[:min(len(s.Series), 3)]
		switch s.Name {
		case "cart":
			s.Breakdown = calleesOnly("redis")
			s.CPU = used(0.05, s.Requests)
			s.OffCPU = []analyze.Wait{{For: "idle", Count: 9000, TotalNs: 41 * second, MaxNs: second}, {For: "callee", Count: 7000, TotalNs: 16 * second, MaxNs: 300 * millisecond}}
			s.Memory = &analyze.Memory{MaxRSSBytes: 310 << 20, LastRSSBytes: 299 << 20, MaxCurrentBytes: 505 << 20, LimitBytes: 512 << 20, OOMKills: 1}
		case "checkout":
			s.Breakdown = lockBound()
			s.CPU = used(2.7, s.Requests)
			s.Instances[0].CPU = s.CPU
			s.OffCPU = []analyze.Wait{{For: "futex", Count: 31000, TotalNs: 220 * second, MaxNs: 2 * second}, {For: "lock", Count: 1200, TotalNs: 19 * second, MaxNs: 90 * millisecond}}
			s.Memory = &analyze.Memory{MaxRSSBytes: 2 << 30, LastRSSBytes: 2 << 30}
		case "redis":
			s.CPU = new(analyze.CPU)
			s.CPU.Coverage = 1
		}
	}
	for i := range a.Services {
		if s := &a.Services[i]; s.CPU != nil && s.CPU.OnCPUNs > 0 {
			s.CPUSeries = cpuWaves(60, s.CPU.Cores, int64(i))
		}
	}
	file := a.Captures[0].File
	a.Threads = []analyze.Thread{
		{Capture: file, Service: "checkout", PID: 1200, TID: 1207, Comm: "worker-7", CPU: *used(0.94, 0)},
		{Capture: file, Service: "backup", PID: 800, TID: 800, Comm: "backup", CPU: *used(0.21, 0)},
	}
	a.Wakes = []analyze.WakePair{
		{Capture: file, WakerService: "checkout", WakerPID: 1200, WakerTID: 1207, WakerComm: "worker-7", Service: "checkout", PID: 1200, TID: 1208, Comm: "worker-8", Count: 91000, Back: 90411, RatePerS: 1516.7},
		{Capture: file, Service: "redis", PID: 1900, TID: 1900, Comm: "redis", Count: 18600, RatePerS: 310},
	}
	each, errors, total, longest := 14.3, int64(3), 4*second, 12*millisecond
	a.Syscalls = []analyze.SyscallCount{
		{Name: "futex", Kind: "syscall", Service: "checkout", Count: 34320, RatePerS: 572, PerRequest: &each, Errors: &errors, TotalNs: &total, MaxNs: &longest},
		{Name: "read", Kind: "syscall", Service: "backup", Count: 4100, RatePerS: 68.3},
	}
	return a
}

// hostileThreads has names that try to be more wherever threads have them.
func hostileThreads() *analyze.Analysis {
	a := cpuShop()
	for i, n := range hostileNames {
		s := analyze.Service{Name: n, Source: n, CPU: used(1, int64(i)), OffCPU: []analyze.Wait{{For: "lock", Count: 1, TotalNs: 1, MaxNs: 1}}, Memory: &analyze.Memory{MaxRSSBytes: 1}, Breakdown: calleesOnly(n)}
		a.Services = append(a.Services, s)
		a.Threads = append(a.Threads, analyze.Thread{Capture: n, Service: n, Comm: n, TID: int32(i), CPU: *s.CPU})
		a.Wakes = append(a.Wakes, analyze.WakePair{Capture: n, WakerService: n, WakerComm: n, Service: n, Comm: n, Count: 1})
		a.Syscalls = append(a.Syscalls, analyze.SyscallCount{Name: n, Kind: n, Service: n, Count: 1})
	}
	return a
}
