package caddyoauth

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/gateway/config"
	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/gateway/introspection"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/gateway/login"
	"github.com/caddyoauth/caddyoauth/internal/gateway/tokenendpoint"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// The reference names what the code knows: a word or a reason that has no line
// there does not exist for an operator.
func TestTheReferenceNamesEachWordOfTheGrammar(t *testing.T) {
	page, err := os.ReadFile("docs/grammar.md")
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Join([]string{
		config.Words, issuers.Words, grants.Words, tokenendpoint.Words, login.Words, introspection.Words, "auth, key, assertion_audience, from, method, uri, statuses",
	}, ", ")
	for word := range strings.SplitSeq(words, ", ") {
		found := false
		for line := range strings.Lines(string(page)) {
			fields := strings.Fields(strings.TrimLeft(line, "\t |`"))
			found = found || len(fields) > 0 && strings.Trim(fields[0], "`|") == word
		}
		if !found {
			t.Errorf("no line of docs/grammar.md begins with %s", word)
		}
	}
}

func TestTheReferenceNamesEachReason(t *testing.T) {
	page, err := os.ReadFile("docs/reasons.md")
	if err != nil {
		t.Fatal(err)
	}
	reasons := 0
	for _, name := range []string{"internal/verdict/rejection.go", "internal/gateway/forwardauth/forwardauth.go", "internal/token/refusal.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, reason := range constants(file) {
			if slices.Contains([]string{verdict.InvalidRequest, verdict.InvalidToken, verdict.InsufficientScope, verdict.InsufficientLogIn}, reason) {
				continue // what the client sees
			}
			reasons++
			if !strings.Contains(string(page), "| `"+reason+"` |") {
				t.Errorf("docs/reasons.md has no row for %s (%s)", reason, name)
			}
		}
	}
	if reasons < 30 {
		t.Errorf("found %d reasons only", reasons)
	}
}

// constants are the values of a file's string constants.
func constants(file *ast.File) (values []string) {
	for _, decl := range file.Decls {
		block, ok := decl.(*ast.GenDecl)
		if !ok || block.Tok != token.CONST {
			continue
		}
		for _, spec := range block.Specs {
			for _, value := range spec.(*ast.ValueSpec).Values {
				if text, ok := value.(*ast.BasicLit); ok && text.Kind == token.STRING {
					word, _ := strconv.Unquote(text.Value)
					values = append(values, word)
				}
			}
		}
	}
	return values
}
