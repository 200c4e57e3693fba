package reports

import (
	"path"
	"strings"

	"kmon/analyze"
)

const (
	functionRows = 25 // the analysis holds 50
	pathFrames   = 12 // of a path, from its leaf
)

// flameKinds word the kinds of trees.
var flameKinds = map[string]string{"on-cpu": "on the CPU", "off-cpu": "off the CPU"}

const (
	hintSelf      = "of all, where the function itself was running or waiting"
	hintFlame     = "of all, in the function or in what it called"
	hintPath      = "from where it was running or waiting to its callers"
	hintPathShare = "of all, that ended in the path"
)

// flameOf gives the tree of a kind over all services, nil when there is none.
func flameOf(a *analyze.Analysis, kind string) *analyze.FlameTree {
	for i := range a.Flames {
		if a.Flames[i].Kind == kind && a.Flames[i].Service == "" {
			return &a.Flames[i]
		}
	}
	return nil
}

// functionsTable lists the functions of a kind with the most of their own.
func functionsTable(a *analyze.Analysis, kind string) table {
	t := flameOf(a, kind)
	if t == nil {
		t = &analyze.FlameTree{}
	}
	functions := t.Functions[:min(len(t.Functions), functionRows)]
	return build("functions-"+kind, "Functions "+flameKinds[kind], functions, []spec[analyze.FlameFunction]{
		{column{Head: "Function", Kind: kindName, Hint: "≈ marks the nearest exported name of a stripped file"}, func(f *analyze.FlameFunction) cell { return functionCell(f) }},
		number("Self", hintSelf, 0, func(f *analyze.FlameFunction) cell { return shareCell(f.Self, t.Total) }),
		number("Self time", hintSelf, 2, func(f *analyze.FlameFunction) cell { return flameTime(t, f.Self) }),
		number("Total", hintFlame, 0, func(f *analyze.FlameFunction) cell { return shareCell(f.Total, t.Total) }),
		number("Total time", hintFlame, 3, func(f *analyze.FlameFunction) cell { return flameTime(t, f.Total) }),
		{column{Head: "In", Kind: kindName, Hint: "the file it is from, or the kernel", Rank: 1}, func(f *analyze.FlameFunction) cell { return named(moduleText(f.Module)) }},
	})
}

// pathsTable lists the paths of a kind that most ended in.
func pathsTable(a *analyze.Analysis, kind string) table {
	t := flameOf(a, kind)
	if t == nil {
		t = &analyze.FlameTree{}
	}
	return build("paths-"+kind, "Hottest paths "+flameKinds[kind], t.Paths, []spec[analyze.FlamePath]{
		number("Share", hintPathShare, 0, func(p *analyze.FlamePath) cell { return shareCell(p.Value, t.Total) }),
		number("Time", hintPathShare, 1, func(p *analyze.FlamePath) cell { return flameTime(t, p.Value) }),
		{column{Head: "Service", Kind: kindName}, func(p *analyze.FlamePath) cell { return named(strings.Join(p.Frames[:min(len(p.Frames), 1)], "")) }},
		{column{Head: "Path", Kind: kindProse, Hint: hintPath}, func(p *analyze.FlamePath) cell { return named(pathText(p.Frames)) }},
	})
}

func functionCell(f *analyze.FlameFunction) cell {
	if f.Approximate {
		return named("≈ " + f.Name)
	}
	return named(f.Name)
}

// moduleText is the last part of a module's path.
func moduleText(module string) string {
	if module == "" {
		return ""
	}
	return path.Base(module)
}

// shareCell is a part of a total as percent.
func shareCell(part, total int64) cell {
	if total == 0 {
		return cell{Text: absent}
	}
	return cell{Text: percentText(float64(part) / float64(total))}
}

// flameTime is a value of a tree as time, absent where what a sample stands
// for is not known.
func flameTime(t *analyze.FlameTree, value int64) cell {
	if t.NsPerUnit == 0 {
		return cell{Text: absent}
	}
	return cell{Text: DurationText(int64(min(float64(value)*float64(t.NsPerUnit), 1<<62)))}
}

// pathText writes a path from its leaf, without its service.
func pathText(frames []string) string {
	text := ""
	for i := len(frames) - 1; i > 0; i-- {
		if len(frames)-i > pathFrames {
			return text + " ← …"
		}
		if text != "" {
			text += " ← "
		}
		text += frames[i]
	}
	return text
}
