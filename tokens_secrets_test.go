package caddyoauth

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// bare is Basic as curl -u sends it: nothing is form-encoded.
func bare(id, secret string) []string {
	return []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))}
}

// grantsTo makes the grantor grant to one secret alone. decodes says whether it
// decodes what Basic has encoded (RFC 6749 §2.3.1).
func (i *grantor) grantsTo(secret string, decodes bool) {
	i.reply(func(w http.ResponseWriter, q *asked) {
		given := q.Form.Get("client_secret")
		switch {
		case q.Basic && decodes:
			given = q.Password
		case q.Basic:
			given = q.Sent
		}
		if given == secret {
			i.grant(w, q)
			return
		}
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"error":"invalid_client"}`))
	})
}

func TestASecretWithSignsIsKnownHoweverTheClientAndTheIssuerSpellIt(t *testing.T) {
	both, post := []string{"client_secret_basic", "client_secret_post"}, []string{"client_secret_post", "client_secret_basic"}
	for _, row := range []struct {
		name, secret string
		headers      func(id, secret string) []string
		offered      []string
		decodes      bool
		want         []string // how the issuer is asked
	}{
		{"curl -u", "p+w/x=", bare, both, true, []string{"basic"}},
		{"curl -u, signs that encoders leave but one", "p+w", bare, both, true, []string{"basic", "basic"}},
		{"curl -u, a sign that begins no escape", "p%w", bare, both, true, []string{"basic"}},
		{"curl -u, at an issuer that names the other method first", "p%w", bare, post, true, []string{"post"}},
		{"curl -u, at an issuer that does not decode", "p+w/x=", bare, both, false, []string{"basic", "post"}},
		{"curl -u, a plus alone at an issuer that does not decode", "p+w", bare, both, false, []string{"basic"}},
		{"form-encoded", "p+w/x=", basic, both, true, []string{"basic"}},
		{"form-encoded, with a space", "p w", basic, both, true, []string{"basic"}},
		{"form-encoded, at an issuer that does not decode", "p+w/x=", basic, both, false, []string{"basic", "post"}},
		{"form-encoded, at an issuer that says nothing and does not decode", "p+w/x=", basic, nil, false, []string{"basic", "post"}},
		{"letters alone, at an issuer that does not decode", "pw", bare, both, false, []string{"basic"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			issuer := newGrantor(t, func(m map[string]any) { m["token_endpoint_auth_methods_supported"] = row.offered })
			issuer.grantsTo(row.secret, row.decodes)
			g := newGate(t, issuer, endpoint)
			tok := g.answer(g.post("/auth", "grant_type=client_credentials", row.headers("orders", row.secret)...))
			var ways []string
			for _, q := range issuer.take() {
				ways = append(ways, map[bool]string{true: "basic", false: "post"}[q.Basic])
			}
			if strings.Join(ways, " ") != strings.Join(row.want, " ") {
				t.Errorf("the issuer was asked by %v, want %v", ways, row.want)
			}
			// The client is known again by the same header, however it is renewed.
			refreshed := g.answer(g.post("/auth", "grant_type=refresh_token&refresh_token="+url.QueryEscape(tok.RefreshToken), row.headers("orders", row.secret)...))
			if refreshed.AccessToken == "" {
				t.Error("no token for the client's refresh token")
			}
		})
	}
}

func TestAWrongSecretIsTriedTwiceAtMost(t *testing.T) {
	issuer := newGrantor(t, func(m map[string]any) {
		m["token_endpoint_auth_methods_supported"] = []string{"client_secret_basic", "client_secret_post"}
	})
	issuer.grantsTo("another", true)
	g := newGate(t, issuer, endpoint)
	for secret, want := range map[string]int{"plain": 1, "p+w": 2, "p+/w": 2, "p%w": 2, "p%2Fw": 2} {
		g.address = nextAddress()
		g.refused(secret, g.post("/auth", "grant_type=client_credentials", bare("orders", secret)...), "401 invalid_client")
		if n := len(issuer.take()); n != want {
			t.Errorf("%s: the issuer was asked %d times, want %d", secret, n, want)
		}
	}
	issuer.says(http.StatusServiceUnavailable, "")
	g.post("/auth", "grant_type=client_credentials", bare("orders", "p+/w")...)
	if n := len(issuer.take()); n != 1 {
		t.Errorf("an issuer that is down was asked %d times", n)
	}
}
