package caddyoauth

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"
)

const signedAnswer = "token-introspection+jwt"

// signs answers about each token with a JWT of this type, whose members are those
// of RFC 9701 but for these; what is nil is left out.
func (i *grantor) signs(typ string, members map[string]any) {
	i.reply(func(w http.ResponseWriter, q *asked) {
		claims := map[string]any{
			"iss": i.URL, "aud": "gateway", "iat": i.clock.now().Unix(),
			"token_introspection": map[string]any{"active": strings.HasPrefix(q.Form.Get("token"), "good"), "aud": "api", "sub": "alice", "n": json.Number("12345678901234567890")},
		}
		maps.Copy(claims, members)
		maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
		tok, err := i.key.Token(typ, claims)
		if err != nil {
			panic(err)
		}
		w.Header().Set("Content-Type", "application/"+typ+"; charset=utf-8")
		_, _ = fmt.Fprint(w, tok)
	})
}

func TestASignedAnswerIsAskedForAndCounts(t *testing.T) {
	issuer := newGrantor(t, nil)
	issuer.signs(signedAnswer, nil)
	g := newAsker(t, issuer, "jwt_response", "copy_claims sub>X-Sub n>X-N")
	for range 2 { // the second is remembered
		g.expects("good", http.StatusOK)
		if saw := g.saw[len(g.saw)-1].Header; saw.Get("X-Sub") != "alice" || saw.Get("X-N") != "12345678901234567890" {
			t.Errorf("the upstream saw %v", saw)
		}
	}
	g.expects("bad", http.StatusUnauthorized)
	all := issuer.take()
	if len(all) != 2 || all[0].Accept != "application/token-introspection+jwt" {
		t.Errorf("asked %+v", all)
	}
	issuer.signs("application/"+signedAnswer, map[string]any{"aud": []string{"other", "gateway"}})
	g.expects("good-2", http.StatusOK)
}

// Who asked for a signature takes nothing without one: an answer that cannot be
// proved is a failure of the issuer, and says nothing of the token.
func TestAnAnswerThatIsNotSignedAsItWasAskedForIsAFailure(t *testing.T) {
	other := newGrantor(t, nil)
	now := time.Now()
	for name, c := range map[string]struct {
		typ     string
		members map[string]any
		body    string
		why     string
	}{
		"plain JSON":           {body: `{"active":true,"aud":"api"}`, why: "it is plain JSON"},
		"a plain no":           {body: `{"active":false}`, why: "it is plain JSON"},
		"encrypted":            {body: "eyJhbGciOiJSU0EtT0FFUCJ9.a.b.c.d", why: "it is encrypted"},
		"an access token":      {typ: "at+jwt", why: "typ is at+jwt"},
		"of another issuer":    {members: map[string]any{"iss": other.URL}, why: "iss is " + other.URL},
		"for another client":   {members: map[string]any{"aud": "other"}, why: "aud does not name the client gateway"},
		"for nobody":           {members: map[string]any{"aud": nil}, why: "aud does not name the client gateway"},
		"without iat":          {members: map[string]any{"iat": nil}, why: "claim_missing: iat"},
		"of yesterday":         {members: map[string]any{"iat": now.Add(-24 * time.Hour).Unix()}, why: "an old answer"},
		"of tomorrow":          {members: map[string]any{"iat": now.Add(24 * time.Hour).Unix()}, why: "an old answer"},
		"that is over":         {members: map[string]any{"exp": now.Add(-time.Hour).Unix()}, why: "exp is over"},
		"without the answer":   {members: map[string]any{"token_introspection": nil}, why: "claim_missing: token_introspection"},
		"with a text in it":    {members: map[string]any{"token_introspection": `{"active":true}`}, why: "claim_missing: token_introspection"},
		"that is no answer":    {members: map[string]any{"token_introspection": map[string]any{}}, why: "active is neither true nor false"},
		"active beside answer": {members: map[string]any{"token_introspection": nil, "active": true}, why: "claim_missing: token_introspection"},
	} {
		t.Run(name, func(t *testing.T) {
			issuer := newGrantor(t, nil)
			g := newAsker(t, issuer, "jwt_response", "")
			if c.body != "" {
				issuer.says(http.StatusOK, c.body)
			} else if c.typ == "" {
				issuer.signs(signedAnswer, c.members)
			} else {
				issuer.signs(c.typ, c.members)
			}
			res := g.expects("good", http.StatusServiceUnavailable)
			if log := g.logged(); res.Header().Get("WWW-Authenticate") != "" || !strings.Contains(log, "introspection_unavailable") || !strings.Contains(log, c.why) {
				t.Errorf("no %q in the log: %s", c.why, log)
			}
			g.hides([]string{"good", "the-gateways-own-secret"})
		})
	}
}

// The answer about another token would do, signed for us a moment ago, if nothing
// in it spoke of the token.
func TestASignedAnswerAboutAnotherTokenIsAFailure(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newAsker(t, issuer, "jwt_response\nalways", "")
	for id, want := range map[any]int{"of-another": http.StatusServiceUnavailable, "own": http.StatusOK, nil: http.StatusOK, 7: http.StatusOK} {
		said := map[string]any{"active": true, "aud": "api"}
		if id != nil {
			said["jti"] = id
		}
		issuer.signs(signedAnswer, map[string]any{"token_introspection": said})
		g.expects(issuer.access("alice", map[string]any{"jti": "own", "n": fmt.Sprint(id)}), want)
	}
	if log := g.logged(); !strings.Contains(log, "jti in token_introspection is another's") {
		t.Error(log)
	}
}

func TestASignatureThatNoKeyOfTheIssuerMadeIsAFailure(t *testing.T) {
	issuer, forger := newGrantor(t, nil), newGrantor(t, nil)
	g := newAsker(t, issuer, "jwt_response", "")
	issuer.reply(func(w http.ResponseWriter, _ *asked) {
		tok, err := forger.key.Token(signedAnswer, map[string]any{"iss": issuer.URL, "aud": "gateway", "iat": time.Now().Unix(), "token_introspection": map[string]any{"active": true, "aud": "api"}})
		if err != nil {
			panic(err)
		}
		_, _ = fmt.Fprint(w, tok)
	})
	g.expects("good", http.StatusServiceUnavailable)
	if log := g.logged(); !strings.Contains(log, "signature_invalid") && !strings.Contains(log, "key_unknown") {
		t.Error(log)
	}
}

func TestAnswersThatAreAllUnsignedHaveTheEndpointLeftAlone(t *testing.T) {
	issuer := newKnower(t)
	g := newAsker(t, issuer, "jwt_response", "")
	for n := range 8 {
		g.expects(fmt.Sprint("good-", n), http.StatusServiceUnavailable)
	}
	if left := g.validator.ForOpaque("")[0].Introspector.Paused(g.clock.now()); left <= 0 {
		t.Error("the breaker is closed")
	}
}

func TestTheDoctorTellsWhetherAnswersAreSigned(t *testing.T) {
	issuer := newGrantor(t, nil)
	block := fmt.Sprintf("oauth {\nissuer %s {\naudience api\nintrospect {\njwt_response\n}\nclient gateway the-gateways-own-secret\n}\n}", issuer.URL)
	issuer.signs(signedAnswer, nil)
	examined(t, block).wants(t, "ok introspection: /introspect takes the client gateway, and does not know")
	issuer.says(http.StatusOK, `{"active":false}`)
	examined(t, block).wants(t, "fail introspection: introspection_signed_response_alg")
}
