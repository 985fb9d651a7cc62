package as

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/token"
)

// Report is what a look at an authorization server found.
type Report struct {
	Forms     []Form // places of the metadata that were asked, in order
	Metadata  string // the one that answered well; "": none, or none is needed
	Endpoints *Endpoints
	KeysURL   string
	Keys      *token.KeySet
	Skipped   []token.Skipped
	KeysErr   error    // why there are no keys
	Differ    []string // where the documents of two places contradict each other

	Certificates []Certificate // of each server that was asked over TLS
	// Clock is how far the server's clock is ahead of ours, to about a second.
	Clock      time.Duration
	ClockKnown bool
}

// Form is one place where metadata may be.
type Form struct {
	URL string
	Err error
}

// Certificate is the one that ends first of those a server showed.
type Certificate struct {
	Host, Subject string
	NotAfter      time.Time
}

// Probe looks at an authorization server once, as a Server would, and tells
// what there was to see. It keeps nothing.
func Probe(ctx context.Context, cfg Config) *Report {
	watch := &watcher{now: cfg.Now, inner: newClient(cfg).Transport}
	cfg.Transport = watch
	s := New(cfg)
	defer s.Close()
	defer watch.close()
	report := &Report{KeysURL: cfg.JWKS}
	if report.Endpoints = s.endpoints.Load(); cfg.hasMetadata() {
		s.probeMetadata(ctx, report)
	}
	if report.KeysURL != "" {
		doc, _, err := s.getKeys(ctx)
		if err == nil {
			report.Keys, report.Skipped, err = token.ParseKeySet(doc, s.signingAlgorithms()...)
		}
		report.KeysErr = err
	}
	watch.mu.Lock()
	defer watch.mu.Unlock()
	report.Certificates, report.Clock, report.ClockKnown = watch.certificates, watch.clock, watch.dated
	return report
}

func (s *Server) probeMetadata(ctx context.Context, report *Report) {
	places, err := s.places()
	if err != nil {
		report.Forms = []Form{{s.cfg.Issuer, err}}
		return
	}
	found := s.ask(ctx, places)
	err = s.adopt(found)
	for _, v := range distinct(found) {
		report.Forms = append(report.Forms, Form{v.address, v.err})
		if v.doc != nil && report.Metadata == "" {
			report.Metadata = v.address
		}
	}
	report.Endpoints, report.Differ = s.endpoints.Load(), s.differ
	if s.cfg.JWKS == "" {
		report.KeysURL = s.keysURL
	}
	if err != nil && report.Metadata != "" {
		report.KeysErr = err // all is well but for the keys
	}
}

// Reach asks an address of an authorization server without credentials, to see
// whether a server answers there. Any answer will do. The address is one of
// ends.
func Reach(ctx context.Context, cfg Config, ends *Endpoints, address string) (status int, certificates []Certificate, err error) {
	watch := &watcher{now: cfg.Now, inner: newClient(cfg).Transport}
	defer watch.close()
	req, err := http.NewRequestWithContext(cfg.contextFor(ctx, address, ends.from), http.MethodHead, address, nil)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("User-Agent", "caddy-oauth")
	res, err := watch.RoundTrip(req)
	if err != nil {
		return 0, nil, err
	}
	_ = res.Body.Close()
	return res.StatusCode, watch.certificates, nil
}

// FetchResource reads the metadata of a protected resource (RFC 9728 §3.2), and
// answers the resource that they are about.
func FetchResource(ctx context.Context, cfg Config, address string) (resource string, err error) {
	cfg.Bearer = nil // that is for the issuer
	s := New(cfg)
	defer s.Close()
	ctx, _ = allowAnyAddress(ctx, s.cfg.dialing().zone)
	doc, _, err := s.get(ctx, address)
	if err != nil {
		return "", err
	}
	members, err := token.ParseObject(string(doc))
	if err != nil {
		return "", &answerError{address: address, err: err}
	}
	resource, _ = members["resource"].(string)
	return resource, nil
}

// Answered tells an answer that is of no use from none at all.
func Answered(err error) bool {
	_, answered := errors.AsType[*answerError](err)
	return answered
}

// OtherIssuer is the issuer that metadata name instead of the one configured,
// or "".
func OtherIssuer(err error) string {
	if other, ok := errors.AsType[*otherIssuerError](err); ok {
		return other.found
	}
	return ""
}

// watcher notes what answers say beside their bodies.
type watcher struct {
	inner http.RoundTripper
	now   func() time.Time

	mu           sync.Mutex
	certificates []Certificate
	clock        time.Duration
	dated        bool
}

func (w *watcher) RoundTrip(r *http.Request) (*http.Response, error) {
	began := w.now()
	res, err := w.inner.RoundTrip(r)
	if err != nil {
		return res, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if date, err := http.ParseTime(res.Header.Get("Date")); err == nil && res.Header.Get("Age") == "" {
		// A Date is cut to the second, and belongs somewhere between question
		// and answer.
		asked := began.Add(w.now().Sub(began) / 2)
		w.clock, w.dated = date.Add(500*time.Millisecond).Sub(asked), true
	}
	if res.TLS != nil {
		w.note(r.URL, res)
	}
	return res, nil
}

func (w *watcher) note(asked *url.URL, res *http.Response) {
	if slices.ContainsFunc(w.certificates, func(c Certificate) bool { return c.Host == asked.Host }) {
		return
	}
	if len(res.TLS.VerifiedChains) == 0 {
		return
	}
	found := Certificate{Host: asked.Host}
	for _, one := range res.TLS.VerifiedChains[0] {
		if found.NotAfter.IsZero() || one.NotAfter.Before(found.NotAfter) {
			found.Subject, found.NotAfter = one.Subject.String(), one.NotAfter
		}
	}
	w.certificates = append(w.certificates, found)
}

func (w *watcher) close() {
	if idle, ok := w.inner.(interface{ CloseIdleConnections() }); ok {
		idle.CloseIdleConnections()
	}
}
