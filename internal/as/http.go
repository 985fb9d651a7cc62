package as

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxDocument bounds what is read of an answer, in bytes.
const maxDocument = 1 << 20

// answerError is an answer that is of no use; other errors mean that there was
// no answer at all.
type answerError struct {
	address string
	status  int // 0: it was a good one
	err     error
}

func (e *answerError) Error() string { return e.address + ": " + e.err.Error() }
func (e *answerError) Unwrap() error { return e.err }

// statusError is an answer with another status than 200.
type statusError struct {
	status   int
	withheld bool // the bearer token was not shown, since only metadata lead there
}

func (e *statusError) Error() string {
	if e.withheld {
		return fmt.Sprintf("status %d, without the bearer token, which goes to the host of the metadata alone", e.status)
	}
	return fmt.Sprintf("status %d", e.status)
}

// Guarded reports whether metadata or keys were asked for and not shown, for lack
// of a credential or of rights.
func Guarded(err error) bool {
	answer, ok := errors.AsType[*statusError](err)
	return ok && (answer.status == http.StatusUnauthorized || answer.status == http.StatusForbidden)
}

func newClient(cfg Config) *http.Client {
	transport := cfg.Transport
	if transport == nil {
		transport = &http.Transport{
			Proxy:                  cfg.dialing().proxy,
			DialContext:            cfg.dialing().dialer().DialContext,
			TLSClientConfig:        &tls.Config{RootCAs: cfg.Trust, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    3 * time.Second,
			IdleConnTimeout:        10 * time.Second, // fetches are minutes apart
			MaxResponseHeaderBytes: 64 << 10,
			ForceAttemptHTTP2:      true,
		}
	}
	return &http.Client{Transport: transport, CheckRedirect: sameHost}
}

// sameHost keeps redirects with the host that was asked: it is the one that is
// trusted.
func sameHost(next *http.Request, via []*http.Request) error {
	first := via[0].URL
	if next.URL.Host != first.Host || next.URL.Scheme != first.Scheme {
		return fmt.Errorf("a redirect to another host, %s", next.URL.Host)
	}
	if len(via) > 3 {
		return errors.New("too many redirects")
	}
	return nil
}

// get reads a document of JSON.
func (s *Server) get(ctx context.Context, address string) (doc []byte, fresh time.Duration, err error) {
	return s.read(ctx, address, "application/json", maxDocument)
}

// read reads a document of bounded size; only status 200 counts. fresh is how
// long it may be used before it is asked for again.
func (s *Server) read(ctx context.Context, address, accept string, most int64) (doc []byte, fresh time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("User-Agent", "caddy-oauth")
	shown := s.cfg.Bearer != nil && s.shows(ctx, address)
	if shown {
		bearer, err := s.cfg.Bearer()
		if err != nil {
			return nil, 0, err
		}
		req.Header.Set("Authorization", "Bearer "+bearer.Reveal())
	}
	res, err := s.client.Do(req)
	if err != nil && res != nil {
		return nil, 0, &answerError{address: address, status: res.StatusCode, err: err} // a redirect that is not followed
	}
	if err != nil {
		return nil, 0, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, 0, &answerError{address: address, status: res.StatusCode, err: &statusError{res.StatusCode, s.cfg.Bearer != nil && !shown}}
	}
	doc, err = io.ReadAll(io.LimitReader(res.Body, most+1))
	if err != nil {
		return nil, 0, fmt.Errorf("%s: reading the answer: %w", address, err)
	}
	if int64(len(doc)) > most {
		return nil, 0, &answerError{address: address, err: fmt.Errorf("more than %d bytes", most)}
	}
	return withoutMark(doc), freshness(res.Header, s.cfg.Now()), nil
}

// withoutMark takes a byte order mark away, which readers of JSON may ignore
// (RFC 8259 §8.1).
func withoutMark(doc []byte) []byte { return bytes.TrimPrefix(doc, []byte("\ufeff")) }

// freshness is how long an answer stays fresh (RFC 9111 §4.2), within Floor and
// Ceiling. Answers that say nothing, or forbid caching, get the usual time:
// polling an issuer each moment would be of no use.
func freshness(h http.Header, now time.Time) time.Duration {
	life := time.Duration(0)
	for directive := range strings.SplitSeq(strings.ToLower(strings.Join(h.Values("Cache-Control"), ",")), ",") {
		directive = strings.TrimSpace(directive)
		if directive == "no-store" || directive == "no-cache" {
			return Usual
		}
		if age, is := strings.CutPrefix(directive, "max-age="); is {
			n, ok := seconds(strings.Trim(age, `"`))
			if !ok || n == 0 {
				return Usual
			}
			life = n
		}
	}
	if life == 0 {
		expires, err := http.ParseTime(h.Get("Expires"))
		if date, err := http.ParseTime(h.Get("Date")); err == nil {
			now = date // both by the server's clock, and before any cache added to Age
		}
		if err != nil || !expires.After(now) {
			return Usual
		}
		life = expires.Sub(now)
	}
	// Ceiling comes last: a cache in front of the issuer may hold an answer for
	// longer than that and it is still fresh.
	if age, ok := seconds(h.Get("Age")); ok {
		life -= age
	}
	return max(Floor, min(life, Ceiling))
}

// seconds reads RFC 9111's delta-seconds, where a number too large to hold
// means a very long time (§1.2.2).
func seconds(text string) (time.Duration, bool) {
	n, err := strconv.ParseUint(text, 10, 31)
	return time.Duration(n) * time.Second, err == nil || errors.Is(err, strconv.ErrRange)
}

// CheckURL reports whether an address of an issuer may be asked: https, or plain
// http on a loopback address or where the operator allows it.
func CheckURL(address string, allowHTTP bool) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Scheme == "":
		return fmt.Errorf("%.200q is not an absolute URL", address)
	case u.User != nil || u.Fragment != "":
		return fmt.Errorf("%.200q has a user or a fragment in it", address)
	case u.Scheme == "https" || u.Scheme == "http" && (allowHTTP || loopback(u.Hostname())):
		return nil
	case u.Scheme == "http":
		return fmt.Errorf("%.200q is plain http; use https, or insecure_http in an issuer block to take the risk", address)
	}
	return fmt.Errorf("%.200q is not https", address)
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
