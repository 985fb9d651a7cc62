package as

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// wire is an issuer behind a real socket. Its paths answer as handle says,
// else with good metadata and keys.
type wire struct {
	*httptest.Server
	trust *x509.CertPool
	asked atomic.Int64
}

func newWire(t *testing.T, handle map[string]http.HandlerFunc) *wire {
	w := &wire{trust: x509.NewCertPool()}
	w.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.asked.Add(1)
		switch serve := handle[r.URL.Path]; {
		case serve != nil:
			serve(rw, r)
		case r.URL.Path == "/.well-known/oauth-authorization-server":
			fmt.Fprintf(rw, `{"issuer":%q,"jwks_uri":%q}`, w.URL, w.URL+"/keys")
		case r.URL.Path == "/keys":
			_, _ = rw.Write(publishedA)
		default:
			http.NotFound(rw, r)
		}
	}))
	w.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes fail on purpose
	t.Cleanup(w.Close)
	return w
}

func servePlain(t *testing.T, handle map[string]http.HandlerFunc) *wire {
	w := newWire(t, handle)
	w.Start()
	return w
}

func serveTLS(t *testing.T, handle map[string]http.HandlerFunc) *wire {
	w := newWire(t, handle)
	w.EnableHTTP2 = true
	w.StartTLS()
	w.trust.AddCert(w.Certificate())
	return w
}

// dial is a server that really dials.
func dial(t *testing.T, w *wire, options ...func(*Config)) *Server {
	return newServer(t, nil, append([]func(*Config){func(c *Config) { c.Issuer = w.URL }}, options...)...)
}

// firstError is what the first fetch says, and no keys with it.
func firstError(t *testing.T, s *Server) error {
	t.Helper()
	set, err := s.Keys(t.Context())
	if set != nil || !isUnavailable(err) {
		t.Fatalf("set %v, error %v; want *Unavailable", set, err)
	}
	return err
}

func TestTheTrustPoolDecidesWhichIssuerIsBelieved(t *testing.T) {
	w := serveTLS(t, nil)
	set, err := dial(t, w, func(c *Config) { c.Trust = w.trust }).Keys(t.Context())
	if err != nil || set.Len() != 1 {
		t.Errorf("with its authority in the pool: %v", err)
	}
	asked := w.asked.Load()
	for name, pool := range map[string]*x509.CertPool{"the system's": nil, "an empty one": x509.NewCertPool()} {
		err := firstError(t, dial(t, w, func(c *Config) { c.Trust = pool }))
		if _, ok := errors.AsType[x509.UnknownAuthorityError](err); !ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := w.asked.Load(); n != asked {
		t.Errorf("%d requests reached an issuer that is not trusted", n-asked)
	}
}

func TestAnAnswerOfUpToOneMegabyteIsReadAndNoMore(t *testing.T) {
	for name, c := range map[string]struct {
		size   int
		passes bool
	}{"just within": {maxDocument, true}, "one byte more": {maxDocument + 1, false}, "without an end": {1 << 40, false}} {
		t.Run(name, func(t *testing.T) {
			var sent atomic.Int64
			w := servePlain(t, map[string]http.HandlerFunc{"/keys": func(rw http.ResponseWriter, r *http.Request) {
				_, _ = rw.Write(publishedA)
				pad := strings.Repeat(" ", 64<<10)
				for left := c.size - len(publishedA); left > 0; left -= len(pad) {
					n, err := io.WriteString(rw, pad[:min(left, len(pad))])
					sent.Add(int64(n))
					if err != nil {
						return
					}
				}
			}})
			s := dial(t, w)
			if c.passes {
				if _, err := s.Keys(t.Context()); err != nil {
					t.Error(err)
				}
				return
			}
			if err := firstError(t, s); !strings.Contains(err.Error(), "more than") {
				t.Errorf("the error does not say what is wrong: %v", err)
			}
			if n := sent.Load(); n > 64<<20 {
				t.Errorf("%d bytes went out", n)
			}
		})
	}
}

func TestRedirectsStayWithTheHost(t *testing.T) {
	const rfc, oidc = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"
	elsewhere := servePlain(t, nil)
	for name, c := range map[string]struct {
		from, to string
		passes   bool
	}{
		"keys on the same host":        {"/keys", "/moved", true},
		"keys on another host":         {"/keys", elsewhere.URL + "/keys", false},
		"keys on another port's name":  {"/keys", strings.Replace(elsewhere.URL, "127.0.0.1", "localhost", 1) + "/keys", false},
		"keys in a circle":             {"/keys", "/keys", false},
		"metadata on the same host":    {rfc, "/metadata", true},
		"metadata on another host":     {rfc, elsewhere.URL + rfc, true}, // that form counts as none, and the next one answers
		"metadata that want a log-in":  {rfc, "https://login.invalid/", true},
		"keys over another scheme":     {"/keys", "https", false},
		"keys of a file of the server": {"/keys", "file:///etc/passwd", false},
	} {
		t.Run(name, func(t *testing.T) {
			var w *wire
			w = servePlain(t, map[string]http.HandlerFunc{
				c.from: func(rw http.ResponseWriter, r *http.Request) {
					to := c.to
					if to == "https" {
						to = strings.Replace(w.URL, "http:", "https:", 1) + "/keys"
					}
					http.Redirect(rw, r, to, http.StatusFound)
				},
				"/moved": func(rw http.ResponseWriter, r *http.Request) { _, _ = rw.Write(publishedA) },
				"/metadata": func(rw http.ResponseWriter, r *http.Request) {
					fmt.Fprintf(rw, `{"issuer":%q,"jwks_uri":%q}`, w.URL, w.URL+"/keys")
				},
				oidc: func(rw http.ResponseWriter, r *http.Request) {
					fmt.Fprintf(rw, `{"issuer":%q,"jwks_uri":%q}`, w.URL, w.URL+"/keys")
				},
			})
			s := dial(t, w)
			if c.passes {
				if set, err := s.Keys(t.Context()); err != nil || set.Len() != 1 {
					t.Error(err)
				}
			} else {
				firstError(t, s)
			}
			if w.asked.Load() > 8 || elsewhere.asked.Load() > 0 {
				t.Errorf("%d requests here and %d elsewhere", w.asked.Load(), elsewhere.asked.Load())
			}
		})
	}
}

func TestAServerThatHangsIsLeftAfterTheTimeLimit(t *testing.T) {
	var all sync.WaitGroup // it takes the real five seconds, once
	for name, serve := range map[string]http.HandlerFunc{
		"before the header": func(rw http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"within the body": func(rw http.ResponseWriter, r *http.Request) {
			_, _ = rw.Write(publishedA[:10])
			_ = http.NewResponseController(rw).Flush()
			<-r.Context().Done()
		},
		"a byte at a time": func(rw http.ResponseWriter, r *http.Request) {
			for _, b := range publishedA {
				select {
				case <-time.After(200 * time.Millisecond):
				case <-r.Context().Done():
					return
				}
				_, _ = rw.Write([]byte{b})
				_ = http.NewResponseController(rw).Flush()
			}
		},
	} {
		all.Go(func() {
			s := dial(t, servePlain(t, map[string]http.HandlerFunc{"/keys": serve}))
			began := time.Now()
			_, err := s.Keys(t.Context())
			if took := time.Since(began); !isUnavailable(err) || took < attempt || took > 4*attempt {
				t.Errorf("%s: %v after %s, want *Unavailable after %s", name, err, took, attempt)
			}
		})
	}
	all.Wait()
}

func TestAClosedPortIsKnownAtOnce(t *testing.T) {
	w := servePlain(t, nil)
	w.Close()
	began := time.Now()
	firstError(t, dial(t, w))
	if took := time.Since(began); took >= attempt {
		t.Errorf("took %s", took)
	}
}

func TestAnAnswerCutOffOnTheWireIsNone(t *testing.T) {
	w := servePlain(t, map[string]http.HandlerFunc{"/keys": func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Length", fmt.Sprint(len(publishedA)+1)) // all that matters came, and then the line broke
		_, _ = rw.Write(publishedA)
	}})
	if err := firstError(t, dial(t, w)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}
