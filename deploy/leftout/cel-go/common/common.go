// Package common has the type of errors in expressions.
package common

// Error is one.
type Error struct{}
