// Package interpreter has the types that decorators of expressions name.
package interpreter

import "cel.dev/cel-go/common/types/ref"

// Activation has the variables of an expression.
type Activation interface {
	ResolveName(name string) (any, bool)
	Parent() Activation
}

// The parts of an expression.
type (
	Interpretable interface {
		ID() int64
		Eval(Activation) ref.Val
	}
	InterpretableV2   = Interpretable
	InterpretableCall interface {
		Interpretable
		OverloadID() string
		Args() []Interpretable
	}
	InterpretableAttribute interface {
		Interpretable
		Attr() Attribute
	}
	InterpretableConst interface {
		Interpretable
		Value() ref.Val
	}
	Attribute interface {
		ID() int64
	}
	NamespacedAttribute interface {
		Attribute
		CandidateVariableNames() []string
	}
	InterpretableDecorator func(Interpretable) (Interpretable, error)
)

// NewCall makes none.
func NewCall(int64, string, string, []InterpretableV2, func(...ref.Val) ref.Val) Interpretable {
	return nil
}
