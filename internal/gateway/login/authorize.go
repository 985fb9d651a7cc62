package login

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/gateway/proxies"
	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// Answers is the refusal that a log-in answers, or nil: the browser has no
// session, or the session's token is good no more, and a person waits for a page.
// An outage is no reason, nor is a token that lacks something.
func (s *Site) Answers(r *http.Request, err error) *verdict.Rejection {
	rejection, ok := errors.AsType[*verdict.Rejection](err)
	if s == nil || !ok || !rejection.LogIn || !navigates(r) {
		return nil
	}
	return rejection
}

// Begin sends a browser to log in instead of answering with a refusal.
func (s *Site) Begin(w http.ResponseWriter, r *http.Request, rejection *verdict.Rejection) error {
	return s.begin(w, r, targetOf(r), wanted(rejection))
}

// serveLogin begins a log-in that a page asks for, as by a link.
func (s *Site) serveLogin(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return notAllowed(w, r, "GET, HEAD")
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" && mode != "navigate" {
		// A proxy in front sends scripts here as well. At the issuer they would
		// only learn that it is another origin.
		w.Header().Set("WWW-Authenticate", "Bearer")
		return writePage(w, r, http.StatusUnauthorized, &page{text: textLogInFirst, Home: true})
	}
	q, o := r.URL.Query(), siteURLOf(r)
	target, want := o.pathOf(q.Get("return")), stepUp{}
	if sealed := q.Get("want"); sealed != "" {
		vault, err := s.Keeper.Open(r.Context())
		if err != nil {
			return s.fail(w, r, nil, err)
		}
		want = openWant(vault, o, sealed)
	}
	return s.begin(w, r, target, want)
}

// begin is beginWith, by a person's wish.
func (s *Site) begin(w http.ResponseWriter, r *http.Request, target string, want stepUp) error {
	return s.beginWith(w, r, target, want, false)
}

// beginWith redirects to the issuer's authorization endpoint (OpenID Connect Core
// §3.1.2.1). Everything that finishing needs is looked for before. again: it
// begins by itself, which it does once.
func (s *Site) beginWith(w http.ResponseWriter, r *http.Request, target string, want stepUp, again bool) error {
	t, o := s.Trust, siteURLOf(r)
	switch {
	case !o.plain():
		return s.fail(w, r, nil, &failure{outcome: outcomeBadRequest, status: http.StatusBadRequest, detail: "the Host header is none"})
	case !o.secure():
		return s.fail(w, r, nil, &failure{
			outcome: outcomeInsecure, status: http.StatusBadRequest, level: zapcore.ErrorLevel,
			detail: "log-in needs https: browsers would not keep its cookies for " + telemetry.Bounded(o.origin()) +
				"; behind a proxy that ends TLS, " + proxies.Mend(r),
		})
	}
	p := s.Block.newPending(o, target, want)
	p.Again = again
	vault, err := s.Keeper.Open(r.Context())
	if err != nil {
		return s.fail(w, r, p, err)
	}
	ends, err := t.Server.Endpoints(r.Context())
	if err == nil && ends.Authorization == "" {
		err = errors.New("the issuer's metadata name no usable authorization_endpoint")
	}
	if err != nil {
		return s.fail(w, r, p, err)
	}
	address, err := s.Block.authorizationURL(ends.Authorization, t.Client.ID, p)
	if err != nil {
		return s.fail(w, r, p, err)
	}
	if err := s.Block.keep(w, r, vault, p); err != nil {
		return s.fail(w, r, p, err)
	}
	telemetry.Metrics.Login(t.Profile.Issuer, outcomeBegun)
	s.Log.Debug("a log-in has begun", zap.String("issuer", t.Profile.Issuer), zap.String("client_ip", telemetry.ClientAddress(r)))
	return redirect(w, http.StatusFound, address)
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
		"state": {p.State},
	}
	if !l.InsecureNoPKCE {
		q.Set("code_challenge", p.challenge())
		q.Set("code_challenge_method", "S256")
	}
	if l.ResponseMode == modeFormPost {
		q.Set("response_mode", modeFormPost)
	}
	if !l.plain {
		q.Set("nonce", p.Nonce)
	}
	if len(l.Resource) > 0 {
		q["resource"] = l.Resource
	}
	for name, value := range l.Parameter {
		q.Set(name, value)
	}
	p.StepUp.ask(q)
	u.RawQuery = strings.TrimPrefix(u.RawQuery+"&"+q.Encode(), "&")
	return u.String(), nil
}

// Again marks a refusal that a new log-in may mend, where a browser's
// session was refused: its access token is good no more, because a key was
// withdrawn for instance, or its log-in is not strong or recent enough (RFC 9470
// §4). There is no loop: a log-in whose token would not pass fails, and where
// none can be good enough the browser is not sent.
func Again(found credential.Presented, err error) error {
	rejection, ok := errors.AsType[*verdict.Rejection](err)
	if !ok || !found.Session || rejection.Status != http.StatusUnauthorized {
		return err
	}
	again := *rejection
	again.LogIn = rejection.Reason != verdict.WeakLogIn || len(rejection.ACR) > 0
	return &again
}
