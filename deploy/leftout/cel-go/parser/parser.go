// Package parser has the types that macros of expressions name.
package parser

import (
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types/ref"
)

// Macro does nothing.
type Macro struct{}

// MacroExpander expands one.
type MacroExpander func(eh ExprHelper, target ast.Expr, args []ast.Expr) (ast.Expr, *common.Error)

// ExprHelper makes expressions.
type ExprHelper interface {
	NewCall(function string, args ...ast.Expr) ast.Expr
	NewError(id int64, message string) *common.Error
	NewIdent(name string) ast.Expr
	NewList(elements ...ast.Expr) ast.Expr
	NewLiteral(value ref.Val) ast.Expr
}

// NewGlobalMacro does nothing.
func NewGlobalMacro(string, int, MacroExpander) Macro { return Macro{} }

// NewGlobalVarArgMacro does nothing.
func NewGlobalVarArgMacro(string, MacroExpander) Macro { return Macro{} }
