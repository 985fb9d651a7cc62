package caddyoauth

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Everything that is secret goes through a Caddy with access logs at level
// DEBUG; the log has none of it, nor have answers and metrics.
func TestNothingSecretIsInLogsAnswersOrMetrics(t *testing.T) {
	h := newDeployment(t)
	config := strings.Replace(h.config("keys "+firstKey), "token_endpoint /auth /refresh {", publicEndpoint[:len("token_endpoint /auth ")]+"/refresh {\n"+publicEndpoint[len("token_endpoint /auth {"):strings.LastIndex(publicEndpoint, "revocation")], 1)
	load(t, config)
	secrets := map[string]string{"the key": firstKey, "the gateway's secret": "the-gateways-own-secret", "the issuer's refresh tokens": "refresh-token-of-the-issuer"}
	post := func(path, form string, headers ...string) string {
		t.Helper()
		_, _, body := h.ask(http.MethodPost, path, form, headers...)
		return body
	}
	field := func(body, name string) string {
		_, rest, _ := strings.Cut(body, `"`+name+`":"`)
		value, _, _ := strings.Cut(rest, `"`)
		if len(value) < 40 {
			t.Fatalf("no %s in %s", name, body)
		}
		return value
	}
	secrets["a client's secret"] = "clients-very-own-secret"
	answer := post("/auth", "grant_type=client_credentials", basic(h.client, secrets["a client's secret"])...)
	access, refresh := field(answer, "access_token"), field(answer, "refresh_token")
	secrets["a reference token"], secrets["a reference refresh token"] = access[4:44], refresh[4:44]
	answer = post("/auth", codeForm)
	secrets["a public client's token"] = field(answer, "access_token")[4:44]
	secrets["a code"], secrets["a verifier"] = "the-code", "the-verifier"
	var answers string
	get := func(path string, headers ...string) {
		t.Helper()
		_, _, body := h.ask(http.MethodGet, path, "", headers...)
		answers += body
	}
	get("/ok", "Authorization", "Bearer "+access)
	h.skip(accessLife)
	get("/renewed", "Authorization", "Bearer "+access)
	for _, path := range []string{"/a/" + access, "/?x=" + refresh, "/?x=" + url.QueryEscape(" "+access), "/%6F" + access[1:], "/auth?client_secret=" + secrets["a client's secret"], "/auth?" + access} {
		get(path)
	}
	get("/x", "X-Token", access)
	get("/x", "Cookie", "a="+refresh)
	get("/x", "Referer", "https://a.example/?t="+access)
	get("/x", "Authorization", "Bearer "+refresh)
	get("/x", "Authorization", "Bearer "+access, "Authorization", "Bearer "+refresh)
	answers += post("/auth", "grant_type=client_credentials&client_secret="+secrets["a client's secret"], basic(h.client, secrets["a client's secret"])...)
	answers += post("/auth", strings.Replace(codeForm, "app", "nobody", 1))
	answers += post("/refresh", "grant_type=refresh_token&refresh_token="+refresh, basic(h.client, "wrong")...)
	answers += post("/revoke", "token="+access, basic(h.client, secrets["a client's secret"])...)
	get("/ended", "Authorization", "Bearer "+access)
	get("/metrics")
	log := h.log()
	for _, path := range []string{"/ok", "/renewed", "/ended"} {
		if !strings.Contains(log, `"uri":"`+path+`"`) {
			t.Errorf("no access line of %s: this test would see nothing", path)
		}
	}
	if !strings.Contains(answers, "caddy_oauth_token_requests_total") || !strings.Contains(answers, "hello") {
		t.Error("no metrics or no answers: this test would see nothing")
	}
	for what, secret := range secrets {
		if at := strings.Index(log, secret); at >= 0 {
			t.Errorf("%s is in the log: …%s…", what, log[max(0, at-200):at])
		}
		if strings.Contains(answers, secret) {
			t.Errorf("%s is in an answer", what)
		}
	}
}
