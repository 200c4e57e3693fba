package format

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// RedactOptions are the choices of Redact; the zero value is right.
type RedactOptions struct {
	// Key makes the pseudonyms: captures redacted with one key have the same. It
	// has MinKeyBytes at least. nil: a random one, which is thrown away.
	Key []byte
	// Keep lists what stays as it is: a class (address, service, …), or one text
	// of it as service=cart.
	Keep []string
	// NoSync leaves forcing data to disk to the kernel.
	NoSync bool
}

// MinKeyBytes is the least length of a key.
const MinKeyBytes = 16

// Redact writes a copy of a capture in which texts that name something have keyed
// pseudonyms: by the class of each column in FORMAT.md. The same text gives the same
// pseudonym everywhere. Numbers stay: times, sizes, ports, ids of processes. Every
// segment is written anew; tables, columns and members of the manifest that this
// kmon does not know are left out, and said in the report and the new manifest. Of
// a damaged file what can be read is redacted; rows that it counts and nobody can
// read become Loss rows with cause LossDamage. It never overwrites, and leaves
// nothing behind when it fails. Memory for one segment and some names is all it
// takes. It gives up with ctx.
func Redact(ctx context.Context, dst string, c *Capture, o RedactOptions) (Report, error) {
	r, err := newRedactor(c, o)
	if err != nil {
		return Report{}, err
	}
	manifest, err := encodeManifest(r.manifest())
	if err != nil {
		return Report{}, err
	}
	r.w, err = createWriter(dst, manifest, WriterOptions{NoSync: o.NoSync})
	if err != nil {
		return Report{}, err
	}
	r.w.nowNs = c.startNs()
	if err := r.copyAll(ctx); err != nil {
		return Report{}, errors.Join(err, r.w.drop())
	}
	r.w.startEncoder()
	err = r.w.close(r.final())
	return Report{File: dst, Size: r.w.Size(), Entries: r.w.archive.count, Rows: r.w.Rows(), Problems: r.problems()}, err
}

// drop removes a file whose encoder does not run.
func (w *Writer) drop() error {
	return errors.Join(w.archive.f.Close(), w.dir.Remove(w.name+partSuffix), w.dir.Close())
}

// redactor redacts one capture.
type redactor struct {
	mask
	from    *Capture
	w       *Writer
	kept    []string
	leftOut []string // tables and columns that this kmon does not know
	seen    map[string]int64
	sound   map[string]*allowance
}

func newRedactor(c *Capture, o RedactOptions) (*redactor, error) {
	m, err := newMask(o)
	if err != nil {
		return nil, err
	}
	r := &redactor{mask: m, from: c, kept: slices.Clone(o.Keep), seen: map[string]int64{}, sound: map[string]*allowance{}}
	slices.Sort(r.kept)
	r.kept = slices.Compact(r.kept)
	r.look()
	return r, nil
}

// newMask makes the pseudonyms that the options ask for.
func newMask(o RedactOptions) (mask, error) {
	m := mask{classes: map[string]bool{}, texts: map[pseudonymOf]bool{}}
	key := o.Key
	if key == nil {
		key = make([]byte, 32)
		_, _ = rand.Read(key) // never fails
	}
	if len(key) < MinKeyBytes {
		return m, fmt.Errorf("the key has %d bytes, %d are the least", len(key), MinKeyBytes)
	}
	m.pseudonyms = newPseudonyms(key)
	for _, what := range o.Keep {
		if err := CheckKeep(what); err != nil {
			return m, err
		}
		if class, text, one := strings.Cut(what, "="); one {
			m.texts[pseudonymOf{class, text}] = true
		} else {
			m.classes[class] = true
		}
	}
	return m, nil
}

// RedactClasses are the classes of names that RedactOptions.Keep takes.
func RedactClasses() []string { return slices.Clone(textClasses) }

// CheckKeep is the error of what RedactOptions.Keep does not take.
func CheckKeep(what string) error {
	class, _, _ := strings.Cut(what, "=")
	if slices.Contains(textClasses, class) {
		return nil
	}
	return fmt.Errorf("%q is no class of names to keep: there are %s, and one name as service=NAME; ports and all other numbers stay anyway",
		class, strings.Join(textClasses, ", "))
}

// maxLeftOut is how much that is left out is named.
const maxLeftOut = 100

// look finds what this kmon does not know.
func (r *redactor) look() {
	found := map[string]bool{}
	for name, segments := range r.from.segments {
		t := tableNamed(name)
		if t == nil {
			found["table "+name] = true
			continue
		}
		for _, s := range segments {
			_ = s.read(func(o *openSegment) error { // damage is a Problem by now
				for _, column := range o.names {
					if _, known := t.column(column); !known && len(found) < 2*maxLeftOut {
						found["column "+column+" of table "+name] = true
					}
				}
				return nil
			})
		}
	}
	r.leftOut = slices.Sorted(maps.Keys(found))
	if more := len(r.leftOut) - maxLeftOut; more > 0 {
		r.leftOut = append(r.leftOut[:maxLeftOut], fmt.Sprintf("%d more", more))
	}
}

// problems are those of the source, and what was left out of it.
func (r *redactor) problems() []Problem {
	list := r.from.Problems()
	for _, what := range r.leftOut {
		list = append(list, Problem{File: r.from.Path, Offset: -1, What: what + " is left out: this kmon does not know what is in it",
			Mend: "redact with the kmon that recorded it"})
	}
	return list
}

// copyAll writes every segment of the tables that are known.
func (r *redactor) copyAll(ctx context.Context) error {
	for _, s := range r.from.inOrder() {
		at := slices.IndexFunc(r.w.sinks, func(k rowSink) bool { return k.table().name == s.Table })
		if at < 0 {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		err := s.read(func(o *openSegment) error { return r.copySegment(r.w.sinks[at], o) })
		if err != nil && !isFileError(err) {
			return err
		}
	}
	return appendNow(r.w, r.from.lossesForRepair(r.seen)...)
}

// copySegment writes a segment, after it was read once: of a damaged one no part
// is written.
func (r *redactor) copySegment(k rowSink, o *openSegment) error {
	name := k.table().name
	if r.sound[name] == nil {
		r.sound[name] = new(allowance)
	}
	if err := r.sound[name].take(o); err != nil {
		return err
	}
	if err := k.countRows(o); err != nil {
		return err
	}
	if err := k.copyChanged(o, r.change); err != nil {
		return stop{err}
	}
	r.seen[name] += int64(o.rows)
	return nil
}

// change redacts a text in a row, given as a pointer. The columns of a row come
// in their order.
func (r *redactor) change(row any, c textColumn, text string) string {
	if f, ok := row.(*Frame); ok && c.class == textSymbol {
		return r.symbol(f)
	}
	if f, ok := row.(*Frame); ok && f.Kind == FrameKernel && c.class == textProgram {
		return r.word(text) // a module of the kernel
	}
	return r.text(c.class, text)
}

// copyChanged adds the rows of a segment with their texts changed, before the
// encoder runs.
func (s *sink[T]) copyChanged(o *openSegment, change func(row any, c textColumn, text string) string) error {
	columns := s.info.textColumns()
	err := newRowReader[T]().read(o, func(rows []T) error {
		for i := range rows {
			for _, c := range columns {
				if text := textField(&rows[i], c.column); *text != "" {
					*text = change(&rows[i], c, *text)
				}
			}
		}
		return s.encodeNow(rows, false)
	})
	return errors.Join(err, s.encodeNow(nil, true))
}

// countRows reads a segment, for the error.
func (s *sink[T]) countRows(o *openSegment) error {
	return newRowReader[T]().read(o, func([]T) error { return nil })
}

// final is the summary of the copy; nil: the source has none.
func (r *redactor) final() *Final {
	if r.from.Final == nil {
		return nil
	}
	f := *r.from.Final
	f.StopReason, f.Error = r.word(f.StopReason), r.text(textError, f.Error)
	f.Losses = map[string]int64{}
	for what, n := range r.from.Final.Losses {
		collector, cause, _ := strings.Cut(what, "/")
		if len(f.Losses) < math.MaxUint8 { // there are some twenty
			f.Losses[r.word(collector)+"/"+r.word(cause)] += n
		}
	}
	return &f
}
