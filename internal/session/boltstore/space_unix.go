//go:build linux || darwin || freebsd

package boltstore

import "syscall"

// freeSpace is what is left for others than root on the disk of a directory.
func freeSpace(dir string) (int64, error) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return 0, err
	}
	return int64(stat.Bavail) * int64(stat.Bsize), nil //nolint:gosec,unconvert // of other widths elsewhere
}
