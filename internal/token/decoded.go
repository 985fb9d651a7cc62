package token

import (
	"encoding/json"
	"slices"
	"strings"
	"sync/atomic"
)

// mostDecoded bounds what is kept of one token's claims, in bytes: what a token
// may say besides is decoded when it is asked for.
const mostDecoded = 2 << 10

// Decoded are the claims that were asked for of a token that is remembered, so
// that they are decoded once and not with each request. Which ones that are
// configurations decide, and several may share a token: each adds what it asks
// for. What is in it does not change, and belongs to all who read it.
type Decoded struct {
	claims atomic.Pointer[decodedClaims]
	grown  atomic.Bool // since it was last weighed
}

type decodedClaims struct {
	all  []decodedClaim
	left int // of mostDecoded
}

// Form is a way to write a claim as a text.
type Form uint8

// asItIs is no text, but the claim itself.
const asItIs Form = 0

// decodedClaim is what stands at a path; nil: nothing does. In a form of texts it
// is how that is written.
type decodedClaim struct {
	path  string
	form  Form
	claim any
	text  string
}

// find answers what is known of a path. nil knows nothing.
func (d *Decoded) find(path string, form Form) *decodedClaim {
	if d == nil {
		return nil
	}
	return d.claims.Load().find(path, form)
}

// find answers what is known of a path. nil knows nothing.
func (d *decodedClaims) find(path string, form Form) *decodedClaim {
	if d == nil {
		return nil
	}
	for i := range d.all {
		if one := &d.all[i]; one.form == form && one.path == path {
			return one
		}
	}
	return nil
}

// add keeps what is known of a path, in a copy: a claim is a part of its whole
// token. What does not fit is not kept, and nothing is kept twice: another may have
// added it since it was not found. Of two that add at one time one does, and the
// other may come again.
func (d *Decoded) add(more decodedClaim) {
	if d == nil {
		return
	}
	before := d.claims.Load()
	if before.find(more.path, more.form) != nil {
		return
	}
	var known decodedClaims
	if known.left = mostDecoded; before != nil {
		known = *before
	}
	if known.left = fit(more.claim, known.left-costOfEntry-len(more.path)-len(more.text)); known.left < 0 {
		return
	}
	more.path, more.claim, more.text = strings.Clone(more.path), copyOf(more.claim), strings.Clone(more.text)
	known.all = append(slices.Clip(known.all), more)
	if d.claims.CompareAndSwap(before, &known) {
		d.grown.Store(true)
	}
}

// Lookup finds a claim, or nil. The claims are decoded where it is not known yet.
func (d *Decoded) Lookup(path string, decode func() Claims) any {
	if one := d.find(path, asItIs); one != nil {
		return one.claim
	}
	claim, _ := decode().Lookup(path)
	d.add(decodedClaim{path: path, claim: claim})
	return claim
}

// Size is what the claims take, in bytes, about.
func (d *Decoded) Size() int {
	if d == nil {
		return 0
	}
	if known := d.claims.Load(); known != nil {
		return mostDecoded - known.left
	}
	return 0
}

// Grew reports whether claims came since it was last asked.
func (d *Decoded) Grew() bool { return d != nil && d.grown.Load() && d.grown.Swap(false) }

// What values take in memory, about: a string, or a slice, beside what it has; an
// interface; a member of a map; a claim that is kept.
const (
	costOfWord   = 16
	costOfMember = 48
	costOfEntry  = 80
)

func costOf(text string) int { return costOfWord + len(text) }

// fit takes what a claim costs from what is left, and stops below zero.
func fit(claim any, left int) int {
	switch v := claim.(type) {
	case string:
		left -= costOf(v)
	case json.Number:
		left -= costOf(string(v))
	case []any:
		left -= 2 * costOfWord
		for _, e := range v {
			if left -= costOfWord; left < 0 {
				return left
			}
			left = fit(e, left)
		}
	case map[string]any:
		left -= costOfMember
		for name, e := range v {
			if left -= costOfMember + len(name); left < 0 {
				return left
			}
			left = fit(e, left)
		}
	}
	return left
}

// copyOf shares no memory with the claim, which may be a few letters of a large
// text.
func copyOf(claim any) any {
	switch v := claim.(type) {
	case string:
		return strings.Clone(v)
	case json.Number:
		return json.Number(strings.Clone(string(v)))
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = copyOf(e)
		}
		return list
	case map[string]any:
		object := make(map[string]any, len(v))
		for name, e := range v {
			object[strings.Clone(name)] = copyOf(e)
		}
		return object
	}
	return claim
}
