package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/session"
)

// Grant is what an operator sees of a grant.
type Grant struct {
	Sref     string    `json:"sref"`  // as in the logs
	State    string    `json:"state"` // live, renewing, uncertain or ended
	Reason   string    `json:"reason,omitempty"`
	Renewals uint64    `json:"renewals"`
	Created  time.Time `json:"created"`
	LastUsed time.Time `json:"last_used"`
	Until    time.Time `json:"until"`
	Store    string    `json:"store"`
}

// States that a grant may be in.
var States = []string{"live", "renewing", "uncertain", "ended"}

// endGrantsOfSubject ends all grants of one user at one issuer.
func endGrantsOfSubject(w http.ResponseWriter, r *http.Request) error {
	issuer, subject := r.URL.Query().Get("issuer"), r.URL.Query().Get("subject")
	if issuer == "" || subject == "" {
		return BadRequest("name issuer and subject, or one grant: DELETE /oauth/grants/<sref>")
	}
	ended := 0
	if err := eachOpenVault(r.Context(), func(_ string, s *session.Vault) error {
		n, err := s.EndSubject(r.Context(), issuer, subject, session.EndedAdmin)
		ended += n
		return err
	}); err != nil {
		return err
	}
	return Answer(w, map[string]int{"ended": ended})
}

func stateOf(one *session.Summary) string {
	switch {
	case one.Dead:
		return "ended"
	case one.Renewing:
		return "renewing"
	case one.Uncertain:
		return "uncertain"
	}
	return "live"
}

// endGrant ends the grant that an operator knows by its name in the logs.
func endGrant(w http.ResponseWriter, r *http.Request) error {
	sref, ended := strings.TrimPrefix(r.URL.Path, GrantsPath+"/"), false
	if err := eachOpenVault(r.Context(), func(_ string, s *session.Vault) error {
		err := s.EndNamed(r.Context(), sref, session.EndedAdmin)
		if errors.Is(err, session.ErrNoGrant) {
			return nil // it is none of these, or has ended meanwhile
		}
		ended = ended || err == nil
		return err
	}); err != nil {
		return err
	}
	if !ended {
		return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: fmt.Errorf("no live grant %.40q", sref)}
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// eachOpenVault visits every store of grants, and words what fails.
func eachOpenVault(ctx context.Context, visit func(store string, s *session.Vault) error) error {
	if err := grants.Each(ctx, visit); err != nil {
		return caddy.APIError{HTTPStatus: http.StatusServiceUnavailable, Err: err}
	}
	return nil
}
