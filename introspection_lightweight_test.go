package caddyoauth

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"
)

// newLight is a gateway that has its issuer complete lightweight tokens: JWTs
// without aud, sub, scope and roles.
func newLight(t *testing.T, block string) (*gate, *grantor) {
	t.Helper()
	issuer := newGrantor(t, nil)
	return newAsker(t, issuer, "lightweight", block), issuer
}

// light is such a token, with more or other claims.
func (i *grantor) light(more map[string]any) string {
	claims := map[string]any{"iss": i.URL, "jti": fmt.Sprint("jti-", i.serial.Add(1)), "exp": i.clock.now().Add(accessLife).Unix()}
	maps.Copy(claims, more)
	tok, err := i.key.Token("JWT", claims)
	if err != nil {
		panic(err)
	}
	return tok
}

const completes = `{"active":true,"iss":%q,"aud":["api","account"],"sub":"u-1","scope":"profile read","realm_access":{"roles":["staff"]},"preferred_username":"ann","exp":%d}`

func (i *grantor) completes() {
	i.reply(func(w http.ResponseWriter, _ *asked) {
		fmt.Fprintf(w, completes, i.URL, i.clock.now().Add(2*accessLife).Unix())
	})
}

func TestWhatALightweightTokenLacksComesFromTheIssuersAnswer(t *testing.T) {
	g, issuer := newLight(t, "require scope read\nrequire claim realm_access.roles staff\ncopy_claims sub>X-Sub preferred_username>X-Name scope>X-Scope iss>X-Iss exp>X-Exp sid>X-Sid")
	issuer.completes()
	ends := fmt.Sprint(issuer.clock.now().Add(accessLife).Unix())
	tok := issuer.light(map[string]any{"sid": "s-1", "exp": issuer.clock.now().Add(accessLife).Unix()})
	for range 3 { // the first is asked about, the others are remembered
		g.expects(tok, http.StatusOK)
		saw := g.saw[len(g.saw)-1].Header
		for name, want := range map[string]string{
			"X-Sub": "u-1", "X-Name": "ann", "X-Scope": "profile read", "X-Iss": issuer.URL, "X-Sid": "s-1",
			"X-Exp": ends, // the answer's is later
		} {
			if got := saw.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
	}
	if n := issuer.count(); n != 1 {
		t.Errorf("%d calls", n)
	}
}

func TestAnAnswerNeverWidensWhatAJWTSaysOfItsLifeItsIssuerAndItsKey(t *testing.T) {
	for name, c := range map[string]struct {
		token  map[string]any
		answer string
		reason string
	}{
		"expired":                        {map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}, `"aud":"api","exp":99999999999`, "token_expired"},
		"not yet":                        {map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}, `"aud":"api","nbf":1`, "token_not_yet"},
		"ended by the answer":            {nil, `"aud":"api","exp":1`, "token_expired"},
		"bound":                          {map[string]any{"cnf": map[string]any{"jkt": "x"}}, `"aud":"api","cnf":null`, "bound_token"},
		"bound by the answer":            {nil, `"aud":"api","cnf":{"jkt":"x"}`, "bound_token"},
		"of another issuer":              {nil, `"aud":"api","iss":"https://other.test"`, "issuer_unknown"},
		"of another subject":             {map[string]any{"sub": "mallory"}, `"aud":"api","sub":"alice"`, "claim_wrong"},
		"for another audience":           {nil, `"aud":"other"`, "wrong_audience"},
		"for nobody":                     {nil, `"scope":"read"`, "wrong_audience"},
		"for another, in spite of aud":   {map[string]any{"aud": "api"}, `"aud":"other"`, "wrong_audience"},
		"with less scope than it claims": {map[string]any{"scope": "read write"}, `"aud":"api","scope":"write"`, "missing_scope"},
		"less scope by another name":     {map[string]any{"scope": "read write"}, `"aud":"api","scp":["write"]`, "missing_scope"},
		"marked by the answer":           {map[string]any{"scope": "read"}, `"aud":"api","nonce":"n"`, "id_token"},
	} {
		t.Run(name, func(t *testing.T) {
			g, issuer := newLight(t, "require scope read")
			issuer.says(http.StatusOK, `{"active":true,`+c.answer+`}`)
			tok := issuer.light(c.token)
			for range 2 {
				res := g.send(http.MethodGet, "/orders", "", "Authorization", "Bearer "+tok)
				if log := g.logged(); res.Code != http.StatusUnauthorized && res.Code != http.StatusForbidden || !strings.Contains(log, c.reason) {
					t.Errorf("%d, want the reason %s; log: %s", res.Code, c.reason, log)
				}
			}
			if len(g.saw) > 0 {
				t.Error("the upstream saw it")
			}
		})
	}
}

// A stranger's forgery is never asked about.
func TestALightweightTokenThatNoKeyVerifiesCausesNoCall(t *testing.T) {
	g, issuer := newLight(t, "")
	issuer.completes()
	tok := issuer.light(nil)
	g.expects(tok[:len(tok)-8]+"AAAAAAAA", http.StatusUnauthorized)
	if n := issuer.count(); n != 0 {
		t.Errorf("%d calls", n)
	}
}

func TestWithoutTheWordALightweightTokenIsRefusedAndExplainNamesTheWord(t *testing.T) {
	issuer := newGrantor(t, nil)
	issuer.reply(func(w http.ResponseWriter, _ *asked) { _, _ = io.WriteString(w, `{"active":true,"aud":"api"}`) })
	newAsker(t, issuer, "always", "").expects(issuer.light(nil), http.StatusUnauthorized)

	issuer.clock.ahead.Store(int64(time.Until(verdictClock)))
	tok := issuer.light(nil)
	block := ":80 {\n\toauth {\n\t\tissuer %s {\n\t\t\taudience api\n\t\t\tintrospect {\n\t\t\t\t%s\n\t\t\t}\n\t\t\tclient gateway secret\n\t\t}\n\t\trequire scope read\n\t\trequire claim realm_access.roles staff\n\t}\n}\n"
	_, out, err := explained(t, explainFlags{config: configFile(t, fmt.Sprintf(block, issuer.URL, "always")), adapter: "caddyfile"}, tok)
	if err != nil || !strings.Contains(out, "REFUSED wrong_audience") || !strings.Contains(out, "introspect { lightweight }") {
		t.Errorf("%v\n%s", err, out)
	}
	issuer.completes()
	status, out, err := explained(t, explainFlags{config: configFile(t, fmt.Sprintf(block, issuer.URL, "lightweight")), adapter: "caddyfile"}, tok)
	if err != nil || status != statusAccepted || !strings.Contains(out, `aud is ["api" "account"]`) || !strings.Contains(out, "the issuer's answer says it (lightweight)") {
		t.Errorf("%v\n%s", err, out)
	}
}
