package streams

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
)

// IDHeader names an exchange to the upstream that is told of renewals: in the request
// that opens it, and in those that tell. No client can set it.
const IDHeader = "Oauth-Stream-Id"

const (
	tellWithin = 10 * time.Second // the upstream answers
	mostAnswer = 64 << 10         // of an answer's body is read, and thrown away
)

// told is an exchange as its upstream is told of it.
type told struct {
	id   string
	next caddyhttp.Handler
	// Of the request that opened it: what a proxy chooses the upstream by, and says of
	// the client.
	server *caddyhttp.Server
	host   string
	remote string
	client string // its address, where a proxy in front says it
	cookie string
	tls    *tls.ConnectionState

	token string // that the upstream has; while it is looked at

	mu   sync.Mutex
	news *Judged // to be told; nil: nothing is
}

// newTold gives an exchange its name, which r takes to the upstream.
func newTold(r *http.Request, token string, next caddyhttp.Handler) *told {
	t := &told{
		id: rand.Text(), next: next, host: r.Host, remote: r.RemoteAddr, tls: r.TLS, token: token,
		cookie: strings.Join(r.Header["Cookie"], "; "),
	}
	t.server, _ = r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool); trusted {
		t.client, _ = caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	}
	r.Header[IDHeader] = []string{t.id}
	return t
}

// renewed has the upstream told, in the background, where there is another token. Of
// several it is told the last one.
func (x *exchange) renewed(by Judged) {
	t := x.told
	if t == nil || by.Found.Token == t.token {
		return
	}
	t.token = by.Found.Token
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.news == nil {
		x.room.tell.add(x.tell)
	}
	t.news = &by
}

// tell tells the upstream. What fails is told no more before the next renewal, and
// ends nothing.
func (x *exchange) tell() {
	t := x.told
	t.mu.Lock()
	by := *t.news
	t.news = nil
	t.mu.Unlock()
	x.mu.Lock()
	gone := x.gone
	x.mu.Unlock()
	if gone || x.over.Load() {
		return
	}
	m := x.room
	status, err := m.post(t, by)
	outcome := telemetry.RenewalTold
	switch {
	case err != nil:
		outcome = telemetry.RenewalUntold
	case status < 200 || status > 299:
		outcome, err = telemetry.RenewalRefused, fmt.Errorf("it answered %d", status)
	}
	telemetry.Metrics.StreamRenewed(outcome)
	if err == nil {
		m.untold.Store(false)
	} else if !m.untold.Swap(true) {
		m.Log.Warn("the upstream was not told that the token of an open exchange was renewed; until it is again, this is not repeated",
			zap.String("path", m.renewalPath), zap.Error(err))
	}
}

var errNoAnswer = errors.New("nothing behind the gateway has answered")

// post sends what stands behind the gateway a request with what the exchange is let
// go on by.
func (m *Room) post(t *told, by Judged) (status int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), tellWithin)
	defer cancel()
	raw := &http.Request{
		Method: http.MethodPost, URL: &url.URL{Path: m.renewalPath}, RequestURI: m.renewalPath, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: http.NoBody, Host: t.host, RemoteAddr: t.remote, TLS: t.tls,
	}
	if host, _, err := net.SplitHostPort(t.remote); t.client != "" && (err != nil || host != t.client) {
		raw.Header["X-Forwarded-For"] = []string{t.client}
	}
	if t.cookie != "" {
		raw.Header["Cookie"] = []string{t.cookie}
	}
	w := &sink{header: http.Header{}, left: mostAnswer}
	r := caddyhttp.PrepareRequest(raw.WithContext(ctx), caddy.NewReplacer(), w, t.server)
	if err := m.Dress(r, by); err != nil {
		return 0, err
	}
	r.Header[IDHeader] = []string{t.id}
	err = try(t.next, w, r)
	failed, is := errors.AsType[caddyhttp.HandlerError](err)
	switch {
	case w.status != 0: // the rest is of no interest
		return w.status, nil
	case is && failed.StatusCode != 0 && failed.Err == nil:
		return failed.StatusCode, nil
	case err == nil:
		err = errNoAnswer
	}
	return 0, err
}

// try keeps a handler's panic, with which the proxy gives up, from ending the process:
// there is no server around it here.
func try(next caddyhttp.Handler, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		if lost := recover(); lost != nil {
			err = fmt.Errorf("a handler has given up: %v", lost)
		}
	}()
	return next.ServeHTTP(w, r)
}

// sink takes an answer's status, and no more.
type sink struct {
	header http.Header
	status int
	left   int
}

func (s *sink) Header() http.Header { return s.header }

func (s *sink) WriteHeader(status int) {
	if s.status == 0 && status >= http.StatusOK {
		s.status = status
	}
}

func (s *sink) Write(p []byte) (int, error) {
	s.WriteHeader(http.StatusOK)
	if s.left -= len(p); s.left < 0 {
		return 0, errors.New("the answer is too long")
	}
	return len(p), nil
}
