// Package user is what is asked about a user at an issuer that speaks OAuth 2.0 and
// no OpenID Connect: where, and what of the answers is which claim. Nothing is
// dialled here.
package user

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// User says who is behind an access token, by questions that are asked with it as a
// Bearer token. The first one's answer has to name the user, as sub.
type User struct {
	// Where to ask who it is: a GET that answers an object.
	URL string `json:"url,omitempty"`

	// What of that object counts, as member>claim, or member alone where the names
	// are one. Members are found as claims are, by name or path; two of them joined
	// by a slash are one text: organization.login/slug. One has to be sub.
	Take []string `json:"take,omitempty"`

	// Further questions. Of a list the first element counts that fits.
	First []*Question `json:"first,omitempty"`

	// Further questions. Of a list each element counts that fits, so that a claim is
	// a list.
	Each []*Question `json:"each,omitempty"`
}

// Question is a further one about the user. Its answer is a list of objects, in
// pages as GitHub (Link) or Bitbucket (next) have them: ten at the most.
type Question struct {
	// Where to ask.
	URL string `json:"url,omitempty"`

	// Ask only where the log-in was granted one of these words of scope. Default:
	// always.
	Needs []string `json:"needs,omitempty"`

	// Where in the answer the list stands. Default: the answer is it.
	In string `json:"in,omitempty"`

	// Members that have to be true in an element, or it does not count.
	Where []string `json:"where,omitempty"`

	// What of an element counts, as above.
	Take []string `json:"take,omitempty"`
}

// taken is one of Take.
type taken struct {
	members []string
	claim   string
}

// noClaims can be no claim: they say what a token is good for, or how a user has
// logged in, of which these answers know nothing.
var noClaims = []string{"iss", "aud", "exp", "nbf", "iat", "jti", "scope", "scp", "acr", "amr", "auth_time", "sid"}

func parseTake(arg string) (t taken, err error) {
	member, claim := arg, arg
	if end := strings.LastIndexByte(arg, '>'); end >= 0 {
		member, claim = arg[:end], arg[end+1:]
	}
	if !strings.HasPrefix(member, "/") { // a JSON pointer
		t.members = strings.Split(member, "/")
	} else {
		t.members = []string{member}
	}
	t.claim = claim
	for _, one := range t.members {
		if one == "" {
			return t, fmt.Errorf("take %s: no member; write member>claim", arg)
		}
		if err := token.CheckPath(one); err != nil {
			return t, fmt.Errorf("take %s: %w", arg, err)
		}
	}
	switch {
	case claim == "" || strings.ContainsAny(claim, "/ "):
		return t, fmt.Errorf("take %s: %q is no name of a claim; write member>claim", arg, claim)
	case slices.Contains(noClaims, claim):
		return t, fmt.Errorf("take %s: %s is nothing that such an answer can say", arg, claim)
	}
	return t, nil
}

// Check finds what is wrong without looking at placeholders.
func (u *User) Check(allowHTTP bool) error {
	if u == nil {
		return nil
	}
	if err := check("user", u.URL, u.Take, allowHTTP); err != nil {
		return err
	}
	if !slices.ContainsFunc(u.Take, func(arg string) bool { t, _ := parseTake(arg); return t.claim == "sub" }) {
		return errors.New("user: nothing says who it is: write take <member>>sub, with a member that stays the same for ever, such as a number")
	}
	for word, all := range map[string][]*Question{"first": u.First, "each": u.Each} {
		for _, q := range all {
			if q == nil {
				return fmt.Errorf("user: %s: no url", word)
			}
			if err := check("user: "+word, q.URL, q.Take, allowHTTP); err != nil {
				return err
			}
			for _, path := range append(slices.Clone(q.Where), q.in()...) {
				if err := token.CheckPath(path); err != nil {
					return fmt.Errorf("user: %s: %w", word, err)
				}
			}
			if slices.ContainsFunc(q.Take, func(arg string) bool { t, _ := parseTake(arg); return t.claim == "sub" }) {
				return fmt.Errorf("user: %s: sub comes from the first answer alone", word)
			}
		}
	}
	return nil
}

func (q *Question) in() []string {
	if q.In == "" {
		return nil
	}
	return []string{q.In}
}

func check(where, url string, take []string, allowHTTP bool) error {
	switch {
	case url == "":
		return fmt.Errorf("%s: no url", where)
	case len(take) == 0:
		return fmt.Errorf("%s %s: nothing is taken of the answer: write take <member>><claim>", where, url)
	}
	for _, arg := range take {
		if _, err := parseTake(arg); err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
	}
	if strings.Contains(url, "{") {
		return nil
	}
	if err := as.CheckURL(url, allowHTTP); err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	return nil
}

// Resolve replaces placeholders in addresses.
func (u *User) Resolve(repl *caddy.Replacer, allowHTTP bool) (*User, error) {
	if u == nil {
		return nil, nil
	}
	address := func(url string) (string, error) {
		known, err := grammar.Resolve(repl, "user", url)
		if err == nil {
			err = as.CheckURL(known, allowHTTP)
		}
		return known, err
	}
	ready := *u
	var err error
	if ready.URL, err = address(u.URL); err != nil {
		return nil, err
	}
	each := func(all []*Question) (known []*Question) {
		for _, q := range all {
			one := *q
			var bad error
			one.URL, bad = address(q.URL)
			err = errors.Join(err, bad)
			known = append(known, &one)
		}
		return known
	}
	ready.First, ready.Each = each(u.First), each(u.Each)
	return &ready, err
}
