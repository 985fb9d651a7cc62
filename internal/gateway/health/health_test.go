package health

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	logtest "go.uber.org/zap/zaptest/observer"
)

const issuerOne, issuerTwo = "https://one.example.com", "https://two.example.com"

func TestReadyMeansKeysForEveryIssuer(t *testing.T) {
	both := []issuerReport{{Issuer: issuerOne, Keys: true}, {Issuer: issuerTwo, Keys: true, Error: "the last fetch failed"}}
	one := []issuerReport{{Issuer: issuerOne, Keys: true}, {Issuer: issuerTwo, Error: "connection refused"}}
	for _, row := range []struct {
		name         string
		issuers      []issuerReport
		stopping     bool
		grace, age   time.Duration
		status       int
		word, detail string
	}{
		{"keys for all", both, false, 0, time.Hour, 200, "ready", ""},
		{"keys for one of two", one, false, 0, time.Hour, 503, "not_ready", "no keys of " + issuerTwo},
		{"within the grace period", one, false, time.Minute, 59 * time.Second, 503, "not_ready", "no keys of " + issuerTwo},
		{"after the grace period", one, false, time.Minute, time.Minute, 200, "ready", "ready after a grace period of 1m0s, without keys of " + issuerTwo},
		{"no gateway at all", nil, false, time.Minute, time.Hour, 503, "not_ready", "no gateway is configured"},
		{"about to end", both, true, 0, time.Hour, 503, "stopping", "the process is about to end"},
	} {
		h := &Handler{ReadyGrace: caddy.Duration(row.grace), log: zap.NewNop()}
		answer, status := h.ready(row.issuers, row.stopping, row.age)
		if status != row.status || answer.Status != row.word || answer.Detail != row.detail {
			t.Errorf("%s: %d %+v", row.name, status, answer)
		}
	}
}

func TestTheGraceIsLoggedOnce(t *testing.T) {
	core, logs := logtest.New(zapcore.WarnLevel)
	h := &Handler{ReadyGrace: 1, log: zap.New(core)}
	for range 3 {
		h.ready([]issuerReport{{Issuer: issuerOne}}, false, time.Second)
	}
	if logs.Len() != 1 {
		t.Errorf("%d lines", logs.Len())
	}
}

func TestHealthAnswersItsTwoPathsAndNoOther(t *testing.T) {
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(http.StatusTeapot)
		return nil
	})
	for _, row := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/live", 200}, {"HEAD", "/live", 200}, {"POST", "/live", 405}, {"DELETE", "/ready", 405},
		{"GET", "/", 418}, {"GET", "/live/", 418}, {"POST", "/other", 418},
	} {
		w := httptest.NewRecorder()
		if err := (&Handler{log: zap.NewNop()}).ServeHTTP(w, httptest.NewRequest(row.method, row.path, nil), next); err != nil {
			t.Fatal(err)
		}
		if w.Code != row.status || row.method == "HEAD" && w.Body.Len() > 0 {
			t.Errorf("%s %s: %d %s", row.method, row.path, w.Code, w.Body)
		}
	}
}

func TestTheDirectiveSaysWhatItTakes(t *testing.T) {
	adapt := func(body string) (string, error) {
		config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(":80 {\n"+body+"\n}"), nil)
		return string(config), err
	}
	config, err := adapt("oauth_health {\nready_grace 30s\n}\nrespond 404")
	if err != nil || !strings.Contains(config, `{"handler":"oauth_health","ready_grace":30000000000},{"handler":"static_response","status_code":404}`) {
		t.Errorf("%v: %s", err, config)
	}
	for body, want := range map[string]string{
		"oauth_health 30s":                                  "oauth_health takes a block, if anything",
		"oauth_health {\ngrace 1s\n}":                       `unknown word "grace" in oauth_health; it takes ready_grace`,
		"oauth_health {\nready_grace soon\n}":               `ready_grace is "soon"; it takes a duration above zero`,
		"oauth_health {\nready_grace 1s 2s\n}":              "ready_grace",
		"oauth_health {\nready_grace 1s\nready_grace 1s\n}": "ready_grace",
	} {
		if _, err := adapt(body); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", body, err, want)
		}
	}
}
