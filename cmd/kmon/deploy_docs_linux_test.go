package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"kmon/record"
	"kmon/record/provider"
)

// deploySection is the README's section on deploying.
func deploySection(t *testing.T) string {
	t.Helper()
	_, after, ok := strings.Cut(string(read(t, "../../README.md")), "\n## Deploy\n")
	section, _, _ := strings.Cut(after, "\n## ")
	if !ok || len(section) < 1000 {
		t.Fatal("the README has no section Deploy")
	}
	return section
}

// blocks are the texts of fenced blocks in a language.
func blocks(section, language string) (all []string) {
	for _, part := range strings.Split(section, "\n```"+language+"\n")[1:] {
		text, _, _ := strings.Cut(part, "\n```")
		all = append(all, text)
	}
	return all
}

// neededCaps are the capabilities with which a user's recording sees all that
// root's does but its own cost, sorted, without "CAP_".
func neededCaps() []string {
	var names []string
	for name := range record.Capabilities() {
		if name != "CAP_SYS_ADMIN" {
			names = append(names, strings.TrimPrefix(name, "CAP_"))
		}
	}
	slices.Sort(names)
	return names
}

// checkRecordLine has kmon read a command line from "record" on, without running
// it.
func checkRecordLine(t *testing.T, args []string) {
	t.Helper()
	root := newRoot()
	cmd, rest, err := root.Find(args)
	check(t, err)
	if cmd.Name() != "record" {
		t.Fatalf("%q runs %s", args, cmd.Name())
	}
	if err := cmd.ParseFlags(rest); err != nil {
		t.Errorf("%q: %v", args, err)
	}
	if left := cmd.Flags().Args(); len(left) > 0 {
		t.Errorf("%q: %q is no flag", args, left)
	}
	if dir := cmd.Flag("host-root").Value.String(); dir != "/host" {
		t.Errorf("%q reads the host at %q", args, dir)
	}
}

// recordLine finds kmon's own arguments in a line of a shell.
func recordLine(t *testing.T, line string) []string {
	t.Helper()
	words, err := splitWords(line)
	check(t, err)
	at := slices.Index(words, "record")
	if at < 1 || !strings.HasSuffix(words[at-1], "kmon") {
		t.Fatalf("no kmon record in %q", line)
	}
	return words[at:]
}

// The commands of the README give kmon what the code says that it uses.
func TestDeployCommands(t *testing.T) {
	section := deploySection(t)
	for what, text := range map[string]string{"docker": "docker run", "kubectl": "kubectl debug"} {
		found := false
		for _, block := range blocks(section, "sh") {
			for line := range strings.Lines(strings.ReplaceAll(block, "\\\n", " ")) {
				if !strings.HasPrefix(line, text) || !strings.Contains(line, "record") {
					continue
				}
				found = true
				checkRecordLine(t, recordLine(t, strings.TrimSpace(line)))
				if what == "docker" {
					checkDocker(t, line)
				}
			}
		}
		if !found {
			t.Errorf("no %s in the section", text)
		}
	}
	if dockerfile := blocks(section, "dockerfile"); len(dockerfile) != 1 || !strings.HasPrefix(dockerfile[0], "FROM scratch\n") || !strings.HasSuffix(dockerfile[0], `ENTRYPOINT ["/kmon"]`) {
		t.Errorf("the Dockerfile: %q", dockerfile)
	}
	setcap := regexp.MustCompile("`setcap ([a-z_,]+)\\+ep kmon`").FindStringSubmatch(section)
	if setcap == nil {
		t.Fatal("no setcap")
	}
	names := strings.Split(strings.ToUpper(strings.ReplaceAll(setcap[1], "cap_", "")), ",")
	slices.Sort(names)
	if !slices.Equal(names, neededCaps()) {
		t.Errorf("setcap gives %q, want %q", names, neededCaps())
	}
}

func checkDocker(t *testing.T, line string) {
	t.Helper()
	var names []string
	for _, match := range regexp.MustCompile(`--cap-add=(\S+)`).FindAllStringSubmatch(line, -1) {
		names = append(names, match[1])
	}
	slices.Sort(names)
	if !slices.Equal(names, neededCaps()) {
		t.Errorf("docker gives %q, want %q", names, neededCaps())
	}
	for _, part := range []string{"--pid=host", "--cap-drop=ALL", "-v /:/host:ro,rslave", ":/out "} {
		if !strings.Contains(line, part) {
			t.Errorf("no %s in %q", part, line)
		}
	}
}

// The tables list every capability and every place that the code names, and no
// other.
func TestDeployTables(t *testing.T) {
	section := deploySection(t)
	uses := record.Capabilities()
	for _, row := range regexp.MustCompile("(?m)^\\| `(CAP_[A-Z_]+)` \\| (.*) \\|$").FindAllStringSubmatch(section, -1) {
		use, known := uses[row[1]]
		if use == "" {
			use = "everything"
		}
		if !known || !strings.HasPrefix(row[2], use) {
			t.Errorf("%s is for %q, the code says %q", row[1], row[2], use)
		}
		delete(uses, row[1])
	}
	if len(uses) > 0 {
		t.Errorf("not in the table: %v", uses)
	}
	var told []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`/.*) \\| .* \\|$").FindAllStringSubmatch(section, -1) {
		for _, match := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[1], -1) {
			told = append(told, match[1])
		}
	}
	// Those are what is read of the kernel, and of the programs.
	told = slices.DeleteFunc(told, func(name string) bool {
		return slices.Contains([]string{"/proc", "/sys", "/sys/fs/cgroup", "/usr/lib/debug"}, name)
	})
	covers := func(dir, file string) bool { return file == dir || strings.HasPrefix(file, dir+"/") }
	for _, file := range provider.HostPaths() {
		if !slices.ContainsFunc(told, func(dir string) bool { return covers(dir, file) }) {
			t.Errorf("%s is read and not in the table", file)
		}
	}
	for _, dir := range told {
		if !slices.ContainsFunc(provider.HostPaths(), func(file string) bool { return covers(dir, file) }) {
			t.Errorf("%s is in the table and not read", dir)
		}
	}
}

// daemonSet is the part of Kubernetes' API that the README uses (apps/v1, core/v1).
type daemonSet struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct{ Name string }
	Spec       struct {
		Selector struct {
			MatchLabels map[string]string `yaml:"matchLabels"`
		}
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     podSpec
		}
	}
}

type podSpec struct {
	HostPID     bool `yaml:"hostPID"`
	Tolerations []struct{ Operator string }
	Containers  []podContainer
	Volumes     []struct {
		Name     string
		HostPath struct{ Path, Type string } `yaml:"hostPath"`
	}
}

type podContainer struct {
	Name, Image     string
	Command         []string
	WorkingDir      string `yaml:"workingDir"`
	SecurityContext struct {
		RunAsUser                int64 `yaml:"runAsUser"`
		ReadOnlyRootFilesystem   bool  `yaml:"readOnlyRootFilesystem"`
		AllowPrivilegeEscalation bool  `yaml:"allowPrivilegeEscalation"`
		Capabilities             struct{ Add, Drop []string }
		AppArmorProfile          struct{ Type string } `yaml:"appArmorProfile"`
	} `yaml:"securityContext"`
	Resources    struct{ Limits map[string]string }
	VolumeMounts []struct {
		Name             string
		MountPath        string `yaml:"mountPath"`
		ReadOnly         bool   `yaml:"readOnly"`
		MountPropagation string `yaml:"mountPropagation"`
	} `yaml:"volumeMounts"`
}

// The manifest is of known fields only, gives kmon what it uses, and bounds what
// it may take.
func TestDeployManifest(t *testing.T) {
	texts := blocks(deploySection(t), "yaml")
	if len(texts) != 1 {
		t.Fatalf("got %d manifests, want one", len(texts))
	}
	var d daemonSet
	if err := yaml.NewDecoder(strings.NewReader(texts[0]), yaml.Strict()).Decode(&d); err != nil {
		t.Fatal(err)
	}
	labels := d.Spec.Template.Metadata.Labels
	if d.APIVersion != "apps/v1" || d.Kind != "DaemonSet" || d.Spec.Selector.MatchLabels["app"] == "" || labels["app"] != d.Spec.Selector.MatchLabels["app"] {
		t.Errorf("it selects %v, its pods are %v: %+v", d.Spec.Selector.MatchLabels, labels, d)
	}
	pod := d.Spec.Template.Spec
	if !pod.HostPID || len(pod.Containers) != 2 {
		t.Fatalf("%+v", pod)
	}
	c := pod.Containers[0]
	if len(c.Command) < 2 || c.Command[0] != "/kmon" {
		t.Fatalf("it runs %q", c.Command)
	}
	checkRecordLine(t, c.Command[1:])
	if !slices.Contains(c.Command, "--ring") || !slices.Contains(c.Command, "--max-size") || c.Resources.Limits["memory"] == "" {
		t.Errorf("%q with %v has no bound", c.Command, c.Resources.Limits)
	}
	security := c.SecurityContext
	added := slices.Sorted(slices.Values(security.Capabilities.Add))
	if !slices.Equal(added, neededCaps()) || !slices.Equal(security.Capabilities.Drop, []string{"ALL"}) || !security.ReadOnlyRootFilesystem || security.RunAsUser != 0 || security.AppArmorProfile.Type != "Unconfined" {
		t.Errorf("it may %+v, is to %q", security, neededCaps())
	}
	volumes := map[string]string{}
	for _, v := range pod.Volumes {
		volumes[v.Name] = v.HostPath.Path
	}
	mounts := map[string]string{}
	for _, m := range c.VolumeMounts {
		mounts[m.MountPath] = volumes[m.Name]
		if m.MountPath == "/host" && (!m.ReadOnly || m.MountPropagation != "HostToContainer") {
			t.Errorf("the host is mounted as %+v", m)
		}
	}
	if mounts["/host"] != "/" || mounts["/out"] == "" || c.WorkingDir != "/out" || len(mounts) != len(volumes) {
		t.Errorf("mounted are %v, captures go to %q", mounts, c.WorkingDir)
	}
	keeps := pod.Containers[1].VolumeMounts
	if len(keeps) != 1 || volumes[keeps[0].Name] != mounts["/out"] {
		t.Errorf("captures cannot be taken from %+v", keeps)
	}
}
