// Package types has the values in expressions that callers name.
package types

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"cel.dev/cel-go/common/types/ref"
)

var errLeftOut = errors.New("this build has no expressions (CEL)")

// Type is that of a value.
type Type struct{ name string }

// Named is the type of a name.
func Named(name string) *Type { return &Type{name} }

// StringType is that of strings.
var StringType = Named("string")

// HasTrait reports nothing.
func (*Type) HasTrait(int) bool { return false }

// TypeName is its name.
func (t *Type) TypeName() string { return t.String() }

// String is its name.
func (t *Type) String() string { return t.name }

// value is what all values are here: none that anything could be done with.
type value struct{}

func (value) ConvertToNative(reflect.Type) (any, error) { return nil, errLeftOut }
func (value) ConvertToType(ref.Type) ref.Val            { return WrapErr(errLeftOut) }
func (value) Equal(ref.Val) ref.Val                     { return WrapErr(errLeftOut) }
func (value) Type() ref.Type                            { return StringType }

// Err is an error as a value.
type Err struct {
	value
	error
}

// Value is the error.
func (e *Err) Value() any { return e.error }

// NewErr makes an error of a text.
func NewErr(format string, args ...any) ref.Val { return WrapErr(fmt.Errorf(format, args...)) }

// WrapErr makes a value of an error.
func WrapErr(err error) ref.Val { return &Err{error: err} }

// ValOrErr makes an error.
func ValOrErr(_ ref.Val, format string, args ...any) ref.Val { return NewErr(format, args...) }

// String is a text.
type String string

// ConvertToNative converts nothing.
func (String) ConvertToNative(reflect.Type) (any, error) { return nil, errLeftOut }

// ConvertToType converts nothing.
func (String) ConvertToType(ref.Type) ref.Val { return WrapErr(errLeftOut) }

// Equal compares nothing.
func (String) Equal(ref.Val) ref.Val { return WrapErr(errLeftOut) }

// Type is that of strings.
func (String) Type() ref.Type { return StringType }

// Value is the text.
func (s String) Value() any { return string(s) }

// Bool is true or false.
type Bool bool

// ConvertToNative converts nothing.
func (Bool) ConvertToNative(reflect.Type) (any, error) { return nil, errLeftOut }

// ConvertToType converts nothing.
func (Bool) ConvertToType(ref.Type) ref.Val { return WrapErr(errLeftOut) }

// Equal compares nothing.
func (Bool) Equal(ref.Val) ref.Val { return WrapErr(errLeftOut) }

// Type is not known.
func (Bool) Type() ref.Type { return StringType }

// Value is the bool.
func (b Bool) Value() any { return bool(b) }

// Timestamp is a time.
type Timestamp struct{ time.Time }

// ConvertToNative converts nothing.
func (Timestamp) ConvertToNative(reflect.Type) (any, error) { return nil, errLeftOut }

// ConvertToType converts nothing.
func (Timestamp) ConvertToType(ref.Type) ref.Val { return WrapErr(errLeftOut) }

// Equal compares nothing.
func (Timestamp) Equal(ref.Val) ref.Val { return WrapErr(errLeftOut) }

// Type is not known.
func (Timestamp) Type() ref.Type { return StringType }

// Value is the time.
func (t Timestamp) Value() any { return t.Time }

// Adapter makes values.
type Adapter interface{ NativeToValue(value any) ref.Val }

// DefaultTypeAdapter makes errors.
var DefaultTypeAdapter Adapter = adapter{}

type adapter struct{}

func (adapter) NativeToValue(any) ref.Val { return WrapErr(errLeftOut) }
