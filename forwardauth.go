package caddyoauth

import (
	"net/http"
	"net/url"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyoauth/caddyoauth/internal/gateway/forwardauth"
	"github.com/caddyoauth/caddyoauth/internal/secret"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// judge answers another proxy's question. Nothing is forwarded, and nothing is
// logged as it came: the target in a header may hold a token, which Caddy's
// access log and its error log would show.
func (g *Gateway) judge(w http.ResponseWriter, r *http.Request) error {
	caddyhttp.SetVar(r.Context(), caddyhttp.LogSkipVar, true)
	rec := caddyhttp.NewResponseRecorder(w, nil, nil)
	question := r.WithContext(r.Context()) // by its method the answer has a body or none
	err := g.ForwardAuth.Restore(r)
	if g.places.HasStrayToken(r) {
		err, r.URL = verdict.StrayToken(), &url.URL{Path: "/" + secret.Hidden}
	}
	defer g.logQuietly(rec, r, time.Now(), r.URL.Path)
	if err == nil {
		_, _, err = g.admit(w, r)
	}
	if err != nil {
		err = g.ForwardAuth.Passable(err)
		writeRefusal(rec, question, g.account(rec, r, err), err)
		return nil
	}
	forwardauth.Pass(rec.Header())
	g.identity.Answer(rec.Header(), r.Header)
	rec.WriteHeader(http.StatusOK)
	return nil
}
