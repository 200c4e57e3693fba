package symbol

import (
	"os"
	"path"
	"slices"

	"kmon/format"
)

const (
	// jitModule stands for code that a program made while it ran and told by a
	// perf map.
	jitModule = "[jit]"
	anonymous = "[anon]" // memory without a file or a name
	vdso      = "[vdso]"
	// maxFiles bounds the files whose place and functions are kept, and
	// maxFunctions the functions in all of them: 100 bytes each.
	maxFiles     = 2048
	maxFunctions = 40_000
	// maxInodes bounds what is kept of which file has which build id.
	maxInodes = 16_384
	// maxPIDs bounds the processes in which one file is looked for.
	maxPIDs = 8
)

// user names the frames of processes. What it keeps outlives the processes: a
// function that was met once is named without reading anything.
type user struct {
	proc, root string
	files      map[fileID]*file
	buildIDs   map[inode]fileID
	functions  int // kept in all files
	programs   programs
}

// fileID is which file code is in, by its content if it says so.
type fileID struct {
	buildID [20]byte
	inode   inode // when there is no build id
}

// file is what is kept of a file with code.
type file struct {
	path      string
	pid       int32     // a process that mapped it
	mapping   mapping   // where
	functions functions // by offset in the file
}

// batch names the frames of one call of Rows.
type batch struct {
	*user
	frames  []format.Frame
	pending []pendingFrame
	maps    map[int32][]mapping // of processes looked at
	fresh   map[inode]bool      // identified in this batch
	groups  map[fileID]*group
	order   []fileID        // of groups, as met
	memory  map[int32][]int // frames in memory without a file, by pid
	pids    []int32         // of memory, as met
	vdso    []int
	// executed are the programs of processes that are gone; nil: not to be read.
	executed map[string]*image
}

// group is the frames of one file.
type group struct {
	frames []int
	pids   []int32 // that had them, some
}

// name fills in the frames of processes, whose Offset still is what the kernel
// gave.
func (u *user) name(frames []format.Frame, pending []pendingFrame) {
	b := &batch{
		user: u, frames: frames, pending: pending, maps: map[int32][]mapping{}, fresh: map[inode]bool{},
		groups: map[fileID]*group{}, memory: map[int32][]int{}, executed: map[string]*image{},
	}
	for i, p := range pending {
		if p.buildID != [20]byte{} {
			b.put(fileID{buildID: p.buildID}, i)
		} else {
			b.place(i)
		}
	}
	for _, id := range b.order {
		b.nameFile(id, b.groups[id])
	}
	b.nameVDSO()
	for _, pid := range b.pids {
		b.nameJIT(pid, b.memory[pid])
	}
	for _, id := range b.order {
		if id.buildID == [20]byte{} { // another file may come to have its inode
			u.drop(id)
		}
	}
}

// put makes a frame one of a file's.
func (b *batch) put(id fileID, i int) {
	g := b.groups[id]
	if g == nil {
		g = &group{}
		b.groups[id] = g
		b.order = append(b.order, id)
	}
	g.frames = append(g.frames, i)
	if pid := b.pending[i].seenIn; len(g.pids) < maxPIDs && !slices.Contains(g.pids, pid) {
		g.pids = append(g.pids, pid)
	}
}

// place finds where a frame lies that is known by its address only.
func (b *batch) place(i int) {
	f, pid := &b.frames[i], b.pending[i].seenIn
	m, ok := mappingAt(b.mapsOf(pid), uint64(f.Offset))
	switch {
	case !ok: // the process is gone, or the stack is not right
		b.placeInProgram(i)
		return
	case m.path == vdso:
		f.Offset, f.Module = int64(uint64(f.Offset)-m.start+m.offset), vdso
		b.vdso = append(b.vdso, i)
		return
	case m.file != inode{}:
		if id, ok := b.identify(pid, m); ok {
			f.Offset = int64(uint64(f.Offset) - m.start + m.offset)
			f.BuildID = frameKey{buildID: id.buildID}.buildIDText()
			b.put(id, i)
			return
		}
	}
	f.Module = clean([]byte(m.path))
	if m.path == "" {
		f.Module = anonymous
	}
	if b.memory[pid] == nil {
		b.pids = append(b.pids, pid)
	}
	b.memory[pid] = append(b.memory[pid], i)
}

// placeInProgram finds where a frame lies that is known by its address only and
// whose process is gone: in the program that the process executed, if that is
// not position-independent, as Go's mostly are.
func (b *batch) placeInProgram(i int) {
	f, pid := &b.frames[i], b.pending[i].seenIn
	program := b.programs.of(pid)
	if program == "" || b.mapsOf(pid) != nil {
		return
	}
	im, known := b.executed[program]
	if !known {
		if file, err := openIn(b.root, program); err == nil {
			var done func()
			if im, done = opened(file); im != nil {
				done() // its headers are read
			}
		}
		b.executed[program] = im
	}
	if im == nil || !im.fixed || im.buildID == [20]byte{} {
		return
	}
	if offset, ok := im.offset(uint64(f.Offset)); ok {
		id := fileID{buildID: im.buildID}
		f.Offset, f.BuildID = int64(offset), frameKey{buildID: id.buildID}.buildIDText()
		b.put(id, i)
	}
}

func (b *batch) mapsOf(pid int32) []mapping {
	all, known := b.maps[pid]
	if !known {
		all = readMaps(processFile(b.proc, pid, "maps"))
		b.maps[pid] = all
	}
	return all
}

// identify tells which file a process has mapped; not ok when it is no ELF file
// or can't be read.
func (b *batch) identify(pid int32, m mapping) (id fileID, ok bool) {
	id, known := b.buildIDs[m.file]
	if known && b.fresh[m.file] {
		return id, id != fileID{}
	}
	im, done := b.open(pid, m)
	if im != nil {
		defer done()
		id = fileID{buildID: im.buildID}
		if id.buildID == [20]byte{} {
			id.inode = m.file
		}
		b.keep(id, file{path: m.path, pid: pid, mapping: m})
	}
	if len(b.buildIDs) >= maxInodes {
		clear(b.buildIDs)
	}
	b.buildIDs[m.file], b.fresh[m.file] = id, true
	return id, im != nil
}

// keep remembers where a file was found.
func (u *user) keep(id fileID, f file) {
	if known := u.files[id]; known != nil {
		known.path, known.pid, known.mapping = f.path, f.pid, f.mapping
		return
	}
	if len(u.files) >= maxFiles {
		clear(u.files)
		u.functions = 0
	}
	u.files[id] = &f
}

func (u *user) drop(id fileID) {
	if f := u.files[id]; f != nil {
		u.functions -= len(f.functions)
		delete(u.files, id)
	}
}

// open opens a mapped file and reads its headers. done closes it.
func (u *user) open(pid int32, m mapping) (im *image, done func()) {
	if m.file == (inode{}) {
		return nil, nil
	}
	f, err := openLink(processFile(u.proc, pid, path.Join("map_files", m.span())))
	if err != nil {
		if f, err = openIn(processFile(u.proc, pid, "root"), m.path); err != nil {
			return nil, nil
		}
	}
	return opened(f)
}

func opened(f *os.File) (*image, func()) {
	im, err := readImage(f)
	if err != nil {
		_ = f.Close() // only read
		return nil, nil
	}
	return im, func() { _ = f.Close() }
}

// nameFile names the frames of one file: by what is kept, then by the file.
func (b *batch) nameFile(id fileID, g *group) {
	unknown := b.fillKept(id, g.frames)
	if len(unknown) == 0 {
		return
	}
	im, done := b.find(id, g.pids)
	if im == nil {
		return
	}
	defer done()
	var offsets []uint64
	for _, i := range unknown {
		offsets = append(offsets, uint64(b.frames[i].Offset))
	}
	b.keepFunctions(id, im.lookUp(offsets, b.debugFile(im)))
	b.fillKept(id, unknown)
}

// fillKept names the frames that lie in functions kept of the file, and returns
// the others.
func (b *batch) fillKept(id fileID, frames []int) (unknown []int) {
	known := b.files[id]
	if known == nil {
		return frames
	}
	for _, i := range frames {
		f := &b.frames[i]
		f.Module = clean([]byte(known.path))
		if fn, ok := known.functions.find(uint64(f.Offset)); ok {
			f.Symbol, f.Source = fn.name, fn.source
		} else {
			unknown = append(unknown, i)
		}
	}
	return unknown
}

func (u *user) keepFunctions(id fileID, found functions) {
	if u.functions += len(found); u.functions > maxFunctions {
		for _, f := range u.files {
			f.functions = nil
		}
		u.functions = len(found)
	}
	if f := u.files[id]; f != nil {
		f.functions = append(f.functions, found...).sorted()
	}
}

// find opens a file: as one of the processes has it mapped, as one had when it
// was met before, or where the kernel said that one was executed.
func (b *batch) find(id fileID, pids []int32) (*image, func()) {
	for _, again := range []bool{false, true} { // an inode may have become another file's
		for _, pid := range pids {
			if im, done := b.findIn(id, pid, again); im != nil {
				return im, done
			}
		}
	}
	if known := b.files[id]; known != nil {
		if im, done := b.check(id, known.pid, known.mapping); im != nil {
			return im, done
		}
		if im, done := b.openPath(id, known.path); im != nil {
			return im, done
		}
	}
	for _, pid := range pids {
		if program := b.programs.of(pid); program != "" {
			if im, done := b.openPath(id, program); im != nil {
				b.keep(id, file{path: program, pid: pid})
				return im, done
			}
		}
	}
	return nil, nil
}

// findIn looks for a file among those a process has mapped; again: even where
// another was found before.
func (b *batch) findIn(id fileID, pid int32, again bool) (*image, func()) {
	for _, m := range b.mapsOf(pid) {
		if m.file == (inode{}) {
			continue
		}
		have, known := b.buildIDs[m.file]
		if !known || again && !b.fresh[m.file] {
			have, _ = b.identify(pid, m)
		}
		if have != id {
			continue
		}
		if im, done := b.check(id, pid, m); im != nil {
			b.keep(id, file{path: m.path, pid: pid, mapping: m})
			return im, done
		}
	}
	return nil, nil
}

// check opens a mapped file if it still is the one wanted.
func (u *user) check(id fileID, pid int32, m mapping) (*image, func()) {
	im, done := u.open(pid, m)
	return wanted(id, im, done)
}

// openPath opens a file of the host if it is the one wanted.
func (u *user) openPath(id fileID, path string) (*image, func()) {
	if id.buildID == [20]byte{} {
		return nil, nil
	}
	f, err := openIn(u.root, path)
	if err != nil {
		return nil, nil
	}
	im, done := opened(f)
	return wanted(id, im, done)
}

// wanted passes an image on if it has the build id of the file.
func wanted(id fileID, im *image, done func()) (*image, func()) {
	if im != nil && im.buildID != id.buildID {
		done()
		return nil, nil
	}
	return im, done
}

// debugFile opens the separate debug file of an image, as Debian's -dbgsym
// packages install them; nil when there is none.
func (u *user) debugFile(im *image) func() (*image, func()) {
	text := frameKey{buildID: im.buildID}.buildIDText()
	return func() (*image, func()) {
		if text == "" {
			return nil, nil
		}
		return u.openPath(fileID{buildID: im.buildID}, path.Join("usr/lib/debug/.build-id", text[:2], text[2:]+".debug"))
	}
}
