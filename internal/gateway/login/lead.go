package login

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// Lead is where a browser begins to log in, for another proxy that has asked about
// its click. It is an address of the very site that was asked about: the cookie of
// a begun log-in is set there, and none has to come through the other proxy's
// answer. An error is what the click is refused with instead.
func (s *Site) Lead(r *http.Request, rejection *verdict.Rejection) (string, error) {
	o := siteURLOf(r)
	switch {
	case !o.plain():
		return "", rejection
	case s.Block.Owns(r.URL.Path):
		// Led to a log-in it would come here again, and again.
		misled := *rejection
		misled.Bug = true
		misled.Detail = "the proxy asks about " + telemetry.Bounded(r.URL.Path) + " instead of handing it on: paths below " + s.Block.PathPrefix() +
			" are the gateway's own, see docs/forward-auth.md"
		return "", &misled
	}
	q := url.Values{"return": {s.Block.returnTo(o, targetOf(r))}}
	if want := wanted(rejection); len(want.ACR)+len(want.Scope) > 0 || want.MaxAge > 0 {
		vault, err := s.Keeper.Open(r.Context())
		if err != nil {
			return "", err
		}
		sealed, err := sealWant(vault, o, want)
		if err != nil {
			return "", err
		}
		q.Set("want", sealed)
	}
	return o.origin() + o.mount + s.Block.PathPrefix() + pathLogin + "?" + q.Encode(), nil
}

// wanted is what a new log-in has to be, by the refusal that it mends.
func wanted(rejection *verdict.Rejection) stepUp {
	return stepUp{ACR: rejection.ACR, MaxAge: int64(rejection.MaxAge / time.Second), Scope: rejection.Scope}
}

// sealWanted is what sealed wishes are for. They are sealed so that no link of a
// stranger has people asked for a scope or a log-in that no rule here wants.
const sealWanted = "wanted log-in"

// sealedWant is a stepUp on its way through a browser.
type sealedWant struct {
	StepUp stepUp   `json:"w"`
	Scope  []string `json:"s,omitempty"`
	At     int64    `json:"t"` // seconds since 1970
}

func sealWant(vault *session.Vault, o siteURL, want stepUp) (string, error) {
	text, _ := json.Marshal(sealedWant{want, want.Scope, time.Now().Unix()}) // strings and numbers always encode
	sealed, err := vault.Seal(sealWanted, o.origin(), text)
	return base64.RawURLEncoding.EncodeToString(sealed), err
}

// openWant reads what was sealed for this site not long ago; else nothing is wanted.
func openWant(vault *session.Vault, o siteURL, value string) stepUp {
	sealed, err := strictBase64.DecodeString(value)
	if err != nil || len(value) > pendingBytes {
		return stepUp{}
	}
	text, err := vault.Open(sealWanted, o.origin(), sealed)
	var w sealedWant
	if err != nil || json.Unmarshal(text, &w) != nil || time.Since(time.Unix(w.At, 0)).Abs() > pendingLife {
		return stepUp{}
	}
	w.StepUp.Scope = w.Scope
	return w.StepUp
}
