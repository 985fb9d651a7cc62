package policy

import (
	"net/http"
	"slices"
	"strings"

	"go.uber.org/zap"
	"golang.org/x/net/http/httpguts"

	"github.com/caddyoauth/caddyoauth/internal/lenient"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// Where many an upstream finds another method than that of the request: a way
// out for clients and proxies that know GET and POST alone. So what is asked of
// a method is asked of each that may be meant.
var methodHeaders = []string{"x-http-method-override", "x-http-method", "x-method-override"} // folded

const methodParameter = "_method"

// mostMethods is more than a well-meaning client needs.
const mostMethods = 4

// otherMethods are those that r may be taken for besides its own. They come in
// capitals, as upstreams read them.
func otherMethods(r *http.Request) (methods []string, err error) {
	add := func(texts []string) {
		for _, text := range texts {
			method := strings.ToUpper(strings.TrimSpace(text))
			switch {
			case method == "" || method == r.Method || slices.Contains(methods, method):
			case !IsMethod(method) || len(methods) == mostMethods:
				err = Ambiguous("method", verdict.AmbiguousMethod, "a header or the query names another one, which is no token, or too many")
			default:
				methods = append(methods, method)
			}
		}
	}
	for name, texts := range r.Header {
		if slices.ContainsFunc(methodHeaders, func(folded string) bool { return lenient.Folds(name, folded) }) {
			add(texts)
		}
	}
	if r.URL.RawQuery != "" {
		add(lenient.QueryValues(r.URL.RawQuery, methodParameter))
	}
	return methods, err
}

// appliesAs reports whether the requirement is about r as it came, or as it may
// be taken.
func (q *Requirement) appliesAs(r *http.Request, others []string, log *zap.Logger) bool {
	if q.applies(r, log) {
		return true
	}
	method := r.Method
	defer func() { r.Method = method }()
	return slices.ContainsFunc(others, func(other string) bool {
		r.Method = other
		return q.applies(r, log)
	})
}

// IsMethod is the grammar of RFC 9110 §9.1. Two that a proxy joined with a
// comma are none.
func IsMethod(s string) bool { return httpguts.ValidHeaderFieldName(s) }

// IsPlainMethod reports whether a method is a token without lower-case letters.
// Methods are compared by case (RFC 9110 §9.1), and many an upstream folds it;
// none that is registered has such a letter.
func IsPlainMethod(method string) bool {
	return IsMethod(method) && !strings.ContainsFunc(method, func(c rune) bool { return c >= 'a' && c <= 'z' })
}
