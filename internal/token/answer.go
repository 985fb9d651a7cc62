package token

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Answer is what an issuer says of a token when it is asked (RFC 7662 §2.2).
type Answer struct {
	Active bool
	Claims Claims // the members, active included; of an inactive token nothing may be made of them
}

// ErrNoAnswer is what is not even an odd answer about a token: it does not say
// whether it is active.
var ErrNoAnswer = errors.New("no answer about a token")

// ParseAnswer reads an answer. Its JSON is as strict as a token's. What is merely
// odd in it is read: it comes from the issuer itself, over a connection of our
// own. An error is a failure and never a [*Refusal]: it says something of the
// issuer and nothing of the token.
func ParseAnswer(doc string) (*Answer, error) {
	members, err := ParseObject(doc)
	if err != nil {
		return nil, err
	}
	active, ok := members["active"].(bool)
	if !ok {
		return nil, fmt.Errorf("%w: active is neither true nor false", ErrNoAnswer)
	}
	answer := &Answer{Active: active, Claims: members}
	if !active {
		return answer, nil
	}
	if err := answer.Claims.straighten(); err != nil {
		return nil, err
	}
	return answer, nil
}

// AnswerClaims decodes an answer that was read before.
func AnswerClaims(doc string) Claims {
	answer, err := ParseAnswer(doc)
	if err != nil {
		return nil // it was decoded before, so it can be again
	}
	return answer.Claims
}

// straighten gives the members that count the types that RFC 7662 §2.2 has for
// them, where it is clear what is meant. Where it is not, there is no answer.
func (c Claims) straighten() error {
	for _, name := range []string{"iss", "sub", "client_id"} {
		if err := c.straightenName(name); err != nil {
			return err
		}
	}
	for _, name := range []string{"exp", "nbf"} {
		if err := c.straightenTime(name); err != nil {
			return err
		}
	}
	for _, name := range []string{"aud", "scope", "scp"} {
		if err := c.straightenWords(name); err != nil {
			return err
		}
	}
	// The issuer has just said that the token is active. Doorkeeper writes this
	// for tokens without an end.
	if end, has := seconds(c["exp"]); has && end == 0 {
		delete(c, "exp")
	}
	return nil
}

// straightenName takes whole numbers: the id of a row in a database, say.
func (c Claims) straightenName(name string) error {
	switch v := c[name].(type) {
	case nil, string:
		return nil
	case json.Number:
		if strings.Trim(string(v), "0123456789") == "" {
			c[name] = string(v)
			return nil
		}
	}
	return fmt.Errorf("%s is not a string", name)
}

// straightenTime takes a number in a string, and a time as RFC 3339 has it.
func (c Claims) straightenTime(name string) error {
	text, isText := c[name].(string)
	switch {
	case isText && text == "":
		delete(c, name)
	case isText:
		if at, err := time.Parse(time.RFC3339, text); err == nil {
			c[name] = json.Number(strconv.FormatInt(at.Unix(), 10))
		} else if strings.Trim(text, "0123456789.") == "" {
			c[name] = json.Number(text)
		}
	}
	if v, has := c[name]; has {
		if _, ok := seconds(v); !ok {
			return fmt.Errorf("%s is not a time", name)
		}
	}
	return nil
}

// straightenWords leaves what is no string out of a list. Less is granted then,
// and to fewer. An aud of which nothing is left is not one that is absent, where
// client_id may stand for it: it names an audience that meets none.
func (c Claims) straightenWords(name string) error {
	v, has := c[name]
	if !has {
		return nil
	}
	if list, ok := v.([]any); ok {
		kept := make([]any, 0, len(list))
		for _, one := range list {
			if _, is := one.(string); is {
				kept = append(kept, one)
			}
		}
		if name == "aud" && len(kept) == 0 && len(list) > 0 {
			kept = append(kept, "")
		}
		c[name] = kept
		return nil
	}
	if _, ok := v.(string); !ok {
		return fmt.Errorf("%s is neither a string nor a list of strings", name)
	}
	return nil
}
