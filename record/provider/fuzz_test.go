package provider

import (
	"maps"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"testing/fstest"
)

// FuzzNode holds that nothing in one file or link of a node, whichever it is,
// makes the provider panic, and that rows hold what rows may.
func FuzzNode(f *testing.F) {
	names, err := filepath.Glob("testdata/*.node")
	if err != nil || len(names) == 0 {
		f.Fatal("no nodes in testdata", err)
	}
	seen := map[string]bool{} // one file of a kind is enough to begin with
	nodes, files := make([]node, len(names)), make([][]string, len(names))
	for i, name := range names {
		nodes[i] = readNode(f, name)
		files[i] = slices.DeleteFunc(slices.Sorted(maps.Keys(nodes[i].root)), func(file string) bool { return nodes[i].root[file].Mode.IsDir() })
		for k, file := range files[i] {
			if base := path.Base(file); !seen[base] {
				seen[base] = true
				f.Add(uint8(i), uint16(k), nodes[i].root[file].Data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, node uint8, file uint16, text []byte) {
		i := int(node) % len(nodes)
		root, name := nodes[i].root, files[i][int(file)%len(files[i])]
		was := root[name]
		defer func() { root[name] = was }()
		root[name] = &fstest.MapFile{Data: text, Mode: was.Mode, Sys: was.Sys}
		p := newProvider(t, root, "")
		checkTexts(t, name, reflect.ValueOf(p.Host()))
		checkTexts(t, name, reflect.ValueOf(p.Snapshot(7)))
	})
}

// checkTexts holds that every text within a value may stand in a row.
func checkTexts(t *testing.T, file string, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		if !fit(v.String()) || v.Len() > 1<<16 {
			t.Errorf("%s gives the text %.200q", file, v.String())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			checkTexts(t, file, v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			checkTexts(t, file, v.Index(i))
		}
	}
}
