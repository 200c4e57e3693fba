package format

import (
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strings"
)

// mask replaces texts by their class.
type mask struct {
	*pseudonyms
	classes map[string]bool      // that stay
	texts   map[pseudonymOf]bool // that stay
}

// stays says whether a text was asked to stay as it is.
func (m *mask) stays(class, text string) bool {
	class = keptAs(class)
	return text == "" || m.classes[class] || m.texts[pseudonymOf{class, text}]
}

// text gives the stand-in of a text of a class.
func (m *mask) text(class, text string) string {
	if m.stays(class, text) {
		return text
	}
	return m.remember(class, text, func() string { return m.replace(class, text) })
}

func (m *mask) replace(class, text string) string {
	switch class {
	case textWord:
		return m.word(text)
	case textAddress:
		return m.addressText(text)
	case textThread:
		return m.thread(text)
	case textService:
		return m.service(text)
	case textProgram:
		return m.path(text, true)
	case textPath:
		return m.path(text, false)
	}
	return m.name(class, text)
}

// plainWord is what a word of a vocabulary looks like.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_.:+-]{1,64}$`)

func (m *mask) word(text string) string {
	if plainWord.MatchString(text) {
		return text
	}
	return m.name(textWord, text)
}

// addressText is an address, maybe with a prefix length.
func (m *mask) addressText(text string) string {
	bare, length, isPrefix := strings.Cut(text, "/")
	a, err := netip.ParseAddr(bare)
	if err != nil || isPrefix && !prefixLength.MatchString(length) {
		return m.name(textAddress, text)
	}
	bare = m.address(a).String()
	if isPrefix {
		bare += "/" + length
	}
	return bare
}

var prefixLength = regexp.MustCompile(`^[0-9]{1,3}$`)

// kernelService is what the recorder calls the kernel's own threads.
const kernelService = "kernel"

func (m *mask) service(text string) string {
	if text == kernelService || m.stays(textService, text) {
		return text
	}
	return m.name(textService, text)
}

// path replaces each name in a path, so that it keeps its depth and what it has
// in common with others. The last of a program's is one of a service.
func (m *mask) path(text string, program bool) string {
	if len(text) > maxPathBytes {
		return m.name(textPath, text)
	}
	if text[0] == '[' && program { // memory without a file
		return m.memory(text)
	}
	if program && (text == kernelService || text == "bpf") {
		return text
	}
	parts := strings.Split(text, "/")
	for i, part := range parts {
		last := i == len(parts)-1
		switch {
		case part == "" || publicDirectories[part] && !(last && program) || part == "." || part == "..":
		case last && program && publicLibrary.MatchString(part):
		case last && program:
			parts[i] = m.service(part)
		default:
			parts[i] = m.name("dir", part)
		}
	}
	return strings.Join(parts, "/")
}

// maxPathBytes is the longest path that Linux takes (PATH_MAX).
const maxPathBytes = 4096

// memory is [vdso] and the like.
func (m *mask) memory(text string) string {
	if slices.Contains([]string{"[vdso]", "[vsyscall]", "[jit]", "[anon]", "[heap]", "[stack]", "[uprobes]"}, text) {
		return text
	}
	return "[" + m.name("memory", text) + "]"
}

// publicDirectories are names that any Linux has.
var publicDirectories = wordSet(`bin boot dev etc home lib lib32 lib64 libexec local media mnt opt proc root run sbin share srv
	sys tmp usr var log cgroup fs mapper system.slice user.slice init.scope kubepods kubepods.slice docker containerd
	x86_64-linux-gnu aarch64-linux-gnu`)

func wordSet(words string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(words) {
		set[w] = true
	}
	return set
}

// publicLibrary is a library that anybody can get, whose functions tell nothing.
var publicLibrary = regexp.MustCompile(`^(ld-linux[-_a-z0-9]*|ld-musl-[a-z0-9_]+|ld|libc|libm|libpthread|libdl|librt|libresolv|libnss_(files|dns|compat|db|hesiod|nis|nisplus|systemd|resolve|myhostname|mymachines|sss|ldap|winbind|wins)|libnss_mdns4?6?(_minimal)?|` +
	`libgcc_s|libstdc\+\+|libc\+\+|libcrypto|libssl|libz|libzstd|liblz4|liblzma|libbz2|libuv|libev|libevent|liburing|libaio|libnuma|` +
	`libjvm|libjava|libnio|libnet|libpython[0-9.]*|libruby|libperl|libnode|libcurl|libpcre2?|libpcre2-8|libselinux|libsystemd|` +
	`libjemalloc|libtcmalloc|libglib|libxml2|libsqlite3|libpq|libelf|libbpf)(-[0-9.]+)?\.so[.0-9]*$`)

// symbol replaces the function of a frame, unless it is the kernel's, of a public
// library, or of a language's runtime. Programs of bpf have their users' names.
func (m *mask) symbol(f *Frame) string {
	switch {
	case m.stays(textSymbol, f.Symbol):
		return f.Symbol
	case !printableText.MatchString(f.Symbol): // no compiler made it
	case f.Kind == FrameKernel && !strings.HasPrefix(f.Symbol, "bpf_prog_") && f.Module != "bpf":
		return f.Symbol
	case f.Kind == FrameUser && (publicLibrary.MatchString(path.Base(f.Module)) || f.Module == "[vdso]"):
		return f.Symbol
	case f.Kind == FrameUser && PublicSymbol(f.Symbol):
		return f.Symbol
	}
	return m.text(textSymbol, f.Symbol)
}

// printableText is what the names of public functions consist of.
var printableText = regexp.MustCompile(`^[ -~]*$`)
