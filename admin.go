package caddyoauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

func init() {
	caddy.RegisterModule(adminAPI{})
}

// adminAPI serves /oauth/… on Caddy's admin endpoint.
//
//	GET    /oauth/grants[?limit=n]            lists grants, without anything secret
//	DELETE /oauth/grants/<sref>               ends one
//	DELETE /oauth/grants?issuer=…&subject=…   ends all of one subject
type adminAPI struct{}

// CaddyModule names the module.
func (adminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.oauth", New: func() caddy.Module { return adminAPI{} }}
}

const grantsPath = "/oauth/grants"

// Routes are those of the admin endpoint.
func (a adminAPI) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{
		{Pattern: grantsPath, Handler: caddy.AdminHandlerFunc(a.serveGrants)},
		{Pattern: grantsPath + "/", Handler: caddy.AdminHandlerFunc(a.serveGrant)},
	}
}

// grantState is what an operator sees of a grant.
type grantState struct {
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

// serveGrants lists grants, or ends those of a subject.
func (adminAPI) serveGrants(w http.ResponseWriter, r *http.Request) error {
	switch r.Method {
	case http.MethodGet:
		limit := listAtMost
		if text := r.URL.Query().Get("limit"); text != "" {
			var err error
			if limit, err = strconv.Atoi(text); err != nil || limit < 1 {
				return badAdmin("limit takes a number above zero")
			}
		}
		return listGrants(w, r, limit)
	case http.MethodDelete:
		issuer, subject := r.URL.Query().Get("issuer"), r.URL.Query().Get("subject")
		if issuer == "" || subject == "" {
			return badAdmin("name issuer and subject, or one grant: DELETE /oauth/grants/<sref>")
		}
		ended := 0
		if err := eachVault(r.Context(), func(_ string, s *session.Vault) error {
			n, err := s.EndSubject(r.Context(), issuer, subject, session.EndedAdmin)
			ended += n
			return err
		}); err != nil {
			return err
		}
		return writeAdmin(w, map[string]int{"ended": ended})
	}
	return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: errors.New("GET or DELETE")}
}

func listGrants(w http.ResponseWriter, r *http.Request, limit int) error {
	grants := []grantState{}
	if err := eachVault(r.Context(), func(store string, s *session.Vault) error {
		return s.List(r.Context(), func(one session.Summary) bool {
			if len(grants) < limit {
				grants = append(grants, grantState{
					Sref: one.Sref, State: stateOf(&one), Reason: one.Reason, Renewals: one.Renewals,
					Created: one.Created, LastUsed: one.LastUsed, Until: one.Until, Store: store,
				})
			}
			return len(grants) < limit
		})
	}); err != nil {
		return err
	}
	return writeAdmin(w, grants)
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

// serveGrant ends the grant that an operator knows by its name in the logs.
func (adminAPI) serveGrant(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodDelete {
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: errors.New("DELETE alone")}
	}
	sref, ended := strings.TrimPrefix(r.URL.Path, grantsPath+"/"), false
	if err := eachVault(r.Context(), func(_ string, s *session.Vault) error {
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

// eachVault visits what is open or can be opened now. One that fails does not
// keep the others from being visited.
func eachVault(ctx context.Context, visit func(store string, s *session.Vault) error) error {
	var failed []error
	for _, v := range allVaults() {
		s, err := v.open(ctx)
		if err == nil {
			err = visit(v.identity, s)
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", v.identity, err))
		}
	}
	if len(failed) > 0 {
		return caddy.APIError{HTTPStatus: http.StatusServiceUnavailable, Err: errors.Join(failed...)}
	}
	return nil
}

func badAdmin(text string) error {
	return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: errors.New(text)}
}

func writeAdmin(w http.ResponseWriter, answer any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(answer)
}

var _ caddy.AdminRouter = adminAPI{}
