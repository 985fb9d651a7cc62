package session

import (
	"context"
	"time"
)

// HandleLength is how many letters a handle has behind its prefix.
const HandleLength = handleSize

// More reasons why a grant has ended.
const (
	EndedIssuer = "issuer" // its issuer is not configured any more
	EndedAdmin  = "admin"  // an operator ended it
)

// Sref is how a log names a row: short, and of no use without the keyring.
func (v *Vault) Sref(key Key) string { return v.cfg.Load().ring.Sref(key) }

// CheckOptions tells what a vault would refuse of options, apart from the
// functions that they lack.
func CheckOptions(o Options) error {
	_, err := o.standIn().complete()
	return err
}

// WithDefaults are options as a vault would have them.
func WithDefaults(o Options) Options {
	o, _ = o.standIn().complete() // what is wrong with them, CheckOptions tells
	return o
}

// standIn has the functions that are required.
func (o Options) standIn() Options {
	o.Now = func() time.Time { return time.Time{} }
	o.Renew = func(context.Context, Grant) Outcome { return nil }
	return o
}

// Finding is what somebody found who looked at a store.
type Finding struct {
	Check  string
	Result string
	Text   string
	Do     string // what to change, where it is not ok
}

// The results of looking at a store.
const (
	FindingOK   = "ok"
	FindingWarn = "warn"
	FindingFail = "fail"
)
