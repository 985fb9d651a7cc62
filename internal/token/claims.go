package token

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Claims are the members of a payload: strings, bools, nil, [json.Number],
// []any and map[string]any. Registered claims have the type that RFC 7519 §4.1
// and RFC 9068 §2.2 give them; parseClaims saw to it.
type Claims map[string]any

func parseClaims(doc string, rec *Record) (Claims, error) {
	members, err := ParseObject(doc)
	if err := rec.note(CheckPayloadJSON, malformed("payload: ", err)); err != nil {
		return nil, err
	}
	c := Claims(members)
	for _, name := range []string{"iss", "sub", "jti", "client_id"} {
		if v, has := c[name]; has {
			if _, ok := v.(string); !ok {
				if err := rec.wrong(CheckClaimTypes, name, refuse(ClaimType, name+" is not a string")); err != nil {
					return nil, err
				}
			}
		}
	}
	for _, name := range []string{"exp", "nbf", "iat"} {
		if v, has := c[name]; has {
			if _, ok := seconds(v); !ok {
				if err := rec.wrong(CheckClaimTypes, name, refuse(ClaimType, name+" is not a finite number")); err != nil {
					return nil, err
				}
			}
		}
	}
	for _, name := range []string{"aud", "scope", "scp"} {
		if v, has := c[name]; has {
			if _, ok := words(v); !ok {
				if err := rec.wrong(CheckClaimTypes, name, refuse(ClaimType, name+" is neither a string nor a list of strings")); err != nil {
					return nil, err
				}
			}
		}
	}
	return c, rec.note(CheckClaimTypes, nil)
}

// String is the claim's text, or "" when it is absent or of another type.
func (c Claims) String(name string) string {
	s, _ := c[name].(string)
	return s
}

// Audience is aud as a list (RFC 7519 §4.1.3).
func (c Claims) Audience() []string {
	list, _ := words(c["aud"])
	return list
}

// clientFor is client_id where a token names no audience: Amazon Cognito's access
// tokens have the one and not the other.
func (c Claims) clientFor(audience []string) string {
	if len(audience) > 0 {
		return ""
	}
	return c.String("client_id")
}

// Scope is the granted scope as RFC 6749 §3.3 spells it, from "scope" or, where
// that is absent, from "scp" (a string at Entra, a list at Okta).
func (c Claims) Scope() string {
	value, has := c["scope"]
	if !has {
		value = c["scp"]
	}
	scope, _ := ScopeOf(value)
	return scope
}

// ScopeOf reads a scope wherever it stands, in a token, in an answer about one,
// or beside one: a string, as the RFCs have it, or the list that Duende, UAA,
// WSO2 and others write. ok is false for anything else.
func ScopeOf(value any) (scope string, ok bool) {
	if s, is := value.(string); is {
		return s, true
	}
	list, ok := words(value)
	kept := make([]string, 0, len(list))
	for _, word := range list {
		// An element with a space is one odd word and must not become two.
		if word != "" && !strings.Contains(word, " ") {
			kept = append(kept, word)
		}
	}
	return strings.Join(kept, " "), ok
}

// Within are the claims with no more words of scope in them than granted has. c
// itself stays as it is.
func (c Claims) Within(granted string) Claims {
	if c == nil || c.Scope() == granted {
		return c
	}
	less := maps.Clone(c)
	for _, name := range []string{"scope", "scp"} {
		switch v := c[name].(type) {
		case string:
			less[name] = strings.Join(slices.DeleteFunc(scopeWords(v), func(word string) bool { return !HasScope(granted, word) }), " ")
		case []any:
			less[name] = slices.DeleteFunc(slices.Clone(v), func(e any) bool {
				word, _ := e.(string)
				return !HasScope(granted, word)
			})
		}
	}
	return less
}

// scopeWords are the words of a scope, as HasScope tells them apart: no other
// white space makes one word two.
func scopeWords(scope string) []string {
	return strings.FieldsFunc(scope, func(r rune) bool { return r == ' ' })
}

// HasScope reports whether word is one of the space-separated words of scope.
func HasScope(scope, word string) bool {
	for rest := scope; rest != ""; {
		var next string
		if next, rest, _ = strings.Cut(rest, " "); next == word {
			return true
		}
	}
	return false
}

// words takes a string or a list of strings.
func words(v any) ([]string, bool) {
	switch v := v.(type) {
	case string:
		return []string{v}, true
	case []any:
		list := make([]string, len(v))
		for i, e := range v {
			s, ok := e.(string)
			if !ok {
				return nil, false
			}
			list[i] = s
		}
		return list, true
	}
	return nil, false
}

// lastSecond is the end of the year 9999: later times mean the same and would
// only overflow.
const lastSecond = 253402300799

// seconds reads a NumericDate (RFC 7519 §2), which may have a fraction.
func seconds(v any) (float64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(n), 64)
	if err != nil || math.IsInf(f, 0) {
		return 0, false
	}
	return math.Max(-lastSecond, math.Min(f, lastSecond)), true
}

// Times are what a token says of its own life; zero is what it does not say.
type Times struct{ Issued, Starts, Ends time.Time }

// Times reads iat, nbf and exp (RFC 7519 §4.1).
func (c Claims) Times() Times {
	at := func(name string) (t time.Time) {
		if s, ok := seconds(c[name]); ok {
			t = time.Unix(int64(math.Floor(s)), 0)
		}
		return t
	}
	return Times{Issued: at("iat"), Starts: at("nbf"), Ends: at("exp")}
}
