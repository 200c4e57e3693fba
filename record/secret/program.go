package secret

import (
	"slices"
	"strings"
)

// program is what is known of the options of some programs.
type program struct {
	names   []string
	prefix  []string // of further names
	options []option
	// optional: --password has no value in the next argument, it asks for it.
	optional bool
}

// option is one whose name does not say that its value is secret.
type option struct {
	name     string
	attached bool   // as -pVALUE
	separate bool   // as -p VALUE
	keep     string // ends the part of the value that is not secret
	login    bool   // only after an argument "login"
	once     bool   // what follows belongs to another program
}

var userPassword = []option{
	{name: "-u", attached: true, separate: true, keep: ":"}, {name: "--user", separate: true, keep: ":"},
	{name: "-U", attached: true, separate: true, keep: ":"}, {name: "--proxy-user", separate: true, keep: ":"},
	{name: "--user=", attached: true, keep: ":"}, {name: "--proxy-user=", attached: true, keep: ":"},
}

var programs = []program{
	{prefix: []string{"mysql", "mariadb"}, options: []option{{name: "-p", attached: true}}, optional: true},
	{names: []string{"psql", "pg_dump", "pg_dumpall", "pg_restore", "createdb", "createuser", "pg_basebackup"}, optional: true},
	{names: []string{"sshpass"}, options: []option{{name: "-p", attached: true, separate: true, once: true}}},
	{names: []string{"redis-cli", "valkey-cli"}, options: []option{{name: "-a", separate: true}}},
	{names: []string{"mongo", "mongosh"}, prefix: []string{"mongo"}, options: []option{{name: "-p", attached: true, separate: true}}},
	{names: []string{"curl"}, options: userPassword},
	{names: []string{"http", "https"}, options: []option{{name: "-a", separate: true, keep: ":"}}},
	{prefix: []string{"ldap"}, options: []option{{name: "-w", attached: true, separate: true}}},
	{names: []string{"sqlcmd", "bcp", "zip", "unzip"}, options: []option{{name: "-P", attached: true, separate: true}}},
	{names: []string{"7z", "7za", "7zr"}, options: []option{{name: "-p", attached: true}}},
	{names: []string{"smbclient", "rpcclient"}, options: []option{{name: "-U", attached: true, separate: true, keep: "%"}}},
	{names: []string{"docker", "podman", "nerdctl", "helm", "skopeo", "buildah", "oras", "az", "oc"},
		options: []option{{name: "-p", separate: true, login: true}}},
}

// servers have the prefix of a program whose options they do not share.
var servers = []string{"mysqld", "mysqld_safe", "mariadbd", "mariadbd-safe", "mongod", "mongos"}

// wrappers run the program that is among their arguments.
var wrappers = []string{"sudo", "doas", "su", "env", "nice", "ionice", "timeout", "nohup", "setsid", "xargs", "time", "strace", "chroot",
	"nsenter", "unshare", "ip", "docker", "podman", "nerdctl", "kubectl", "crictl", "ctr", "oc", "docker-compose", "ssh", "watch", "flock", "sshpass",
	"stdbuf", "numactl", "taskset", "chrt", "systemd-run", "gosu", "tini", "dumb-init", "exec", "busybox", "runuser", "setpriv", "kmon"}

// notPrograms are options of wrappers that a name follows which is no program.
var notPrograms = []string{"-u", "-g", "-h", "-n"}

func programOf(base string) *program {
	if slices.Contains(servers, base) {
		return nil
	}
	for i := range programs {
		p := &programs[i]
		if slices.Contains(p.names, base) || slices.ContainsFunc(p.prefix, func(s string) bool { return strings.HasPrefix(base, s) }) {
			return p
		}
	}
	return nil
}

// option finds the option that an argument is or begins with, and the value
// attached to it. Options of one letter may stand together: curl -sku user:X.
func (p *program) option(arg string) (o *option, value string) {
	if p == nil {
		return nil, ""
	}
	for i := range p.options {
		o := &p.options[i]
		switch short := len(o.name) == 2; {
		case arg == o.name:
			return o, ""
		case short && strings.HasPrefix(arg, "--"):
		case o.attached && strings.HasPrefix(arg, o.name):
			return o, arg[len(o.name):]
		case short && o.keep != "" && len(arg) < 8 && strings.HasSuffix(arg, o.name[1:]) && !strings.ContainsFunc(arg[1:], notLetter):
			return o, ""
		}
	}
	return nil, ""
}

func notLetter(r rune) bool { return r > 0x7f || !letter(byte(r)) }

// prompts says whether an option without "=" asks the user for the secret.
func (p *program) prompts(arg string) bool { return p != nil && p.optional && arg == "--password" }
