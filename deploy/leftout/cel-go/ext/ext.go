// Package ext stands in for libraries of the Common Expression Language.
package ext

import "cel.dev/cel-go/cel"

// Strings does nothing.
func Strings() cel.EnvOption { return cel.EnvOption{} }

// Bindings does nothing.
func Bindings() cel.EnvOption { return cel.EnvOption{} }

// Lists does nothing.
func Lists() cel.EnvOption { return cel.EnvOption{} }

// Math does nothing.
func Math() cel.EnvOption { return cel.EnvOption{} }
