package login

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyoauth/caddyoauth/internal/gateway/policy"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// stepUp is what a log-in has to be beyond one: stronger, or more recent (RFC
// 9470 §4). An issuer may answer with less, so it is looked at afterwards.
type stepUp struct {
	ACR    []string `json:"a,omitempty"`
	MaxAge int64    `json:"m,omitempty"` // seconds
	Scope  []string `json:"-"`           // asked for too; without it the answer stays 403
}

// ask adds it to the parameters of an authorization request.
func (s *stepUp) ask(q url.Values) {
	if len(s.ACR) > 0 {
		q.Set("acr_values", strings.Join(s.ACR, " "))
	}
	if s.MaxAge > 0 {
		q.Set("max_age", strconv.FormatInt(s.MaxAge, 10))
	}
	words := strings.Fields(q.Get("scope"))
	for _, word := range s.Scope {
		if !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	q.Set("scope", strings.Join(words, " "))
}

// lacks says what the log-in of a token is not, or nothing.
func (s *stepUp) lacks(p *token.Principal, now time.Time) string {
	strong, recent := &policy.Requirement{ACR: s.ACR}, &policy.Requirement{MaxAge: caddy.Duration(s.MaxAge) * caddy.Duration(time.Second)}
	acr, _ := p.Claim("acr")
	switch {
	case len(s.ACR) > 0 && !strong.LoggedInAs(p):
		return fmt.Sprintf("acr is %s, asked for was one of %q", policy.Told(acr), s.ACR)
	case s.MaxAge > 0 && !recent.LoggedInSince(p, now):
		return fmt.Sprintf("auth_time is %s, asked for was max_age %d", policy.ToldAge(p, now), s.MaxAge)
	}
	return ""
}
