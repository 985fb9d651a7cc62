package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/gateway/revocation"
	"github.com/caddyoauth/caddyoauth/internal/revoked"
)

// RevocationsPath is where an operator takes back.
const RevocationsPath = "/oauth/revocations"

// Revocation is what an operator takes back, or sees of what was.
type Revocation struct {
	Issuer  string    `json:"issuer"`
	Subject string    `json:"subject,omitempty"`
	Client  string    `json:"client,omitempty"`
	ID      string    `json:"jti,omitempty"`
	Session string    `json:"sid,omitempty"`
	Tokens  bool      `json:"tokens_only,omitempty"` // grants go on
	Before  time.Time `json:"before,omitzero"`       // default: now, where neither jti nor sid is named
	Until   time.Time `json:"until,omitzero"`        // default: as long as a token can live (keep)
	Reason  string    `json:"reason,omitempty"`
	Source  string    `json:"source,omitempty"` // of those that are listed
	Added   time.Time `json:"added,omitzero"`   // the same
	Store   string    `json:"store,omitempty"`  // the same; none: this process alone
}

// Revoked is what came of taking something back.
type Revoked struct {
	Lists int `json:"lists"` // that have it now
	Ended int `json:"ended"` // grants
}

func (r *Revocation) entry() revoked.Entry {
	return revoked.Entry{
		Issuer: r.Issuer, Subject: r.Subject, Client: r.Client, ID: r.ID, Session: r.Session, TokensOnly: r.Tokens,
		Before: r.Before, Until: r.Until, Reason: r.Reason, Source: revoked.ByOperator,
	}
}

// listRevocations lists what was taken back.
func listRevocations(w http.ResponseWriter, _ *http.Request) error {
	all := []Revocation{}
	_ = revocation.Each(func(k *revocation.Kept) error {
		for _, e := range k.List().Entries() {
			all = append(all, Revocation{
				Issuer: e.Issuer, Subject: e.Subject, Client: e.Client, ID: e.ID, Session: e.Session, Tokens: e.TokensOnly, Before: e.Before,
				Until: e.Until, Reason: e.Reason, Source: e.Source, Added: e.Added, Store: k.Store(),
			})
		}
		return nil
	})
	return Answer(w, all)
}

// mostRevocation bounds what is read of a request.
const mostRevocation = 64 << 10

func readRevocation(w http.ResponseWriter, r *http.Request) (one Revocation, err error) {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, mostRevocation))
	d.DisallowUnknownFields()
	if err := d.Decode(&one); err != nil {
		return one, BadRequest(fmt.Sprintf(`the body is no revocation, such as {"issuer": "https://…", "subject": "…"}: %v`, err))
	}
	return one, nil
}

// revoke takes something back in every list whose sites take tokens of its issuer,
// and ends the grants that it covers.
func revoke(w http.ResponseWriter, r *http.Request) error {
	one, err := readRevocation(w, r)
	if err != nil {
		return err
	}
	e := one.entry()
	now := time.Now()
	switch {
	case e.Subject == "" && e.Client == "" && e.ID == "" && e.Session == "" && e.Before.IsZero():
		return BadRequest("name subject, client, jti or sid; or say before, to take back all that the issuer issued until then")
	case e.Before.IsZero() && e.ID == "" && e.Session == "":
		e.Before = now
	case e.Before.After(now.Add(time.Minute)):
		return BadRequest("before is in the future: what is not issued yet cannot be taken back")
	}
	if !e.Until.IsZero() && e.Until.Before(now) {
		return BadRequest("until is over")
	}
	ctx := context.WithoutCancel(r.Context()) // whoever asks may go
	lists, err := addToLists(ctx, &e)
	if err != nil {
		return err
	}
	ended, err := grants.EndRevoked(ctx, &e)
	if err != nil {
		return caddy.APIError{HTTPStatus: http.StatusServiceUnavailable, Err: fmt.Errorf("it was taken back; grants that it covers end with their next request: %w", err)}
	}
	return Answer(w, Revoked{Lists: lists, Ended: ended})
}

func addToLists(ctx context.Context, e *revoked.Entry) (lists int, err error) {
	if err := revocation.Each(func(k *revocation.Kept) error {
		name := k.NameOf(e.Issuer)
		if name == "" {
			return nil
		}
		e.Issuer = name
		lists++
		return k.Add(ctx, *e)
	}); err != nil {
		status := http.StatusBadRequest
		if _, full := errors.AsType[*revoked.Full](err); full {
			status = http.StatusInsufficientStorage
		}
		if _, unstored := errors.AsType[*revoked.Unstored](err); unstored {
			status = http.StatusServiceUnavailable
		}
		return lists, caddy.APIError{HTTPStatus: status, Err: err}
	}
	if lists == 0 {
		return 0, caddy.APIError{HTTPStatus: http.StatusNotFound, Err: fmt.Errorf("no issuer %.200q is configured; the text must be the same to the letter", e.Issuer)}
	}
	return lists, nil
}

// letIn takes an entry out of every list.
func letIn(w http.ResponseWriter, r *http.Request) error {
	one, err := readRevocation(w, r)
	if err != nil {
		return err
	}
	e, removed := one.entry(), false
	if err := revocation.Each(func(k *revocation.Kept) error {
		was, err := k.Remove(context.WithoutCancel(r.Context()), &e)
		removed = removed || was
		return err
	}); err != nil {
		return caddy.APIError{HTTPStatus: http.StatusServiceUnavailable, Err: err}
	}
	if !removed {
		return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: errors.New("nothing was taken back that names the same")}
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
