package as

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/secret"
)

// guarded shows a document to who brings a bearer token.
func guarded(bearer string, then answer) answer {
	return func(r *http.Request) (*http.Response, error) {
		if r.Header.Get("Authorization") != "Bearer "+bearer {
			return reply(403, `{"kind":"Status","reason":"Forbidden"}`)(r)
		}
		return then(r)
	}
}

func TestABearerTokenIsReadForEachFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		var current atomic.Value // of text
		current.Store("first")
		issuer.set(formRFC, guarded("first", metadata(issuerURL, keysURL)))
		issuer.set(keysURL, guarded("first", serve(keyA)))
		s, _ := ready(t, issuer, func(c *Config) {
			c.Bearer = func() (secret.Text, error) { return secret.New(current.Load().(string)), nil }
		})
		issuer.set(formRFC, guarded("second", metadata(issuerURL, keysURL)))
		issuer.set(keysURL, guarded("second", serve(keyA, keyB)))
		current.Store("second")
		time.Sleep(2 * Usual)
		synctest.Wait()
		if status := s.Status(); status.Err != nil || status.Keys != 2 {
			t.Errorf("after the token had changed: %+v", status)
		}
		current.Store("third")
		time.Sleep(2 * Usual)
		synctest.Wait()
		if err := s.Status().Err; !Guarded(err) || strings.Contains(err.Error(), "third") {
			t.Errorf("with a wrong token: %v", err)
		}
	})
}

func TestWithoutItsBearerTokenNoRequestIsSent(t *testing.T) {
	issuer := newIssuer()
	gone := errors.New("no such file")
	s := newServer(t, issuer, func(c *Config) {
		c.Bearer = func() (secret.Text, error) { return secret.Text{}, gone }
	})
	if _, err := s.Keys(t.Context()); !errors.Is(err, gone) {
		t.Error(err)
	}
	if asked := issuer.urls(); len(asked) > 0 {
		t.Error("asked", asked)
	}
}

// The metadata of Kubernetes name the keys at a node's address.
func TestABearerTokenGoesToAddressesOfTheConfigurationAndToTheHostOfTheMetadata(t *testing.T) {
	const elsewhere = "https://10.0.0.7:6443/openid/v1/jwks"
	for name, row := range map[string]struct {
		change func(*Config)
		shown  []string // who sees the token
		hidden string
	}{
		"metadata at the issuer":         {func(*Config) {}, []string{formRFC, formEnd}, elsewhere},
		"keys by their own address":      {func(c *Config) { c.JWKS = elsewhere }, []string{elsewhere}, ""},
		"keys and metadata by their own": {func(c *Config) { c.JWKS, c.Metadata = elsewhere, formEnd }, []string{formEnd, elsewhere}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			issuer := newIssuer()
			var mu sync.Mutex // places of metadata are asked at once
			var shown []string
			for _, address := range []string{formRFC, formEnd, elsewhere} {
				then := metadata(issuerURL, elsewhere)
				if address == elsewhere {
					then = serve(keyA)
				}
				issuer.set(address, func(r *http.Request) (*http.Response, error) {
					if r.Header.Get("Authorization") == "Bearer pod-token" {
						mu.Lock()
						defer mu.Unlock()
						shown = append(shown, address)
						return then(r)
					}
					return reply(401, "")(r)
				})
			}
			r := probed(t, issuer, func(c *Config) {
				c.Bearer = func() (secret.Text, error) { return secret.New("pod-token"), nil }
				row.change(c)
			})
			if slices.Sort(shown); !slices.Equal(shown, slices.Sorted(slices.Values(row.shown))) {
				t.Errorf("shown to %q", shown)
			}
			if row.hidden == "" && r.KeysErr != nil {
				t.Error(r.KeysErr)
			}
			if row.hidden != "" && (!Guarded(r.KeysErr) || !strings.Contains(r.KeysErr.Error(), "the host of the metadata alone")) {
				t.Error(r.KeysErr)
			}
		})
	}
}

func TestARedirectToAnotherHostDoesNotGetTheBearerToken(t *testing.T) {
	issuer := newIssuer()
	issuer.set(keysURL, reply(302, "", "Location", "https://evil.example/keys"))
	issuer.set("https://evil.example/keys", serve(keyA))
	r := probed(t, issuer, func(c *Config) {
		c.JWKS, c.Bearer = keysURL, func() (secret.Text, error) { return secret.New("pod-token"), nil }
	})
	if asked := issuer.urls(); r.KeysErr == nil || !slices.Equal(asked, []string{keysURL}) {
		t.Errorf("%v, asked %q", r.KeysErr, asked)
	}
}

func TestKeysOfTheirOwnAddressGoWithEndpointsOfTheMetadata(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		const keys = "https://keys.example/jwks"
		issuer.set(keys, serve(keyA))
		issuer.set(formEnd, reply(200, `{"issuer":"`+issuerURL+`","jwks_uri":"http://127.0.0.1:2019/","token_endpoint":"`+tokenURL+`"}`))
		own := func(c *Config) { c.JWKS, c.Metadata = keys, formEnd }
		s, _ := ready(t, issuer, own)
		if ends, err := s.Endpoints(t.Context()); err != nil || ends.Token != tokenURL {
			t.Errorf("%+v, %v", ends, err)
		}
		if asked := issuer.urls(); !slices.Equal(asked, []string{formEnd, keys}) {
			t.Errorf("asked %q", asked)
		}

		issuer.set(formEnd, reply(500, ""))
		var told []error
		again := newServer(t, issuer, own)
		again.Attach(Env{Observe: func(e Event) {
			if e.Op == OpMetadata {
				told = append(told, e.Err)
			}
		}})
		if _, err := again.Keys(t.Context()); err != nil {
			t.Errorf("without metadata there are no keys either: %v", err)
		}
		synctest.Wait()
		if len(told) != 1 || told[0] == nil {
			t.Errorf("told %v", told)
		}
		issuer.set(formEnd, endpointMetadata(`"token_endpoint":"`+tokenURL+`"`))
		time.Sleep(Floor)
		if ends, err := again.Endpoints(t.Context()); err != nil || ends.Token != tokenURL {
			t.Errorf("when the metadata are back: %+v, %v", ends, err)
		}
	})
}

func TestEndpointsThatTheOperatorNamesComeFirst(t *testing.T) {
	named := Named{Authorization: "https://login.example.com/a", Token: "https://login.example.com/own", UserInfo: "https://u.example/me", EndSession: "https://login.example.com/out"}
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		issuer.set(formRFC, endpointMetadata(`"token_endpoint":"http://127.0.0.1:2019/load","userinfo_endpoint":"https://x.example/","revocation_endpoint":"https://b.example/r"`))
		s := newServer(t, issuer, func(c *Config) { c.Named = named })
		ends, err := s.Endpoints(t.Context())
		if err != nil || ends.Authorization != named.Authorization || ends.Token != named.Token || ends.UserInfo != named.UserInfo ||
			ends.EndSession != named.EndSession || ends.Revocation != "https://b.example/r" || len(ends.Refused) > 0 {
			t.Errorf("%+v, %v", ends, err)
		}
	})
	issuer := newIssuer()
	issuer.set(named.Token, reply(200, `{"access_token":"at","token_type":"Bearer"}`))
	s := newServer(t, issuer, func(c *Config) { c.JWKS, c.Named = keysURL, named })
	if ends, err := s.Endpoints(t.Context()); err != nil || ends.Token != named.Token || ends.Revocation != "" {
		t.Errorf("without metadata: %+v, %v", ends, err)
	}
	if _, err := s.Token(t.Context(), public, refreshing); err != nil {
		t.Error(err)
	}
	if asked := issuer.urls(); !slices.Equal(asked, []string{named.Token}) {
		t.Errorf("asked %q", asked)
	}
}

// Metadata from routableZone lead to no loopback address; the operator's own words do.
func TestAnEndpointThatTheOperatorNamesIsAskedWhereverItIs(t *testing.T) {
	for _, own := range []bool{false, true} {
		cfg := Config{Issuer: issuerURL, Now: time.Now}
		if own {
			cfg.Named.Token = "http://127.0.0.1:9/token"
		}
		_, _, err := Reach(t.Context(), cfg, &Endpoints{from: routableZone}, "http://127.0.0.1:9/token")
		if err == nil || LedToForbiddenAddress(err) == own {
			t.Errorf("named by the operator %t: %v", own, err)
		}
	}
}

func TestANameThatIsNoAddressIsComparedWithThatOfTheMetadata(t *testing.T) {
	const elsewhere = "https://meta.example/m"
	for _, name := range []string{"my-issuer", "urn:example:issuer", "http://auth.corp.example/realms/a?p=1"} {
		issuer := newIssuer()
		issuer.set(elsewhere, metadata(name, keysURL))
		if r := probed(t, issuer, func(c *Config) { c.Issuer, c.Metadata = name, elsewhere }); r.KeysErr != nil || r.Keys.Len() != 1 {
			t.Errorf("%s: %+v", name, r)
		}
		if r := probed(t, issuer, func(c *Config) { c.Issuer, c.Metadata = name+"x", elsewhere }); r.Metadata != "" {
			t.Errorf("%s: taken for another name", name)
		}
	}
}

// The name of AD FS in access tokens is none that its metadata have.
func TestMetadataWhoseAccessTokensNameTheIssuerSayWhatToWrite(t *testing.T) {
	issuer := newIssuer()
	issuer.set(formEnd, reply(200, `{"issuer":"`+issuerURL+`","access_token_issuer":"http://adfs.example/trust","jwks_uri":"`+keysURL+`"}`))
	r := probed(t, issuer, func(c *Config) { c.Issuer, c.Metadata = "http://adfs.example/trust", formEnd })
	if len(r.Forms) != 1 || r.Forms[0].Err == nil || !strings.Contains(r.Forms[0].Err.Error(), "write issuer "+issuerURL+" { access_token_issuer http://adfs.example/trust }") {
		t.Errorf("%+v", r.Forms)
	}
}

// A name that only looks like an address on loopback is not the operator's word
// for asking there.
func TestANameOnPlainHTTPLeadsNowhere(t *testing.T) {
	s := New(Config{Issuer: "http://127.0.0.1/trust", Metadata: "https://login.example.com/metadata"})
	defer s.Close()
	if err := s.checkDiscovered("http://127.0.0.1:2019/load"); err == nil {
		t.Error("the admin endpoint may be asked")
	}
}
