package e2e

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

// secrets are all that a test knows and that must be written nowhere.
type secrets struct {
	mu   sync.Mutex
	kind map[string]string
}

// What a secret is. An access token is one towards logs, and none towards the
// upstream, which needs it.
const (
	kindAccessToken  = "access token"
	kindRefreshToken = "refresh token"
	kindIDToken      = "id token"
	kindReference    = "reference token"
	kindCookie       = "session's cookie"
	kindCode         = "code"
	kindVerifier     = "verifier"
	kindClientSecret = "client secret"
	kindAssertion    = "assertion"
	kindKey          = "key material"
)

// shortest is how long a secret of the tests is at least: what is shorter
// would be found by accident.
const shortest = 16

func (s *secrets) add(kind string, values ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, value := range values {
		if value == "" {
			continue
		}
		if len(value) < shortest {
			panic("a " + kind + " of " + value + " is too short to look for")
		}
		if s.kind == nil {
			s.kind = map[string]string{}
		}
		s.kind[value] = kind
	}
}

// find answers the kinds of all secrets that occur in text, whole or in part.
func (s *secrets) find(text string, but ...string) []string {
	needles := map[string][]needle{}
	var begins [1 << 16]bool // the first two characters of each: logs are long
	s.mu.Lock()
	for value, kind := range s.kind {
		if !slices.Contains(but, kind) {
			for _, part := range parts(value) {
				needles[part[:shortest]] = append(needles[part[:shortest]], needle{part, kind})
				begins[int(part[0])<<8|int(part[1])] = true
			}
		}
	}
	s.mu.Unlock()
	var found []string
	for at := 0; at+shortest <= len(text); at++ {
		if !begins[int(text[at])<<8|int(text[at+1])] {
			continue
		}
		for _, n := range needles[text[at:at+shortest]] {
			if strings.HasPrefix(text[at:], n.text) {
				found = append(found, n.kind+" in …"+around(text, at)+"…")
			}
		}
	}
	return found
}

type needle struct{ text, kind string }

// parts are the pieces of a secret that no log may have: half a token is
// half too much. The header of a JWT is no secret, and all have the same.
func parts(value string) []string {
	if strings.HasPrefix(value, "eyJ") && strings.Count(value, ".") == 2 {
		jws := strings.Split(value, ".")
		return append(parts(jws[1]), parts(jws[2])...)
	}
	if prefix, rest, ok := strings.Cut(value, "_"); ok && (prefix == "oga" || prefix == "ogr" || prefix == "ogs") {
		value = rest
	}
	all := ends(value)
	if escaped := url.QueryEscape(value); escaped != value {
		all = append(all, ends(escaped)...)
	}
	return all
}

func ends(value string) []string {
	if len(value) < 2*shortest {
		return []string{value}
	}
	return []string{value[:shortest], value[len(value)-shortest:]}
}

// bytesOf are the binary forms of a token, as a store would hold them: whole,
// and its first and its second half.
func bytesOf(token string) []string {
	if prefix, rest, ok := strings.Cut(token, "_"); ok && len(prefix) == 3 {
		token = rest
	}
	var forms []string
	for _, decode := range []func(string) ([]byte, error){
		base64.RawURLEncoding.DecodeString, base64.RawStdEncoding.DecodeString, hex.DecodeString,
	} {
		if raw, err := decode(token); err == nil && len(raw) >= shortest {
			forms = append(forms, string(raw), string(raw[:len(raw)/2]), string(raw[len(raw)/2:]))
		}
	}
	return forms
}

// bytes are the binary forms of all that a session's owner holds.
func (s session) bytes() (forms []string) {
	for _, token := range []string{s.access, s.refresh, s.cookie} {
		forms = append(forms, bytesOf(token)...)
	}
	return forms
}

// around is what stands before offset at, on one line, with the
// secret hidden: the output of a test is a log too.
func around(text string, at int) string {
	return strings.ReplaceAll(text[max(0, at-60):at], "\n", " ") + "[HERE]"
}

// digest names a token where the token itself is not kept.
func digest(token string) string {
	if token == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:8])
}

func TestTheLedgerOfSecretsFindsWhatWasPlanted(t *testing.T) {
	var s secrets
	random := func() string { return rand.Text() + rand.Text() }
	jwt := "eyJhbGciOiJFUzI1NiJ9." + random() + "." + random()
	reference := "oga_" + random()
	s.add(kindAccessToken, jwt)
	s.add(kindReference, reference)
	s.add(kindClientSecret, "a+secret/with=signs")
	for planted, want := range map[string]int{
		"nothing of it, not even eyJhbGciOiJFUzI1NiJ9.": 0,
		`{"uri":"/?t=` + reference[:24] + `…"}`:         1, // the first half is enough
		"tail " + reference[24:]:                        1,
		"all of " + jwt:                                 4,
		"form client_secret=a%2Bsecret%2Fwith%3Dsigns&": 1,
	} {
		if found := s.find(planted); len(found) != want {
			t.Errorf("%d secrets found in %q, want %d: %q", len(found), planted, want, found)
		}
	}
	if found := s.find("all of "+jwt, kindAccessToken); len(found) != 0 {
		t.Errorf("an access token found that was not looked for: %q", found)
	}
}
