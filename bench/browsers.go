package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// browserKinds are set side by side with the sessions of browsers, kept in Redis.
var browserKinds = []kind{
	{name: "bare", title: "Caddy, bare", config: "bare.Caddyfile", algs: allAlgs, browser: true},
	{name: "control", title: "Caddy, bare, a second one", config: "bare.Caddyfile", algs: allAlgs, browser: true},
	{name: "session", title: "Caddy with `oauth`, a browser's session", config: "session.Caddyfile", algs: allAlgs, browser: true, judges: true, gateway: true},
	{name: "claims", title: "the same, with three claims in headers", config: "claims.Caddyfile", algs: allAlgs, browser: true, judges: true, gateway: true},
	{name: "oauth2-proxy", title: "oauth2-proxy", config: "oauth2-proxy.cfg", algs: allAlgs, browser: true, judges: true},
}

// browsers measures sessions: one, and many.
func (b *bench) browsers(ctx context.Context) error {
	of := *b
	if of.kinds = b.choose(ctx, browserKinds); !slices.ContainsFunc(of.kinds, func(k kind) bool { return k.judges }) {
		return errors.New("browsers: nothing that has sessions is left")
	}
	loads := []workload{{alg: "ES256", tokens: 1, browsers: true}}
	if b.references > 1 {
		loads = append(loads, workload{alg: "ES256", tokens: b.references, browsers: true})
	}
	return of.speed(ctx, loads)
}

// cookiesOf are the fields that bare Caddy is sent: those of another candidate.
func cookiesOf(running []*candidate, n int) []string {
	for _, c := range running {
		if c.own != nil {
			return c.own[:n]
		}
	}
	return nil
}

// beginsAt is where a candidate begins a log-in.
var beginsAt = map[string]string{
	"session": "/_oauth/login?return=/", "claims": "/_oauth/login?return=/", "oauth2-proxy": "/oauth2/start?rd=/",
}

// logIn begins n sessions, and proves that they pass where none does not.
func (c *candidate) logIn(ctx context.Context, n int) error {
	own, errs := make([]string, n), make([]error, askers)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	transport := &http.Transport{MaxIdleConnsPerHost: askers}
	defer transport.CloseIdleConnections()
	var wg sync.WaitGroup
	for w := range errs {
		wg.Go(func() {
			for i := w; i < n && errs[w] == nil; i += askers {
				own[i], errs[w] = logIn(ctx, transport, "http://"+c.addr+beginsAt[c.kind.name])
			}
			if errs[w] != nil {
				cancel()
			}
		})
	}
	wg.Wait()
	if err := firstOf(errs); err != nil {
		return fmt.Errorf("logging in: %w: %s", err, c.lastWords())
	}
	c.own = own
	return check(ctx, c, own[0], map[string]string{
		"no session": "", "a changed session": changeLetter(own[0], len(own[0])-20),
	})
}

// logIn follows a log-in from its beginning to the first page, and returns the
// field with the cookies that were set on the way.
func logIn(ctx context.Context, over http.RoundTripper, at string) (string, error) {
	begun, err := url.Parse(at)
	if err != nil {
		return "", err
	}
	cookies := map[string]string{}
	for range 8 {
		next, err := url.Parse(at)
		if err != nil {
			return "", err
		}
		home := next.Host == begun.Host
		if home && next.Path == "/" {
			return cookieField(cookies), nil
		}
		field := ""
		if home {
			field = cookieField(cookies)
		}
		resp, err := visit(ctx, over, at, field)
		if err != nil {
			return "", err
		}
		to, err := resp.Location()
		if err != nil {
			return "", fmt.Errorf("%s was answered %s, without a way on", next.Path, resp.Status)
		}
		for _, set := range resp.Cookies() {
			if cookies[set.Name] = set.Value; set.MaxAge < 0 || set.Value == "" || !set.Expires.IsZero() && set.Expires.Before(time.Now()) {
				delete(cookies, set.Name)
			}
		}
		at = to.String()
	}
	return "", errors.New("a log-in goes in circles")
}

func cookieField(cookies map[string]string) string {
	pairs := make([]string, 0, len(cookies))
	for name, value := range cookies {
		pairs = append(pairs, name+"="+value)
	}
	slices.Sort(pairs)
	return "Cookie: " + strings.Join(pairs, "; ")
}

func visit(ctx context.Context, over http.RoundTripper, at, field string) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, err
	}
	if name, value, ok := strings.Cut(field, ": "); ok && value != "" {
		req.Header.Set(name, value)
	}
	resp, err := over.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp, err
}

// code is what an authorization code stands for.
type code struct{ client, nonce string }

// serveAuthorize logs whoever comes in, without a question.
func (i *tokenIssuer) serveAuthorize(w http.ResponseWriter, r *http.Request) {
	asked := r.URL.Query()
	text := rand.Text()
	i.mu.Lock()
	i.codes[text] = code{client: asked.Get("client_id"), nonce: asked.Get("nonce")}
	i.mu.Unlock()
	answer := url.Values{"code": {text}, "state": {asked.Get("state")}}.Encode()
	w.Header().Set("Location", asked.Get("redirect_uri")+"?"+answer)
	w.WriteHeader(http.StatusFound)
}

// idToken redeems a code.
func (i *tokenIssuer) idToken(text string, subject any, now time.Time) (string, error) {
	i.mu.Lock()
	of, ok := i.codes[text]
	delete(i.codes, text)
	i.mu.Unlock()
	if !ok {
		return "", errors.New("no such code")
	}
	payload := map[string]any{
		"iss": i.url, "sub": subject, "aud": of.client, "iat": now.Unix(), "exp": now.Add(grantedLife).Unix(),
		"email": fmt.Sprint(subject, "@example.com"), "email_verified": true, "groups": []string{"staff", "ops"},
	}
	if of.nonce != "" {
		payload["nonce"] = of.nonce
	}
	return i.signer.signAs("JWT", payload)
}
