// Package ast has the types of expressions, of which there are none.
package ast

import "cel.dev/cel-go/common/types/ref"

// ExprKind is what an expression is.
type ExprKind int

// The kinds.
const (
	UnspecifiedExprKind ExprKind = iota
	CallKind
	ComprehensionKind
	IdentKind
	ListKind
	LiteralKind
	MapKind
	SelectKind
	StructKind
)

// The parts of an expression.
type (
	Expr interface {
		ID() int64
		Kind() ExprKind
		AsCall() CallExpr
		AsList() ListExpr
		AsLiteral() ref.Val
		AsMap() MapExpr
		AsStruct() StructExpr
	}
	CallExpr interface {
		FunctionName() string
		Target() Expr
		Args() []Expr
	}
	ListExpr  interface{ Elements() []Expr }
	MapExpr   interface{ Entries() []EntryExpr }
	EntryExpr interface {
		ID() int64
		AsMapEntry() MapEntry
	}
	MapEntry interface {
		Key() Expr
		Value() Expr
	}
	StructExpr interface{ TypeName() string }
	Visitor    interface{ VisitExpr(Expr) }
	AST        struct{}
)

// Expr is none.
func (*AST) Expr() Expr { return nil }

// NewExprVisitor makes none.
func NewExprVisitor(func(Expr)) Visitor { return nil }

// PreOrderVisit visits nothing.
func PreOrderVisit(Expr, Visitor) {}
