// Package functions has the types of functions of expressions.
package functions

import "cel.dev/cel-go/common/types/ref"

// BinaryOp is a function of two arguments.
type BinaryOp func(lhs, rhs ref.Val) ref.Val
