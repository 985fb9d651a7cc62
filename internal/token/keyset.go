package token

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

const (
	maxKeys  = 1000 // of a set that are looked at
	maxTried = 100  // that one token can make us try: one without a kid, or with a kid that many keys share
	maxTold  = 10   // of the keys that are left out, in an error
)

// KeySource gives the keys of one issuer. An error is a failure (there is
// nothing to judge by), never a verdict.
type KeySource interface {
	// Keys is the set in force. It waits only when there is none yet.
	Keys(ctx context.Context) (*KeySet, error)
	// Newer is asked when a token names a key that set does not have. It waits
	// for at most one fetch and answers the set in force then, which may be
	// the same one.
	Newer(ctx context.Context, set *KeySet) (*KeySet, error)
}

// KeySet is an issuer's JWK Set (RFC 7517 §5), without the keys that cannot be
// used. It does not change.
type KeySet struct {
	keys  []*Key
	byID  map[string][]*Key // two keys may share a kid and differ in type
	named Algorithms        // of RSA keys, that the issuer's metadata name; 0: none
}

// Skipped is a key that was left out of a set.
type Skipped struct {
	Index int    // in the document's list
	KeyID string // kid, where it could be read
	Err   error
}

// ParseKeySet reads a JWK Set. A key that is odd is skipped and the rest kept;
// it is an error when none is left. named are the algorithms that the issuer
// says it signs with, where it does: an RSA key without an alg is for those.
func ParseKeySet(doc []byte, named ...string) (*KeySet, []Skipped, error) {
	list, err := keyList(doc)
	if err != nil {
		return nil, nil, fmt.Errorf("reading a JWK Set: %w", err)
	}
	set := &KeySet{byID: make(map[string][]*Key), named: rsaOf(named)}
	var skipped []Skipped
	for i, entry := range list[:min(len(list), maxKeys)] {
		key, err := ParseKey(string(entry))
		if err != nil {
			skipped = append(skipped, Skipped{Index: i, KeyID: kidOf(entry), Err: err})
			continue
		}
		set.add(key)
	}
	if len(list) > maxKeys {
		skipped = append(skipped, Skipped{Index: maxKeys, Err: fmt.Errorf("it and what follows: the set has %d keys, of which %d are looked at", len(list), maxKeys)})
	}
	switch {
	case len(list) == 0:
		return nil, nil, errors.New("reading a JWK Set: there is no key in it")
	case len(set.keys) == 0:
		return nil, skipped, fmt.Errorf("reading a JWK Set: none of its %d keys can be used: %s", len(list), why(skipped))
	}
	return set, skipped, nil
}

// Encrypts reports whether the key is for encryption: many sets have one of those,
// and nothing is amiss with it.
func (s Skipped) Encrypts() bool { return errors.Is(s.Err, errEncrypts) }

// String names the key and says why it was left out.
func (s Skipped) String() string {
	name := fmt.Sprintf("key %d", s.Index+1)
	if s.KeyID != "" {
		name += " (kid " + quote(s.KeyID) + ")"
	}
	return name + ": " + s.Err.Error()
}

func why(skipped []Skipped) string {
	var all []string
	for i, one := range skipped {
		if i == maxTold {
			all = append(all, fmt.Sprintf("and %d more", len(skipped)-maxTold))
			break
		}
		all = append(all, one.String())
	}
	return strings.Join(all, "; ")
}

// keyList is the value of the one member "keys". The entries stay text, so
// that an odd one spoils itself alone; and no struct reads them, which would
// fold the case of names.
func keyList(doc []byte) (list []json.RawMessage, err error) {
	doc = bytes.TrimPrefix(doc, []byte("\ufeff")) // RFC 8259 §8.1: readers may ignore it
	if !json.Valid(doc) {
		return nil, errors.New("not JSON")
	}
	d := json.NewDecoder(bytes.NewReader(doc))
	if start, _ := d.Token(); start != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		switch {
		case name != "keys":
		case list != nil:
			return nil, errors.New(`"keys" stands there twice`)
		case json.Unmarshal(value, &list) != nil || list == nil:
			return nil, errors.New(`"keys" is not a list`)
		}
	}
	if list == nil {
		return nil, errors.New(`no "keys"`)
	}
	return list, nil
}

func kidOf(entry []byte) string {
	members, _ := ParseObject(string(entry))
	kid, _ := members["kid"].(string)
	return clip(kid)
}

func (s *KeySet) add(key *Key) {
	s.keys = append(s.keys, key)
	if key.ID != "" {
		s.byID[key.ID] = append(s.byID[key.ID], key)
	}
}

// Keys makes a fixed set its own source: it is always there.
func (s *KeySet) Keys(context.Context) (*KeySet, error) { return s, nil }

// Newer answers the set itself: a fixed one has no successor.
func (s *KeySet) Newer(context.Context, *KeySet) (*KeySet, error) { return s, nil }

// Len is the number of usable keys; a nil set has none.
func (s *KeySet) Len() int {
	if s == nil {
		return 0
	}
	return len(s.keys)
}

// Replace returns next with those of its keys that old also has taken over as
// they are, so that what they verified stays verified, and retires the keys
// that are gone. A key that is for other algorithms now is another one: what it
// verified by the old ones counts no more. Either set may be nil.
func Replace(old, next *KeySet) *KeySet {
	merged := &KeySet{byID: make(map[string][]*Key)}
	kept := make(map[*Key]bool)
	if next != nil {
		merged.named = next.named
		for _, key := range next.keys {
			if same := old.find(key); same != nil && (!key.plainRSA() || old.named == next.named) {
				kept[same] = true
				key = same
			}
			merged.add(key)
		}
	}
	if old != nil {
		for _, key := range old.keys {
			if !kept[key] {
				key.retired.Store(true)
			}
		}
	}
	if next == nil {
		return nil
	}
	return merged
}

func (s *KeySet) find(like *Key) *Key {
	if s != nil {
		for _, key := range s.keys {
			if key.print == like.print {
				return key
			}
		}
	}
	return nil
}

// candidates are the keys that may have signed: those with the kid, or all
// where the token names none, that fit the algorithm. known reports whether the
// set has the kid at all, and plain whether an RSA key would fit if the issuer had
// said that it is for this algorithm.
func (s *KeySet) candidates(kid, alg string, configured Algorithms) (fit []*Key, known, plain bool) {
	from := s.keys
	if kid != "" {
		from = s.byID[kid]
	}
	for _, key := range from {
		switch {
		case s.takes(key, alg, configured):
			if len(fit) < maxTried {
				fit = append(fit, key)
			}
		case key.fits(alg):
			plain = true
		}
	}
	return fit, kid != "" && len(from) > 0, plain
}
