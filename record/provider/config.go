package provider

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"kmon/format"
	"kmon/record/spelling"
)

// Selectors say what to record, on the command line or in the configuration.
// What any of them selects is recorded; without any, everything is.
type Selectors struct {
	PIDs     []int32  `yaml:"pids"`
	Services []string `yaml:"services"` // names as the services are called in reports
	Cgroups  []string `yaml:"cgroups"`  // paths in the hierarchy of Host.CgroupHierarchy, or below its mount point
	Ports    []uint16 `yaml:"ports"`    // local or remote TCP ports
}

// Empty says whether nothing is selected, so that everything is recorded.
func (s Selectors) Empty() bool {
	return len(s.PIDs)+len(s.Services)+len(s.Cgroups)+len(s.Ports) == 0
}

// Config is one version of the configuration file. It is not changed after
// [ParseConfig], so it may be shared. The file is YAML, every key is optional;
// see the example of ParseConfig.
type Config struct {
	Targets    Selectors `yaml:"targets"`
	Rules      []Rule    `yaml:"rules"`      // the first that matches names the service
	Collectors []string  `yaml:"collectors"` // of Collectors; empty: all but syscall
}

// Rule names the service of the processes it matches.
type Rule struct {
	Service string `yaml:"service"`
	Match   Match  `yaml:"match"`
}

// Match holds when all the fields that are given hold. In a glob "*" stands
// for any text, slashes included, and "?" for one character; the whole value
// must match.
type Match struct {
	Exe       string `yaml:"exe"`       // glob; without a slash it is compared with the base name
	Cmdline   string `yaml:"cmdline"`   // regular expression (RE2) found anywhere in the arguments joined by spaces
	Comm      string `yaml:"comm"`      // glob
	Cgroup    string `yaml:"cgroup"`    // glob
	Port      uint16 `yaml:"port"`      // a TCP port the process listens on
	Container string `yaml:"container"` // glob of the container's name
	Pod       string `yaml:"pod"`       // glob of the pod's name
	Unit      string `yaml:"unit"`      // glob of the systemd unit, as "nginx.service"

	exe, cmdline, comm, cgroup, container, pod, unit *regexp.Regexp
}

// Collectors are the words that Config.Collectors may hold: those of package
// probe, which only Linux has, sorted.
var Collectors = []string{"block", "cpu", "drop", "proc", "syscall", "tcp"}

// maxConfig bounds the configuration file, in bytes.
const maxConfig = 1 << 20

// ParseConfig reads a configuration in YAML. Its errors begin with path and
// line; an unknown key is one, and the error names the nearest known key. An
// empty file is the empty configuration.
func ParseConfig(path string, data []byte) (config *Config, err error) {
	defer func() { // the YAML library must not take the recorder down
		if r := recover(); r != nil {
			config, err = nil, fmt.Errorf("%s: not YAML that can be read: %v", path, r)
		}
	}()
	if len(data) > maxConfig {
		return nil, fmt.Errorf("%s: has %d bytes, at most %d are allowed", path, len(data), maxConfig)
	}
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, yamlError(path, err)
	}
	if n := len(file.Docs); n > 1 {
		return nil, fmt.Errorf("%s: holds %d YAML documents, remove all but one", path, n)
	}
	config = &Config{}
	err = yaml.NewDecoder(bytes.NewReader(data), yaml.Strict()).Decode(config)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, yamlError(path, err)
	}
	if err := config.compile(); err != nil {
		return nil, fmt.Errorf("%s%s: %w", path, lineOf(file, err.at), err.err)
	}
	return config, nil
}

// configError is an error at a place of the file, as "$.rules[0].match".
type configError struct {
	at  string
	err error
}

// compile checks the values and prepares the matches.
func (c *Config) compile() *configError {
	if err := c.Targets.check(); err != nil {
		return err
	}
	for i, name := range c.Collectors {
		if !slices.Contains(Collectors, name) {
			return &configError{fmt.Sprintf("$.collectors[%d]", i),
				fmt.Errorf("no collector %q, did you mean %q? Collectors are %s", name, spelling.Nearest(name, Collectors), strings.Join(Collectors, ", "))}
		}
	}
	for i := range c.Rules {
		r := &c.Rules[i]
		at := fmt.Sprintf("$.rules[%d]", i)
		if format.Clean(strings.TrimSpace(r.Service)) != r.Service || r.Service == "" {
			return &configError{at, fmt.Errorf("a rule needs a service name without control characters and outer spaces, not %q", r.Service)}
		}
		if err := r.Match.compile(); err != nil {
			err.at = at + err.at
			return err
		}
	}
	return nil
}

func (s Selectors) check() *configError {
	for i, pid := range s.PIDs {
		if pid <= 0 {
			return &configError{fmt.Sprintf("$.targets.pids[%d]", i), fmt.Errorf("%d is not a process id, those begin at 1", pid)}
		}
	}
	for i, port := range s.Ports {
		if port == 0 {
			return &configError{fmt.Sprintf("$.targets.ports[%d]", i), errors.New("0 is not a port, those begin at 1")}
		}
	}
	for i, name := range s.Services {
		if name == "" {
			return &configError{fmt.Sprintf("$.targets.services[%d]", i), errors.New("a service name is empty")}
		}
	}
	for i, name := range s.Cgroups {
		if name == "" {
			return &configError{fmt.Sprintf("$.targets.cgroups[%d]", i), errors.New("a cgroup path is empty")}
		}
	}
	return nil
}

// compile prepares the globs and the regular expression.
func (m *Match) compile() *configError {
	if *m == (Match{}) {
		return &configError{"", errors.New("the rule matches nothing in particular, give at least one field in match")}
	}
	if m.Cmdline != "" {
		re, err := regexp.Compile(m.Cmdline)
		if err != nil {
			return &configError{".match.cmdline", fmt.Errorf("cmdline is not a regular expression: %w", err)}
		}
		m.cmdline = re
	}
	for _, g := range []struct {
		text string
		re   **regexp.Regexp
	}{{m.Exe, &m.exe}, {m.Comm, &m.comm}, {m.Cgroup, &m.cgroup}, {m.Container, &m.container}, {m.Pod, &m.pod}, {m.Unit, &m.unit}} {
		if g.text != "" {
			*g.re = globRegexp(g.text)
		}
	}
	return nil
}

// globRegexp never fails: all but the two wildcards is quoted.
func globRegexp(glob string) *regexp.Regexp {
	quoted := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(strings.ToValidUTF8(glob, "?")))
	return regexp.MustCompile("(?s)^(?:" + quoted + ")$")
}

// rule returns the first rule that matches; nil when none does. A nil
// configuration has no rules.
func (c *Config) rule(f facts) *Rule {
	if c == nil {
		return nil
	}
	for i := range c.Rules {
		if c.Rules[i].Match.matches(f) {
			return &c.Rules[i]
		}
	}
	return nil
}

func (m *Match) matches(f facts) bool {
	exe := f.exe
	if !strings.Contains(m.Exe, "/") {
		exe = baseName(exe)
	}
	holds := func(re *regexp.Regexp, value string) bool { return re == nil || re.MatchString(value) }
	return holds(m.exe, exe) && holds(m.comm, f.comm) && holds(m.cgroup, f.cgroup) && holds(m.container, f.container) &&
		holds(m.pod, f.pod) && holds(m.unit, f.unit) && (m.Port == 0 || slices.Contains(f.ports, m.Port)) && holds(m.cmdline, f.cmdline)
}

// configKeys are all the keys of the file, to suggest one for a typo.
var configKeys = []string{"targets", "pids", "services", "cgroups", "ports", "rules", "service", "match", "exe", "cmdline", "comm",
	"cgroup", "port", "container", "pod", "unit", "collectors"}

// yamlError puts path and line before the YAML library's message.
func yamlError(path string, err error) error {
	var at yaml.Error
	if !errors.As(err, &at) {
		return fmt.Errorf("%s: %w", path, err)
	}
	line := ""
	if t := at.GetToken(); t != nil && t.Position != nil {
		line = fmt.Sprintf(":%d", t.Position.Line)
	}
	var unknown *yaml.UnknownFieldError
	if errors.As(err, &unknown) && unknown.GetToken() != nil {
		key := unknown.GetToken().Value
		return fmt.Errorf("%s%s: unknown key %q, did you mean %q?", path, line, key, spelling.Nearest(key, configKeys))
	}
	return fmt.Errorf("%s%s: %s", path, line, at.GetMessage())
}

// lineOf returns ":N" for a place in the file; "" when it cannot be found.
func lineOf(file *ast.File, at string) string {
	p, err := yaml.PathString(at)
	if err != nil {
		return ""
	}
	node, err := p.FilterFile(file)
	if err != nil || node == nil || node.GetToken() == nil {
		return ""
	}
	return fmt.Sprintf(":%d", node.GetToken().Position.Line)
}
