package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/session"
)

// grant is what an operator sees of a grant.
type grant struct {
	Sref     string    `json:"sref"`  // as in the logs
	State    string    `json:"state"` // live, renewing, uncertain or ended
	Reason   string    `json:"reason,omitempty"`
	Renewals uint64    `json:"renewals"`
	Created  time.Time `json:"created"`
	LastUsed time.Time `json:"last_used"`
	Until    time.Time `json:"until"`
	Store    string    `json:"store"`
}

const listAtMost = 1000

// serveGrants lists grants.
func serveGrants(w http.ResponseWriter, r *http.Request) error {
	limit := listAtMost
	if text := r.URL.Query().Get("limit"); text != "" {
		var err error
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 {
			return BadRequest("limit takes a number above zero")
		}
	}
	return listGrants(w, r, limit)
}

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

func listGrants(w http.ResponseWriter, r *http.Request, limit int) error {
	grants := []grant{}
	if err := eachOpenVault(r.Context(), func(store string, s *session.Vault) error {
		return s.List(r.Context(), func(one session.Summary) bool {
			if len(grants) < limit {
				grants = append(grants, grant{
					Sref: one.Sref, State: stateOf(&one), Reason: one.Reason, Renewals: one.Renewals,
					Created: one.Created, LastUsed: one.LastUsed, Until: one.Until, Store: store,
				})
			}
			return len(grants) < limit
		})
	}); err != nil {
		return err
	}
	return Answer(w, grants)
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
	sref, ended := strings.TrimPrefix(r.URL.Path, grantsPath+"/"), false
	if err := eachOpenVault(r.Context(), func(_ string, s *session.Vault) error {
		var key *session.Key
		if err := s.List(r.Context(), func(one session.Summary) bool {
			if one.Sref == sref {
				key = &one.Key
			}
			return key == nil
		}); err != nil || key == nil {
			return err
		}
		err := s.EndKey(r.Context(), *key, session.EndedAdmin)
		if errors.Is(err, session.ErrNoGrant) {
			return nil // it has ended meanwhile
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
