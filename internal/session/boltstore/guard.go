package boltstore

import (
	"fmt"
	"runtime/debug"
)

// fault is a panic of bbolt.
type fault struct{ cause any }

func (f *fault) Error() string { return fmt.Sprintf("%v: %v", ErrDamaged, f.cause) }
func (f *fault) Unwrap() error { return ErrDamaged }

// guarded turns a panic into a fault. The file is mapped into memory: where a
// damaged one points beyond its end, reading is a signal, which would end the
// process unless this goroutine asks for a panic.
func guarded(call func() error) (err error) {
	before := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(before)
		if cause := recover(); cause != nil {
			err = &fault{cause}
		}
	}()
	return call()
}
