package caddyoauth

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// sendsToLogin tells whether a refusal is answered by a log-in: nobody is logged
// in, or the session's token is good no more, and a person waits for a page. An
// outage is no reason, nor is a token that lacks something.
func (g *Gateway) sendsToLogin(r *http.Request, err error) bool {
	if g.Login == nil {
		return false
	}
	rejection, ok := errors.AsType[*verdict.Rejection](err)
	return ok && rejection.LogIn && navigates(r)
}

// startLogin sends the browser to the issuer instead of answering with err.
func (g *Gateway) startLogin(w http.ResponseWriter, r *http.Request, err error) error {
	rejection, _ := errors.AsType[*verdict.Rejection](err)
	measure.verdict(rejection.Issuer, rejection.Reason).Inc()
	g.refused(r, err, http.StatusFound, rejection.Reason, rejection.Issuer)
	return g.beginLogin(w, r, targetOf(r), better{ACR: rejection.ACR, MaxAge: int64(rejection.MaxAge / time.Second), Scope: rejection.Scope})
}

// targetOf is what the browser asked for, before anything was rewritten.
func targetOf(r *http.Request) string {
	if original := originalURL(r); original != nil {
		return original.RequestURI()
	}
	return r.RequestURI
}

// serveLogin begins a log-in for whoever asks for one, such as a link.
func (g *Gateway) serveLogin(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return g.notAllowed(w, r, "GET, HEAD")
	}
	return g.beginLogin(w, r, r.URL.Query().Get("return"), better{})
}

// beginLogin redirects to the issuer's authorization endpoint (OpenID Connect
// Core §3.1.2.1). Everything that finishing needs is looked for before.
func (g *Gateway) beginLogin(w http.ResponseWriter, r *http.Request, target string, than better) error {
	t, o := g.loginTrust(), outsideOf(r)
	switch {
	case !o.plain():
		return g.failLogin(w, r, nil, &loginError{outcome: loginBadRequest, status: http.StatusBadRequest, detail: "the Host header is none"})
	case !o.secure():
		return g.failLogin(w, r, nil, &loginError{
			outcome: loginInsecure, status: http.StatusBadRequest, level: zapcore.ErrorLevel,
			detail: "log-in needs https: browsers would not keep its cookies for " + bounded(o.origin()) +
				"; behind a proxy that ends TLS, name it in trusted_proxies and have it set X-Forwarded-Proto",
		})
	}
	p := g.Login.newPending(o, target, than)
	s, err := g.keeper.Open(r.Context())
	if err != nil {
		return g.failLogin(w, r, p, err)
	}
	ends, err := t.server.Endpoints(r.Context())
	if err == nil && ends.Authorization == "" {
		err = errors.New("the issuer's metadata name no usable authorization_endpoint")
	}
	if err != nil {
		return g.failLogin(w, r, p, err)
	}
	address, err := g.Login.authorizationURL(ends.Authorization, t.client.ID, p)
	if err != nil {
		return g.failLogin(w, r, p, err)
	}
	if err := g.Login.keep(w, r, s, p); err != nil {
		return g.failLogin(w, r, p, err)
	}
	measure.login(t.profile.Issuer, loginBegun)
	g.log.Debug("a log-in has begun", zap.String("issuer", t.profile.Issuer), zap.String("client_ip", clientAddress(r)))
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Location", address)
	w.WriteHeader(http.StatusFound)
	return nil
}

// authorizationURL adds the request's parameters to the endpoint, which may
// have some of its own (RFC 6749 §3.1).
func (l *Login) authorizationURL(endpoint, client string, p *pending) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "", err
	}
	q := url.Values{
		"response_type": {"code"}, "client_id": {client}, "redirect_uri": {p.Redirect}, "scope": {l.scope},
		"state": {p.State}, "nonce": {p.Nonce},
		"code_challenge": {p.challenge()}, "code_challenge_method": {"S256"},
	}
	if len(l.Resource) > 0 {
		q["resource"] = l.Resource
	}
	for name, value := range l.Parameter {
		q.Set(name, value)
	}
	p.Better.ask(q)
	u.RawQuery = strings.TrimPrefix(u.RawQuery+"&"+q.Encode(), "&")
	return u.String(), nil
}
