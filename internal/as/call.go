package as

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/secret"
)

// callTime bounds one call whose context has no deadline of its own, from
// looking for the endpoint to the answer's last byte.
const callTime = 8 * time.Second

// Fate is what became of the grant that a call presented. When in doubt it is
// Unknown: who takes a grant for unused presents it again, and to a server that
// has seen it that looks like theft.
type Fate uint8

// The fates of a grant.
const (
	Unknown    Fate = iota // sent, and no definite answer
	NotSent                // it did not leave this node: DNS, dial, TLS, no endpoint
	Unconsumed             // the server answered, and did not use it up: 5xx, 429, most 4xx
	BadClient              // invalid_client, or unauthorized_client without a refresh token: the grant was not looked at
	Refused                // invalid_grant, or another definite no to what was to be renewed: it is over
)

func (f Fate) String() string {
	switch f {
	case NotSent:
		return "not_sent"
	case Unconsumed:
		return "unconsumed"
	case BadClient:
		return "bad_client"
	case Refused:
		return "refused"
	}
	return "unknown"
}

// CallError is why a call got no good answer.
type CallError struct {
	Fate   Fate
	Status int // of the answer; 0: there was none
	// Code, Description and URI are those of RFC 6749 §5.2, within its characters
	// and of bounded length, else empty. They may be passed on.
	Code, Description, URI string
	Said                   string        // the description as a log may hold it
	RetryAfter             time.Duration // as the server asks for, bounded; or zero
	Salvaged               secret.Text   // the new refresh token, if it could be read out of a bad answer
	Err                    error         // holds no part of a body or of the form

	encoded bool // Basic had the client's id or secret form-encoded
	odd     bool // about a token: an answer to the question, and none that can be used
}

// Error is for logs. It has the description as they may hold it.
func (e *CallError) Error() string {
	text := e.Err.Error()
	if e.Code != "" {
		text += ": " + e.Code
	}
	if e.Said != "" {
		text += " (" + e.Said + ")"
	}
	if e.encoded && e.Fate == BadClient {
		text += "; the id or the secret has letters that client_secret_basic form-encodes (RFC 6749 §2.3.1): a server that does not decode them wants client_secret_post"
	}
	return text
}

func (e *CallError) Unwrap() error { return e.Err }

// newCaller makes what asks endpoints. Each call has a connection of its own:
// on one that was kept, a grant could be written to a server that is gone, and
// it could not be told whether it was read. And net/http logs what it finds
// behind an answer on a kept connection, which here could be half a token.
// HTTP/2 is left out for the same reason: one connection, many grants.
//
// It is no http.Client: that one follows redirects.
func newCaller(cfg Config) http.RoundTripper {
	if cfg.Transport != nil {
		return cfg.Transport
	}
	return &http.Transport{
		Proxy:       cfg.dialing().proxy,
		DialContext: cfg.dialing().dialer().DialContext,
		TLSClientConfig: &tls.Config{
			RootCAs: cfg.Trust, MinVersion: tls.VersionTLS12,
			ClientSessionCache: tls.NewLRUClientSessionCache(8), // makes new connections cheap
		},
		TLSHandshakeTimeout:    3 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		DisableKeepAlives:      true,
		DisableCompression:     true, // half a compressed answer tells nothing
	}
}

// response is an answer that has come, perhaps not whole.
type response struct {
	endpoint string   // what was asked, for errors
	sent     []string // secrets that were sent
	encoded  bool     // Basic had the client's id or secret form-encoded
	status   int
	after    time.Duration // Retry-After
	body     []byte
	broken   error // why the body is not whole
}

// post asks an endpoint once: no retry, no redirect.
func (s *Server) post(ctx context.Context, client Client, endpoint string, address func(Endpoints) string, form url.Values) (*response, *CallError) {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, callTime)
		defer cancel()
	}
	ends, err := s.Endpoints(ctx)
	if err != nil {
		return nil, &CallError{Fate: NotSent, Err: err}
	}
	target := address(ends)
	if target == "" {
		return nil, &CallError{Fate: NotSent, Err: fmt.Errorf("no %s of %s: %w", endpoint, s.cfg.Issuer, ErrNoEndpoint)}
	}
	return s.send(s.cfg.contextFor(ctx, target, ends.from), client, endpoint, target, ends.AuthMethods, form)
}

// send posts a form to an address, once. offered are the authentication methods
// that the server lists.
func (s *Server) send(ctx context.Context, client Client, endpoint, target string, offered []string, form url.Values) (*response, *CallError) {
	return s.sendFor(ctx, "application/json", client, endpoint, target, offered, form)
}

// sendFor is send for an answer of another type.
func (s *Server) sendFor(ctx context.Context, accept string, client Client, endpoint, target string, offered []string, form url.Values) (*response, *CallError) {
	header := http.Header{
		"Accept":       {accept},
		"Content-Type": {"application/x-www-form-urlencoded"},
		"User-Agent":   {"caddy-oauth"},
	}
	proven, err := s.authenticate(header, form, client, offered)
	if err != nil {
		return nil, &CallError{Fate: NotSent, Err: err}
	}
	text := proven.Encode()
	sent := &body{reader: strings.NewReader(text)}
	// Of this type the body cannot be read a second time, so that net/http
	// cannot send it again.
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, sent)
	if err != nil {
		return nil, &CallError{Fate: NotSent, Err: err}
	}
	req.Header, req.ContentLength = header, int64(len(text))
	res, err := s.caller.RoundTrip(req)
	if err != nil {
		if sent.seal() {
			return nil, &CallError{Fate: NotSent, Err: fmt.Errorf("reaching the %s: %w", endpoint, err)}
		}
		return nil, &CallError{Fate: Unknown, Err: fmt.Errorf("the %s did not answer: %w", endpoint, tame(err))}
	}
	defer res.Body.Close()
	r := s.readResponse(endpoint, res)
	r.sent = secretsOf(proven, client)
	r.encoded = header.Get("Authorization") != "" && client.Encoded()
	return r, nil
}

func (s *Server) readResponse(endpoint string, res *http.Response) *response {
	r := &response{endpoint: endpoint, status: res.StatusCode, after: retryAfter(res.Header.Get("Retry-After"), s.cfg.Now())}
	var err error
	if r.body, err = io.ReadAll(io.LimitReader(res.Body, maxDocument+1)); err != nil {
		r.broken = tame(err)
	}
	if len(r.body) > maxDocument {
		r.body, r.broken = r.body[:maxDocument], fmt.Errorf("more than %d bytes", maxDocument)
	}
	r.body = withoutMark(r.body)
	return r
}

// retryAfter reads RFC 9110 §10.2.3: a number of seconds or a date.
func retryAfter(value string, now time.Time) time.Duration {
	wait, ok := seconds(value)
	if !ok {
		at, err := http.ParseTime(value)
		if err != nil {
			return 0
		}
		wait = at.Sub(now)
	}
	return max(0, min(wait, Ceiling))
}

// body is a form on its way. Whether any of it was taken is what tells "not
// sent" from "unknown", whatever goroutine of net/http is still at work.
type body struct {
	mu     sync.Mutex
	reader *strings.Reader
	taken  bool
	sealed bool
}

var errSealed = errors.New("the call has been given up")

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sealed {
		return 0, errSealed
	}
	b.taken = true
	return b.reader.Read(p)
}

func (b *body) Close() error { return nil }

// seal reports whether nothing of the body was taken, and sees to it that nothing
// will be.
func (b *body) seal() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sealed = true
	return !b.taken
}

// tame answers the part of an error that quotes no server: net/http's errors about
// bad answers have pieces of them in their text.
func tame(err error) error {
	for _, known := range []error{context.DeadlineExceeded, context.Canceled, io.ErrUnexpectedEOF, io.EOF} {
		if errors.Is(err, known) {
			return known
		}
	}
	if network, ok := errors.AsType[net.Error](err); ok {
		return network
	}
	return fmt.Errorf("no HTTP answer (%T)", err)
}
