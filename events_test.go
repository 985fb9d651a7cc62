package caddyoauth

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/jwssign"
)

// notetaker is an event handler of a configuration that writes down what it hears.
type notetaker struct{}

var heard struct {
	sync.Mutex
	events []caddy.Event
}

func init() { caddy.RegisterModule(notetaker{}) }

func (notetaker) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.notetaker", New: func() caddy.Module { return new(notetaker) }}
}
func (notetaker) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { d.Next(); return nil }
func (notetaker) Handle(_ context.Context, e caddy.Event) error {
	heard.Lock()
	defer heard.Unlock()
	heard.events = append(heard.events, e)
	return nil
}

// hears awaits an event about an issuer.
func hears(t *testing.T, name, issuer string) (found caddy.Event) {
	t.Helper()
	await(t, name, func() bool {
		heard.Lock()
		defer heard.Unlock()
		for _, e := range heard.events {
			if e.Name() == name && e.Data["issuer"] == issuer {
				found = e
				return true
			}
		}
		return false
	})
	return found
}

// withEvents makes the notetaker hear all of our events.
func withEvents(config string) string {
	return strings.Replace(config, "grace_period 1s", "grace_period 1s\n\tevents {\n\t\ton oauth_keys_rotated notetaker\n\t\ton oauth_issuer_down notetaker\n\t\ton oauth_issuer_up notetaker\n\t\ton oauth_renewal_failed notetaker\n\t}", 1)
}

func TestCaddysEventsTellOfRotationAndOfAnIssuerThatGoesAndComes(t *testing.T) {
	first, second := benchKey(t, "EdDSA"), benchKey(t, "ES256")
	issuer := newTestIssuer(t, first)
	h := newDeployment(t)
	load(t, withEvents(site(t, h.port, issuer.URL, "")))
	h.ask(http.MethodGet, "/", "", "Authorization", "Bearer "+issuer.token(t))
	fetch := func() error {
		_, _, err := issuers.Fetch(t.Context(), issuer.URL)
		return err
	}
	address := issuer.Listener.Addr().String()

	issuer.Close()
	if fetch() == nil {
		t.Fatal("it was fetched from a closed issuer")
	}
	down := hears(t, "oauth_issuer_down", issuer.URL)
	if text, _ := down.Data["error"].(string); !strings.Contains(text, "refused") {
		t.Errorf("%+v", down.Data)
	}
	revive(t, address, issuer.URL, first, second)
	await(t, "the next fetch to go well", func() bool { return fetch() == nil })
	hears(t, "oauth_issuer_up", issuer.URL)
	rotated := hears(t, "oauth_keys_rotated", issuer.URL)
	if fmt.Sprint(rotated.Data["added"]) != "["+second.ID+"]" || len(rotated.Data["removed"].([]string)) != 0 || rotated.Data["keys"] != 2 {
		t.Errorf("%+v", rotated.Data)
	}
}

func TestCaddysEventsTellOfARenewalThatFailed(t *testing.T) {
	h := newDeployment(t)
	load(t, withEvents(h.config("")))
	_, _, body := h.ask(http.MethodPost, "/auth", "grant_type=client_credentials", append(basic(h.client, "s"), "Content-Type", formType)...)
	_, rest, _ := strings.Cut(body, `"access_token":"`)
	access, _, _ := strings.Cut(rest, `"`)
	h.issuer.says(http.StatusBadRequest, `{"error":"invalid_grant"}`)
	h.skip(accessLife)
	if status, _, _ := h.ask(http.MethodGet, "/", "", "Authorization", "Bearer "+access); status != 401 {
		t.Errorf("a refused grant: %d %s", status, body)
	}
	e := hears(t, "oauth_renewal_failed", h.issuer.URL)
	if e.Data["outcome"] != "refused" || len(e.Data["sref"].(string)) < 8 || strings.Contains(fmt.Sprint(e.Data), access[4:24]) {
		t.Errorf("%+v", e.Data)
	}
}

// revive starts an issuer again where it was, with these keys.
func revive(t *testing.T, address, issuer string, keys ...*jwssign.Key) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/jwks" {
			_, _ = w.Write(jwssign.Set(keys...))
			return
		}
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, issuer, issuer+"/jwks")
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
}
