// Package cel stands in for the Common Expression Language: no expression compiles.
package cel

import (
	"errors"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
	"cel.dev/cel-go/interpreter/functions"
	"cel.dev/cel-go/parser"
)

var errLeftOut = errors.New("this build has no expressions (CEL)")

// Names of what callers hand around.
type (
	Type             = types.Type
	MacroFactory     = parser.MacroExpander
	MacroExprFactory = parser.ExprHelper

	EnvOption     struct{}
	ProgramOption struct{}
	FunctionOpt   struct{}
	EvalOption    struct{}
	EvalDetails   struct{}

	Env    struct{}
	Ast    struct{}
	Issues struct{}
)

// Library is a set of options.
type Library interface {
	CompileOptions() []EnvOption
	ProgramOptions() []ProgramOption
}

// Program is an expression that was compiled, of which there is none.
type Program interface {
	Eval(any) (ref.Val, *EvalDetails, error)
}

// The types that callers name.
var (
	StringType = types.StringType
	BoolType   = types.Named("bool")
	AnyType    = types.Named("any")
	DynType    = types.Named("dyn")
)

// OptOptimize says nothing.
var OptOptimize EvalOption

// ListType is the type of a list.
func ListType(of *Type) *Type { return types.Named("list(" + of.String() + ")") }

// MapType is the type of a map.
func MapType(key, value *Type) *Type {
	return types.Named("map(" + key.String() + ", " + value.String() + ")")
}

// ObjectType is the type of an object.
func ObjectType(name string, _ ...int) *Type { return types.Named(name) }

// NewEnv makes none: whatever needs an expression does not start.
func NewEnv(...EnvOption) (*Env, error) { return nil, errLeftOut }

// Compile compiles nothing.
func (*Env) Compile(string) (*Ast, *Issues) { return nil, nil }

// Program makes none.
func (*Env) Program(*Ast, ...ProgramOption) (Program, error) { return nil, errLeftOut }

// Err is why nothing was compiled.
func (*Issues) Err() error { return errLeftOut }

// OutputType is none.
func (*Ast) OutputType() *Type { return nil }

// NativeRep is empty.
func (*Ast) NativeRep() *ast.AST { return new(ast.AST) }

// Lib does nothing.
func Lib(Library) EnvOption { return EnvOption{} }

// Function does nothing.
func Function(string, ...FunctionOpt) EnvOption { return EnvOption{} }

// Variable does nothing.
func Variable(string, *Type) EnvOption { return EnvOption{} }

// CustomTypeAdapter does nothing.
func CustomTypeAdapter(types.Adapter) EnvOption { return EnvOption{} }

// Macros does nothing.
func Macros(...parser.Macro) EnvOption { return EnvOption{} }

// Overload does nothing.
func Overload(string, []*Type, *Type) FunctionOpt { return FunctionOpt{} }

// SingletonBinaryBinding does nothing.
func SingletonBinaryBinding(functions.BinaryOp, ...int) FunctionOpt { return FunctionOpt{} }

// CustomDecorator does nothing.
func CustomDecorator(interpreter.InterpretableDecorator) ProgramOption { return ProgramOption{} }

// EvalOptions does nothing.
func EvalOptions(...EvalOption) ProgramOption { return ProgramOption{} }
