package caddyoauth

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	logtest "go.uber.org/zap/zaptest/observer"

	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/jwssign"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// audited are the lines of the audit stream about one thing so far.
func (g *gate) audited(about string) (lines []map[string]any) {
	for _, line := range g.logs.FilterMessage(about).AllUntimed() {
		if line.LoggerName == "audit" {
			lines = append(lines, line.ContextMap())
		}
	}
	return lines
}

// newAuditGate is a gate whose log has the audit stream.
func newAuditGate(t *testing.T, issuer *grantor, block string) *gate {
	t.Helper()
	g := newGate(t, issuer, "audit\n"+block)
	*g.audit = *telemetry.NewAudit(g.log) // the gate has taken the logger's place
	return g
}

// wantFields compares some fields of a line; "" is one that must not be there.
func wantFields(t *testing.T, line map[string]any, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got, _ := line[name].(string); got != value {
			t.Errorf("%s is %q, want %q, in %v", name, got, value, line)
		}
	}
}

func TestTheAuditStreamTellsWhoDidWhatAndWhatBecameOfIt(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newAuditGate(t, issuer, "require scope orders:read\nallow_anonymous")
	token := func(claims map[string]any) string {
		all := map[string]any{"iss": issuer.URL, "aud": "api", "sub": "alice", "scope": "orders:read", "exp": time.Now().Add(time.Hour).Unix()}
		maps.Copy(all, claims)
		text, err := issuer.key.Token("at+jwt", all)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	good := token(map[string]any{"jti": "token-1", "azp": "shop"})
	for range 2 { // verified, then remembered
		g.get(good)
	}
	g.get(token(map[string]any{"scope": "other", "client_id": "billing"}))
	g.get(token(map[string]any{"exp": 1, "sub": "mallory"}))
	g.send(http.MethodGet, "/orders", "")
	lines := g.audited("request")
	if len(lines) != 5 {
		t.Fatalf("%d lines, want 5: %v", len(lines), lines)
	}
	for _, line := range lines[:2] {
		wantFields(t, line, map[string]string{
			"verdict": "accepted", "reason": "accepted", "subject": "alice", "client_id": "shop", "issuer": issuer.URL,
			"method": "GET", "host": "api.example", "path": "/orders", "client_ip": g.address,
			"jti_digest": "3f08aace122ee2368432c1ca23a049bc",
		})
	}
	wantFields(t, lines[2], map[string]string{"verdict": "refused", "reason": "missing_scope", "subject": "alice", "client_id": "billing", "jti_digest": ""})
	wantFields(t, lines[3], map[string]string{"verdict": "refused", "reason": "token_expired", "subject": "", "issuer": issuer.URL})
	wantFields(t, lines[4], map[string]string{"verdict": "accepted", "reason": "anonymous", "subject": "", "issuer": ""})
	g.hides([]string{"token-1", good[len(good)-30:]})
}

func TestTheAuditStreamTellsHowAndWhenTheUserLoggedIn(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newAuditGate(t, issuer, "require acr gold")
	at := time.Now().Unix() - 60
	for _, row := range []struct {
		claims map[string]any
		reason string
		at     any // nil: not told
	}{
		{map[string]any{"acr": "gold", "auth_time": at}, verdict.Accepted, at},
		{map[string]any{"acr": "bronze", "auth_time": at}, verdict.WeakLogIn, at},
		{map[string]any{"acr": []string{"gold"}, "auth_time": "today"}, verdict.WeakLogIn, nil},
	} {
		claims := map[string]any{"iss": issuer.URL, "aud": "api", "sub": "alice", "exp": time.Now().Add(time.Hour).Unix()}
		maps.Copy(claims, row.claims)
		text, err := issuer.key.Token("at+jwt", claims)
		if err != nil {
			t.Fatal(err)
		}
		g.get(text)
		lines := g.audited("request")
		last := lines[len(lines)-1]
		acr, _ := row.claims["acr"].(string)
		wantFields(t, last, map[string]string{"reason": row.reason, "subject": "alice", "acr": acr})
		if last["auth_time"] != row.at {
			t.Errorf("auth_time is %v, want %v", last["auth_time"], row.at)
		}
	}
}

func TestTheAuditStreamTellsOfTokensAndOfGrantsFromBeginningToEnd(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newAuditGate(t, issuer, publicEndpoint)
	app := g.answer(g.post("/auth", codeForm))
	g.post("/auth", "grant_type=password")
	g.post("/revoke", "client_id=app&token="+app.RefreshToken)
	lines, begun, ended := g.audited("token request"), g.audited("grant begun"), g.audited("grant ended")
	if len(lines) != 3 || len(begun) != 1 || len(ended) != 1 {
		t.Fatalf("token requests %v, begun %v, ended %v", lines, begun, ended)
	}
	wantFields(t, lines[0], map[string]string{"client_id": "app", "grant_type": "authorization_code", "verdict": "accepted", "reason": "granted", "path": "/auth"})
	wantFields(t, lines[1], map[string]string{"verdict": "refused", "reason": "unsupported_grant_type", "client_id": ""})
	wantFields(t, lines[2], map[string]string{"grant_type": "revocation", "verdict": "accepted"})
	wantFields(t, begun[0], map[string]string{"client_id": "app", "subject": "alice", "issuer": issuer.URL})
	wantFields(t, ended[0], map[string]string{"sref": begun[0]["sref"].(string), "reason": "logout"})
	g.hides([]string{app.AccessToken[4:24], app.RefreshToken[4:24], "the-gateways-own-secret", "the-code"})
}

func TestAFailureIsNoVerdictInTheAuditStream(t *testing.T) {
	issuer := newGrantor(t, nil)
	text, err := issuer.key.Token("at+jwt", map[string]any{"iss": issuer.URL, "aud": "api", "sub": "alice", "exp": time.Now().Add(time.Hour).Unix()})
	if err != nil {
		t.Fatal(err)
	}
	issuer.Close()
	g := newAuditGate(t, issuer, "")
	g.get(text)
	lines := g.audited("request")
	if len(lines) != 1 {
		t.Fatal(lines)
	}
	wantFields(t, lines[0], map[string]string{"verdict": "failed", "reason": "issuer_unavailable", "issuer": issuer.URL, "subject": ""})
}

func TestWithoutTheWordThereIsNoAuditStream(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, endpoint)
	g.wants(map[string]int{g.token("orders").AccessToken: 200, "x": 401})
	if lines := g.logs.Filter(func(e logtest.LoggedEntry) bool { return e.LoggerName == "audit" }).Len(); lines > 0 {
		t.Errorf("%d lines", lines)
	}
}

func TestTheAuditStreamIsALoggerThatCanGoToAFileOfItsOwn(t *testing.T) {
	key := benchKey(t, "EdDSA")
	issuer := newTestIssuer(t, []*jwssign.Key{key}...)
	h := newDeployment(t)
	file := h.path("audit.log")
	text := site(t, h.port, issuer.URL, "audit")
	text = strings.Replace(text, "log {\n\t\toutput discard\n\t}", "log {\n\t\toutput discard\n\t}\n\tlog audit {\n\t\toutput file "+file+"\n\t\tformat json\n\t\tinclude http.handlers.oauth.audit\n\t}", 1)
	load(t, text)
	if status, _, body := h.ask(http.MethodGet, "/a", "", "Authorization", "Bearer "+issuer.token(t)); status != http.StatusOK {
		t.Fatal(status, body)
	}
	doc, err := os.ReadFile(file)
	var line struct{ Logger, Msg, Subject, Path string }
	if err != nil || json.Unmarshal(doc, &line) != nil || line.Logger != "http.handlers.oauth.audit" || line.Msg != "request" || line.Subject != "alice" || line.Path != "/a" {
		t.Errorf("the audit file holds %s, %v", doc, err)
	}
}
