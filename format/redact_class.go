package format

import "slices"

// Classes of text columns, which stand in the place of a unit: what a text names
// decides what becomes of it when a capture is redacted.
const (
	textWord       = "word"       // of the kernel's or kmon's vocabulary: stays
	textAddress    = "address"    // an address, alone or with a prefix length
	textService    = "service"    // a service
	textThread     = "thread"     // a task, after whose name a service may be called
	textProgram    = "program"    // path of a program or library; its base may be a service
	textInstance   = "instance"   // a pod, container or unit
	textNamespace  = "namespace"  // of pods
	textIdentifier = "identifier" // that a runtime gave
	textImage      = "image"      // of a container
	textPath       = "path"       // of a file, directory or cgroup
	textCommand    = "command"    // a command line
	textDevice     = "device"     // a disk or network interface
	textModel      = "model"      // of a disk
	textSymbol     = "symbol"     // a function
	textBuild      = "build"      // of a program
	textMark       = "mark"       // what a mark says
	textConfig     = "config"     // the configuration
	textError      = "error"      // an error's text
)

// Classes of texts that stand in no table.
const (
	textHost   = "host"   // a host's name and ids
	textOption = "option" // of the recorder, that may name something
)

// textClasses are what --keep takes. Threads and programs are services in it.
var textClasses = []string{textAddress, textBuild, textCommand, textConfig, textDevice, textError, textHost, textIdentifier,
	textImage, textInstance, textMark, textModel, textNamespace, textOption, textPath, textService, textSymbol}

// keptAs is the class in textClasses that a class counts as; "": it is none.
func keptAs(class string) string {
	switch class {
	case textThread:
		return textService
	case textProgram:
		return textPath
	}
	if slices.Contains(textClasses, class) {
		return class
	}
	return ""
}

// textColumn is a column of text and what its texts are.
type textColumn struct {
	column
	class string
}

// textColumns gives the columns of text of a table.
func (t *table) textColumns() []textColumn {
	var list []textColumn
	for i, c := range t.columns {
		if c.kind == kindText {
			list = append(list, textColumn{c, specOf(t.name).columns[i].unit})
		}
	}
	return list
}

// specOf gives the description of a table.
func specOf(table string) tableSpec {
	return specs[slices.IndexFunc(specs, func(s tableSpec) bool { return s.table == table })]
}
