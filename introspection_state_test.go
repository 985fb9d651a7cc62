package caddyoauth

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyoauth/caddyoauth/internal/gateway/config"
	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/gateway/introspection"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
)

func TestTheDoctorAsksTheIntrospectionEndpointAboutATokenThatWasNeverIssued(t *testing.T) {
	for name, c := range map[string]struct {
		status     int
		body, want string
	}{
		"well":                 {200, `{"active":false}`, "ok introspection: /introspect takes the client gateway, and does not know"},
		"says yes to anything": {200, `{"active":true}`, "fail introspection: calls a token active that was made up"},
		"a wrong secret":       {401, `{"error":"invalid_client"}`, "fail introspection: does not take the client gateway"},
		"another endpoint":     {404, `not found`, "fail introspection: and whether this is its introspection endpoint"},
		"a page":               {200, `<html>`, "fail introspection: nothing of use"},
	} {
		t.Run(name, func(t *testing.T) {
			issuer := newGrantor(t, nil)
			issuer.says(c.status, c.body)
			d := examined(t, fmt.Sprintf("oauth {\nissuer %s {\naudience api\nintrospect\nclient gateway the-gateways-own-secret\n}\n}", issuer.URL))
			d.wants(t, c.want)
			if n := issuer.count(); n != 1 {
				t.Errorf("%d calls", n)
			}
		})
	}
	none := newGrantor(t, func(m map[string]any) { delete(m, "introspection_endpoint") })
	body := "oauth {\nissuer %s {\naudience api\nintrospect %s\nclient gateway the-gateways-own-secret\n}\n}"
	examined(t, fmt.Sprintf(body, none.URL, "")).wants(t, "fail introspection: write its address as introspect <url>")
	none.says(http.StatusOK, `{"active":false}`)
	examined(t, fmt.Sprintf(body, none.URL, none.URL+"/elsewhere")).wants(t, "ok introspection: /elsewhere takes")
	examined(t, fmt.Sprintf(body, none.URL, "http://127.0.0.1:1/")).wants(t, "fail introspection: see that the issuer runs")
}

func TestTheAdminEndpointTellsHowAskingGoes(t *testing.T) {
	issuer := newKnower(t)
	g := newAsker(t, issuer, "always", "")
	g.expects("good", http.StatusOK)
	g.expects("bad", http.StatusUnauthorized)
	find := func() introspection.State {
		for _, state := range issuers.States(time.Now(), grants.OpenBreakers()) {
			if state.Issuer == issuer.URL && len(state.Introspection) == 1 {
				return state.Introspection[0]
			}
		}
		t.Fatal("nothing is told: ", issuers.States(time.Now(), grants.OpenBreakers()))
		return introspection.State{}
	}
	want := introspection.State{Endpoint: issuer.URL + "/introspect", Client: "gateway", Always: true, Remembered: 1, Inactive: 1}
	await(t, "both answers to be counted", func() bool { return find() == want })
	issuer.says(http.StatusInternalServerError, "")
	for n := range 5 {
		g.expects(fmt.Sprint("good-", n), http.StatusServiceUnavailable)
	}
	if !find().Breaker.Open {
		t.Error("the breaker is closed")
	}
}

func TestExplainTellsWhatTheIssuerAnsweredAndNeverTheToken(t *testing.T) {
	issuer := newKnower(t)
	config := fmt.Sprintf(":80 {\n\toauth {\n\t\tissuer %s {\n\t\t\taudience api\n\t\t\tintrospect\n\t\t\tclient gateway {env.EXPLAIN_SECRET}\n\t\t}\n\t}\n}\n", issuer.URL)
	f := explainFlags{config: configFile(t, config), adapter: "caddyfile"}
	const good, bad = "good-0123456789abcdefghijklmnop", "bad-0123456789abcdefghijklmnop"

	issuer.clock.ahead.Store(int64(time.Until(verdictClock))) // at which explained judges
	t.Setenv("EXPLAIN_SECRET", "the-gateways-own-secret")
	for tok, want := range map[string]struct {
		status int
		words  []string
	}{
		good: {statusAccepted, []string{"ACCEPTED", "introspection", "active; expected: active: true, as " + issuer.URL + " says", `aud is ["api"]`}},
		bad:  {statusRefused, []string{"REFUSED token_inactive: introspection (RFC 7662 §2.2)", "answer   401 invalid_token", "revoked, expired, or none of its tokens", "change   The issuer does not know it"}},
	} {
		status, out, err := explained(t, f, tok)
		if err != nil || status != want.status {
			t.Errorf("status %d, %v", status, err)
		}
		for _, word := range want.words {
			if !strings.Contains(out, word) {
				t.Errorf("no %q in\n%s", word, out)
			}
		}
		if strings.Contains(out, tok[:20]) || strings.Contains(out, "own-secret") {
			t.Errorf("shown:\n%s", out)
		}
	}
	if n := issuer.count(); n != 2 {
		t.Errorf("%d calls", n)
	}

	t.Setenv("EXPLAIN_SECRET", "")
	status, out, err := explained(t, f, good)
	if err != nil || status != statusUnknown || !strings.Contains(out, "NOT JUDGED") || !strings.Contains(out, "it cannot be asked from here") {
		t.Errorf("without the secret: %d, %v\n%s", status, err, out)
	}
	if n := issuer.count(); n != 2 {
		t.Errorf("without the secret %d calls", n)
	}
}

func TestWhereTheIssuersAnswerIsNotEnoughExplainSaysWhatItShouldSayAndWhoCanChangeThat(t *testing.T) {
	issuer := newKnower(t)
	config := fmt.Sprintf(":80 {\n\toauth {\n\t\tissuer %s {\n\t\t\tinsecure_any_audience\n\t\t\tintrospect\n\t\t\tclient gateway secret\n\t\t}\n\t}\n}\n", issuer.URL)
	f := explainFlags{config: configFile(t, config), adapter: "caddyfile"}
	for answer, want := range map[string][]string{
		`"sub":"alice"`:              {"REFUSED typ_refused", "expected: that it is an access token: token_type Bearer", "Client: send the access token", "Issuer: write token_type", "insecure_any_token"},
		`"token_type":"DPoP"`:        {"REFUSED bound_token", "expected: no cnf, and no token_type of DPoP", "Client: ask for a plain Bearer token"},
		`"iss":"https://other.test"`: {"REFUSED issuer_unknown", "expected: no iss, or exactly " + issuer.URL, "Caddyfile: write the issuer as its answers name it"},
		`"at_hash":"x"`:              {"REFUSED id_token", "expected: none of the marks of ID, logout and event tokens"},
	} {
		issuer.says(http.StatusOK, `{"active":true,`+answer+`}`)
		status, out, err := explained(t, f, "an-opaque-token-0123456789")
		if err != nil || status != statusRefused {
			t.Errorf("%s: status %d, %v", answer, status, err)
		}
		for _, word := range append(want, "introspection (RFC 7662 §2.2)") {
			if !strings.Contains(out, word) {
				t.Errorf("%s: no %q in\n%s", answer, word, out)
			}
		}
		if strings.Contains(out, "active: true, as") || strings.Contains(out, `oauth ""`) {
			t.Errorf("%s: what is no matter here:\n%s", answer, out)
		}
	}
}

// Two issuers with introspect can come by JSON as well.
func TestJSONIsCheckedAsTheCaddyfileIs(t *testing.T) {
	client := &issuers.Client{ID: "gateway", Secret: "secret"}
	zero, long := caddy.Duration(-1), caddy.Duration(2*time.Minute)
	for want, issuers := range map[string][]*issuers.Issuer{
		"needs a client": {{Introspect: &introspection.Introspect{}}},
		"nothing tells whose an opaque token is": {
			{URL: []string{"https://a.example"}, Introspect: &introspection.Introspect{}, Client: client},
			{URL: []string{"https://b.example"}, Introspect: &introspection.Introspect{}, Client: client},
		},
		"cache is -1ns": {{Introspect: &introspection.Introspect{Cache: &zero}, Client: client}},
		"cache is 2m0s": {{Introspect: &introspection.Introspect{Cache: &long}, Client: client}},
		"rate is -1":    {{Introspect: &introspection.Introspect{Rate: -1}, Client: client}},
		"is plain http": {{Introspect: &introspection.Introspect{URL: "http://login.example.com/introspect"}, Client: client}},
	} {
		for _, one := range issuers {
			one.Audience = []string{"api"}
			if one.URL == nil {
				one.URL = []string{"https://login.example.com"}
			}
		}
		if err := (&config.Config{Issuer: issuers}).Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// What the issuer took back must not reach the upstream as if it still held.
func TestTheUpstreamLearnsNoMoreScopeThanCounts(t *testing.T) {
	issuer := newGrantor(t, nil)
	issuer.reply(func(w http.ResponseWriter, _ *asked) { _, _ = io.WriteString(w, `{"active":true,"scope":"read"}`) })
	g := newAsker(t, issuer, "always", "copy_claims scope>X-Scope scp>X-Scp")
	for name, claims := range map[string]map[string]any{
		"scope":         {"scope": "read write"},
		"scp as a text": {"scp": "read write"},
		"scp as a list": {"scp": []string{"read", "write"}},
	} {
		tok := issuer.access("alice", claims)
		for range 2 { // the second is remembered
			g.expects(tok, http.StatusOK)
			saw := g.saw[len(g.saw)-1].Header
			if scope, scp := saw.Get("X-Scope"), saw.Get("X-Scp"); scope != "read" || scp != "read" && (scp != "" || name != "scope") {
				t.Errorf("%s: the upstream is told %q and %q", name, scope, scp)
			}
		}
	}
}
