package boltstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

// What a disk should have left, in bytes: the file is not copied, but it
// grows, and a write that fails loses a refresh.
const (
	leastSpace = 16 << 20
	someSpace  = 256 << 20
)

// Examine looks at a store's file and its disk, and leaves both as they were. The
// file may be in use.
func Examine(path string) (all []session.Finding) {
	say := func(check, result, do, text string, args ...any) {
		all = append(all, session.Finding{Check: check, Result: result, Do: do, Text: fmt.Sprintf(text, args...)})
	}
	const rights, space = "store", "store disk"
	dir, err := place(path)
	if err != nil {
		say(rights, session.FindingFail, "correct the path of \"store bolt\", or the rights on its directories for the user that Caddy runs as", "%s: %v", path, err)
		return all
	}
	say(rights, session.FindingOK, "", "%s can be written", path)
	switch free, err := freeSpace(dir); {
	case errors.Is(err, errors.ErrUnsupported):
	case err != nil:
		say(space, session.FindingWarn, "look at the file system", "how much space is left on it is not known: %v", err)
	case free < leastSpace:
		say(space, session.FindingFail, "make room: what cannot be written is not refreshed", "%d MB are left on the disk of %s", free>>20, path)
	case free < someSpace:
		say(space, session.FindingWarn, "make room", "%d MB are left on the disk of %s", free>>20, path)
	default:
		say(space, session.FindingOK, "", "%d MB are left", free>>20)
	}
	return all
}

// place tries whether the file can be written, or made, and answers a directory
// of its disk.
func place(path string) (dir string, err error) {
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return "", err
	case info.IsDir():
		return "", errors.New("it is a directory")
	default:
		file, err := os.OpenFile(path, os.O_RDWR, 0) //nolint:gosec // the operator's own path
		if err != nil {
			return "", err
		}
		return filepath.Dir(path), file.Close() // bbolt's lock is of another description: it stays
	}
	dir = filepath.Dir(path)
	for { // the first directory that is there: the others are made
		info, err := os.Stat(dir)
		if err == nil && !info.IsDir() {
			return "", fmt.Errorf("%s is no directory", dir)
		}
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			return "", err
		}
		dir = filepath.Dir(dir)
	}
	probe, err := os.CreateTemp(dir, ".oauth-probe-")
	if err != nil {
		return "", err
	}
	return dir, errors.Join(probe.Close(), os.Remove(probe.Name()))
}
