package as

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/secret"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// What an answer may hold, in bytes.
const (
	maxToken       = 64 << 10
	maxCode        = 100
	maxDescription = 500
)

// mostLife bounds expires_in, so that sums with it stay sums.
const mostLife = 100 * 365 * 24 * time.Hour

// tokens reads a successful answer (RFC 6749 §5.1). What it takes is checked
// for what it will be used for: sent in a header, in a form, in our answer.
func readTokens(members map[string]any) (*Tokens, error) {
	access, ok := text(members["access_token"], maxToken)
	if !ok || access == "" || strings.Contains(access, " ") {
		return nil, errors.New("its access_token is none")
	}
	refresh, ok := text(members["refresh_token"], maxToken)
	if !ok {
		return nil, errors.New("its refresh_token is none")
	}
	kind, ok := text(members["token_type"], maxCode)
	if !ok || kind != "" && !strings.EqualFold(kind, "Bearer") {
		return nil, errors.New("its token_type is not Bearer")
	}
	scope, err := readScope(members["scope"])
	if err != nil {
		return nil, err
	}
	// A bad ID token is none: it must not cost the other tokens.
	id, _ := text(members["id_token"], maxToken)
	return &Tokens{
		AccessToken: secret.New(access), RefreshToken: secret.New(refresh), IDToken: secret.New(id),
		TokenType: "Bearer", ExpiresIn: readLife(members["expires_in"]), Scope: scope,
	}, nil
}

// text is a string of visible ASCII and spaces (VSCHAR of RFC 6749 appendix A)
// within a length. No value at all is "".
func text(value any, most int) (string, bool) {
	if value == nil {
		return "", true
	}
	s, ok := value.(string)
	if !ok || len(s) > most {
		return "", false
	}
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return "", false
		}
	}
	return s, true
}

// readScope reads the scope that was granted, if the answer has one.
func readScope(value any) (*string, error) {
	if value == nil {
		return nil, nil
	}
	scope, ok := token.ScopeOf(value)
	if _, letters := text(scope, maxToken); !ok || !letters {
		return nil, errors.New("its scope is none")
	}
	return &scope, nil
}

// readLife takes a number, and the numeric string that some servers send. Zero
// and less stay what they are: the caller decides.
func readLife(value any) *time.Duration {
	number, ok := value.(json.Number)
	if !ok {
		s, _ := value.(string)
		number = json.Number(s)
	}
	if strings.Trim(string(number), "0123456789+-.eE") != "" {
		return nil // ParseFloat knows more than numbers: Inf, NaN, 0x1p4
	}
	n, err := strconv.ParseFloat(string(number), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) || math.IsNaN(n) {
		return nil
	}
	most := mostLife.Seconds()
	life := time.Duration(max(-most, min(n, most))) * time.Second
	return &life
}

// refused makes the error of an answer that is none of the good ones. grant is
// the grant type that was asked with, if any.
func (r *response) refused(members map[string]any, grant string) *CallError {
	e := &CallError{
		Status: r.status, RetryAfter: r.after, encoded: r.encoded,
		Code:        plain(members["error"], maxCode),
		Description: plain(members["error_description"], maxDescription),
		Said:        said(members["error_description"], r.sent),
		URI:         strings.ReplaceAll(plain(members["error_uri"], maxDescription), " ", "%20"),
		Err:         fmt.Errorf("the %s answered with status %d", r.endpoint, r.status),
	}
	e.Fate = fate(r.status, e.Code, grant)
	return e
}

// plain is a string in the characters of RFC 6749 §5.2, within a length, or "".
func plain(value any, most int) string {
	s, ok := text(value, most)
	if !ok || strings.ContainsAny(s, `"\`) {
		return ""
	}
	return s
}

// unusable is a good status without a good answer: the grant may be used up.
func (r *response) unusable(why error) *CallError {
	return &CallError{
		Fate: Unknown, Status: r.status, RetryAfter: r.after, Salvaged: salvage(r.body),
		Err: fmt.Errorf("the %s answered with status %d and nothing of use: %w", r.endpoint, r.status, why),
	}
}

// judge takes an answer apart: its members if it is a good one, or what is
// wrong with it.
func (r *response) judge(grant string) (map[string]any, *CallError) {
	members, err := token.ParseObject(string(r.body))
	if r.status < 200 || r.status > 299 {
		return nil, r.refused(members, grant)
	}
	if err != nil && r.broken != nil {
		err = r.broken // what is whole is good, even if more was announced
	}
	if err != nil {
		return nil, r.unusable(err)
	}
	return members, nil
}
