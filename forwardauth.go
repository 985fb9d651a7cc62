package caddyoauth

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyoauth/caddyoauth/internal/gateway/forwardauth"
	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
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
		_, err = g.admit(w, r)
	}
	if rejection := g.site.Answers(r, err); rejection != nil {
		if err = g.lead(rec, r, rejection); err == nil {
			return nil
		}
	}
	if err != nil {
		err = g.ForwardAuth.Passable(err)
		writeRefusal(rec, question, g.account(rec, r, err), err)
		return nil
	}
	forwardauth.Pass(rec.Header())
	g.identity.Answer(rec.Header(), r.Header)
	g.site.Answer(rec.Header(), r.Header)
	rec.WriteHeader(http.StatusOK)
	return nil
}

// lead answers a question about a person's click: it is sent to where a log-in
// begins on the site that was asked about. The proxy hands on a redirect, or makes
// one of the Location of a refusal. An error is what to refuse with instead.
func (g *Gateway) lead(w http.ResponseWriter, r *http.Request, rejection *verdict.Rejection) error {
	// What was asked about is what the browser asked for, and not the question.
	asked := r.WithContext(context.WithValue(r.Context(), caddyhttp.OriginalRequestCtxKey, *r))
	address, err := g.site.Lead(asked, rejection)
	if err != nil {
		return err
	}
	w.Header().Set("Location", address)
	if status := g.ForwardAuth.LeadingStatus(); status != http.StatusFound {
		return rejection // with the address in its headers
	}
	telemetry.Metrics.Verdict(rejection.Issuer, rejection.Reason).Inc()
	g.refused(r, rejection, http.StatusFound, rejection.Reason, rejection.Issuer)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusFound)
	return nil
}
