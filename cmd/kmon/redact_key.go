package main

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"

	"kmon/format"
)

// keyBytes is the length of a key that kmon makes.
const keyBytes = 32

// readKey gives the key that the flags name; nil: none.
func (f redactFlags) readKey(stderr io.Writer) ([]byte, error) {
	switch {
	case f.newKey != "":
		return makeKey(f.newKey)
	case f.key != "":
		return readKey(stderr, f.key)
	}
	return nil, nil
}

func newKey() []byte {
	key := make([]byte, keyBytes)
	_, _ = rand.Read(key) // never fails
	return key
}

// makeKey writes a new key to a file that must not exist.
func makeKey(path string) ([]byte, error) {
	key := newKey()
	dir, name, err := format.OpenDir(path)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	file, err := dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s exists and is never overwritten: use it with --key, or give another name", path)
	}
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintln(file, hex.EncodeToString(key))
	return key, errors.Join(err, file.Close())
}

// readKey reads a key that makeKey wrote.
func readKey(stderr io.Writer, path string) ([]byte, error) {
	file, err := format.OpenRegular(path)
	if err != nil {
		return nil, explain(err)
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		fmt.Fprintf(stderr, "kmon: others can read %s, and tell with it which names the pseudonyms stand for (chmod 600 %[1]s)\n", oneLine(path))
	}
	text, err := io.ReadAll(io.LimitReader(file, 4096))
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil || len(key) < format.MinKeyBytes {
		return nil, fmt.Errorf("%s is no key: it has to hold %d or more hex digits; make one with --new-key", path, 2*format.MinKeyBytes)
	}
	return key, nil
}
