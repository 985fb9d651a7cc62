package user

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/caddyoauth/caddyoauth/internal/token"
)

// What is taken of one user at the most.
const (
	mostPages    = 10
	mostElements = 1000
	mostTaken    = 64 << 10 // bytes, about
)

// Get asks an address once, and answers the body, and where the next page is, if the
// answer says so.
type Get func(ctx context.Context, address string) (body, next string, err error)

// Unusable is an answer that does not say what it has to.
type Unusable struct{ Err error }

func (e *Unusable) Error() string { return e.Err.Error() }
func (e *Unusable) Unwrap() error { return e.Err }

func unusable(format string, args ...any) error { return &Unusable{fmt.Errorf(format, args...)} }

// collected are claims, within a bound.
type collected struct {
	claims token.Claims
	size   int
}

var errTooMuch = errors.New("there is more to know of this user than is taken")

func (c *collected) add(claim string, value any, list bool) error {
	if value == nil {
		return nil
	}
	if c.size += 16 + len(claim) + len(fmt.Sprint(value)); c.size > mostTaken {
		return &Unusable{errTooMuch}
	}
	if !list {
		if c.claims[claim] == nil { // what came first counts
			c.claims[claim] = value
		}
		return nil
	}
	all, _ := c.claims[claim].([]any)
	c.claims[claim] = append(all, value)
	return nil
}

// Ask answers the claims of a user, sub among them, and about how many bytes they
// take. scope is what the log-in was granted. An error is one of get's, or an
// [*Unusable].
func (u *User) Ask(ctx context.Context, get Get, scope string) (token.Claims, int, error) {
	body, _, err := get(ctx, u.URL)
	if err != nil {
		return nil, 0, err
	}
	object, err := token.ParseObject(body)
	if err != nil {
		return nil, 0, unusable("the answer of %s is no object", u.URL)
	}
	known := &collected{claims: token.Claims{}}
	if err := known.take(u.Take, object, false); err != nil {
		return nil, 0, err
	}
	if sub, _ := known.claims["sub"].(string); sub == "" {
		return nil, 0, unusable("the answer of %s does not say who it is", u.URL)
	}
	for _, q := range u.First {
		if err := q.ask(ctx, get, scope, known, false); err != nil {
			return nil, 0, err
		}
	}
	for _, q := range u.Each {
		if err := q.ask(ctx, get, scope, known, true); err != nil {
			return nil, 0, err
		}
	}
	return known.claims, known.size, nil
}

// take takes what counts of one object. A user's number is a text, as sub is.
func (c *collected) take(args []string, object map[string]any, list bool) error {
	unproven := unverified(args, object)
	for _, arg := range args {
		t, err := parseTake(arg)
		if err != nil {
			return err
		}
		value := t.of(object)
		if unproven && (t.claim == "email" || t.claim == "email_verified") {
			continue
		}
		if number, is := value.(json.Number); is && t.claim == "sub" {
			value = string(number)
		}
		if err := c.add(t.claim, value, list); err != nil {
			return err
		}
	}
	return nil
}

// unverified reports whether an object has an e-mail address, and does not say that it
// was verified where it should: then it is none, since a user may have written
// another's.
func unverified(args []string, object map[string]any) bool {
	for _, arg := range args {
		if t, _ := parseTake(arg); t.claim == "email_verified" {
			return t.of(object) != true
		}
	}
	return false
}

// of is what stands in an object, or nil.
func (t *taken) of(object token.Claims) any {
	if len(t.members) == 1 {
		value, _ := object.Lookup(t.members[0])
		return value
	}
	var texts []string
	for _, member := range t.members {
		value, _ := object.Lookup(member)
		text, _ := value.(string)
		if text == "" || strings.Contains(text, "/") { // else two pairs could be one text
			return nil
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "/")
}

// ask asks a further question, page by page.
func (q *Question) ask(ctx context.Context, get Get, scope string, known *collected, list bool) error {
	if !q.needed(scope) {
		return nil
	}
	if list {
		for _, arg := range q.Take { // a user who is in none is in none
			if t, _ := parseTake(arg); known.claims[t.claim] == nil {
				known.claims[t.claim] = []any{}
			}
		}
	}
	left, address := mostElements, q.URL
	for range mostPages {
		body, next, err := get(ctx, address)
		if err != nil {
			return err
		}
		elements, more, err := q.elements(body)
		if err != nil {
			return err
		}
		for _, element := range elements {
			if left--; left < 0 {
				return &Unusable{errTooMuch}
			}
			object, _ := element.(map[string]any)
			if object == nil || !q.counts(object) {
				continue
			}
			if err := known.take(q.Take, object, list); err != nil || !list {
				return err
			}
		}
		if next == "" {
			next = more
		}
		if next == "" {
			return nil
		}
		if address, err = sameOrigin(q.URL, next); err != nil {
			return err
		}
	}
	return &Unusable{errTooMuch}
}

// needed reports whether a log-in with this scope is asked about.
func (q *Question) needed(scope string) bool {
	for _, word := range q.Needs {
		if token.HasScope(scope, word) {
			return true
		}
	}
	return len(q.Needs) == 0
}

// elements are those of the list in an answer, and where its next page is, if it
// says so.
func (q *Question) elements(body string) (all []any, next string, err error) {
	const whole = "list"
	if q.In == "" {
		body = `{"` + whole + `":` + body + `}`
	}
	object, err := token.ParseObject(body)
	if err != nil {
		return nil, "", unusable("the answer of %s is no list", q.URL)
	}
	value, at := any(nil), q.In
	if at == "" {
		value = object[whole]
	} else {
		value, _ = token.Claims(object).Lookup(at)
		next, _ = object["next"].(string)
	}
	all, is := value.([]any)
	if !is {
		return nil, "", unusable("the answer of %s has no list%s", q.URL, strings.TrimRight(" at "+at, " at"))
	}
	return all, next, nil
}

// counts reports whether all that has to be true in an element is.
func (q *Question) counts(object token.Claims) bool {
	for _, path := range q.Where {
		if value, _ := object.Lookup(path); value != true {
			return false
		}
	}
	return true
}

// sameOrigin is the address of another page, which may stand where the first one
// does, and nowhere else: the access token goes there.
func sameOrigin(first, next string) (string, error) {
	a, err := url.Parse(first)
	if err != nil {
		return "", err
	}
	b, err := a.Parse(next)
	if err != nil || b.Scheme != a.Scheme || b.Host != a.Host || b.User != nil {
		return "", unusable("the next page after %s is at another host", first)
	}
	return b.String(), nil
}
