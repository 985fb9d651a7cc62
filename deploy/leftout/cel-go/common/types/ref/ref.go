// Package ref has the types of values in expressions.
package ref

import "reflect"

// Type is that of a value.
type Type interface {
	HasTrait(trait int) bool
	TypeName() string
}

// Val is a value.
type Val interface {
	ConvertToNative(to reflect.Type) (any, error)
	ConvertToType(to Type) Val
	Equal(other Val) Val
	Type() Type
	Value() any
}
