// Package db has the type that callers of an authority name.
package db

// AuthDB stores nothing.
type AuthDB any
