package format

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Redaction says that a capture was redacted, in its manifest.
type Redaction struct {
	// KeyID tells keys apart and nothing else of them: captures with the same were
	// redacted with the same key.
	KeyID string `json:"key_id"`
	// Kept is what stayed as it was, as RedactOptions.Keep.
	Kept []string `json:"kept,omitempty"`
	// LeftOut is what the kmon that redacted did not know.
	LeftOut []string `json:"left_out,omitempty"`
}

// manifest is that of the copy. What a manifest of a newer kmon has beyond this
// one is left out, as it is not in Manifest.
func (r *redactor) manifest() Manifest {
	m := r.from.Manifest
	m.Redacted = &Redaction{KeyID: r.hex("key", "", 4), Kept: r.kept, LeftOut: r.words(r.leftOut)}
	m.KmonVersion = r.word(m.KmonVersion)
	m.Host = r.host(m.Host)
	m.Options = r.options(m.Options)
	if len(m.CommandLine) > 0 && !r.stays(textCommand, strings.Join(m.CommandLine, " ")) {
		m.CommandLine = []string{r.text(textCommand, strings.Join(m.CommandLine, " "))}
	}
	m.Collectors = slices.Clone(m.Collectors)
	for i := range m.Collectors {
		k := &m.Collectors[i]
		k.Name = r.word(k.Name)
		k.Variants, k.Settings = r.facts(k.Variants, r.plain), r.facts(k.Settings, r.plain)
		k.Missing = r.facts(k.Missing, r.reason)
	}
	if p := m.Recording; p != nil {
		part := *p
		if !r.stays(textHost, p.ID) {
			part.ID = r.hex("recording", p.ID, 8)
		}
		m.Recording = &part
	}
	if m.Cut != nil { // whoever has the source knows its hash
		cut := *m.Cut
		cut.SHA256 = ""
		m.Cut = &cut
	}
	if m.Synthetic != "" {
		m.Synthetic = r.text(textOption, m.Synthetic)
	}
	return m
}

// host keeps what the numbers depend on: kernel, CPUs, memory.
func (r *redactor) host(h Host) Host {
	h.Name = r.text(textHost, h.Name)
	for _, id := range []*string{&h.MachineID, &h.BootID} {
		if !r.stays(textHost, *id) {
			*id = r.hex("host", *id, 16)
		}
	}
	h.Kernel, h.Arch, h.CgroupHierarchy = r.plain(h.Kernel), r.word(h.Arch), r.plain(h.CgroupHierarchy)
	h.OS = r.release(h.OS)
	return h
}

// release keeps the name and version of a distribution.
func (r *redactor) release(text string) string {
	if distribution.MatchString(text) {
		return text
	}
	return r.text(textOption, text)
}

var distribution = regexp.MustCompile(`^[A-Za-z0-9_.()/+ -]{0,64}$`)

// plain keeps what has the form of a kernel's word, else it is an option.
func (r *redactor) plain(text string) string {
	if plainFact.MatchString(text) {
		return text
	}
	return r.text(textOption, text)
}

var plainFact = regexp.MustCompile(`^[A-Za-z0-9_.:,+/ -]{0,128}$`)

// reason keeps why something is not recorded if nobody asked for it: analysis
// goes by that. Else it is an error's text.
func (r *redactor) reason(text string) string {
	if text == reasonNotAsked || notAskedText.MatchString(text) {
		return text
	}
	return r.text(textError, text)
}

const reasonNotAsked = "not asked for"

// notAskedText is what a recorder says of what nobody asked for.
var notAskedText = regexp.MustCompile(`^not asked for \((-e|--)[-a-z, |]*( or --[a-z]+)?\)(: counting makes every system call of the machine some 50 ns slower)?$`)

func (r *redactor) facts(m map[string]string, value func(string) string) map[string]string {
	if m == nil {
		return nil
	}
	to := make(map[string]string, len(m))
	for k, v := range m {
		to[r.word(k)] = value(v)
	}
	return to
}

// openOptions are those whose values name nothing.
var openOptions = wordSet(`duration max_overhead max_size_bytes min_free_bytes ring rotate_bytes rotate_every rotate_count collectors
	syscalls syscall_latency ports pids interval off_cpu_min sample_hz user_stacks data_ring_bytes no_cmdline`)

var openValue = regexp.MustCompile(`^[A-Za-z0-9_.,%\[\] -]{0,256}$`)

func (r *redactor) options(all map[string]string) map[string]string {
	if all == nil {
		return nil
	}
	to := make(map[string]string, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		value := all[name]
		open := openOptions[name] || path.Ext(name) != "" && strings.HasPrefix(name, "variant.")
		if !open || !openValue.MatchString(value) && !plainFact.MatchString(value) {
			value = r.text(textOption, value)
		}
		to[r.word(name)] = value
	}
	return to
}

// words redacts what is no list of words: names of unknown tables and columns are
// words by what the reader takes as such.
func (r *redactor) words(list []string) []string {
	var to []string
	for _, text := range list {
		fields := strings.Fields(text)
		for i := range fields {
			fields[i] = r.word(fields[i])
		}
		to = append(to, strings.Join(fields, " "))
	}
	return to
}
