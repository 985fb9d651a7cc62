package issuers

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	logtest "go.uber.org/zap/zaptest/observer"

	"github.com/caddyoauth/caddyoauth/internal/as"
)

func TestAnIssuerThatNeverGaveKeysIsToldWithTheCureAndTheCommand(t *testing.T) {
	var named string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `{"issuer":%q}`, named) }))
	defer server.Close()
	for issuer, want := range map[string]string{
		server.URL + "/":         "write the issuer exactly as its metadata do: " + server.URL + ", which differs by a slash at the end alone",
		server.URL + "/realms/a": "if that is the issuer you mean, write it exactly as its metadata do: " + server.URL,
		"http://127.0.0.1:1":     "see that the issuer runs",
	} {
		named = server.URL
		report := as.Probe(t.Context(), as.Config{Issuer: issuer, Now: time.Now})
		if len(report.Forms) == 0 || report.Forms[0].Err == nil {
			t.Fatalf("%s: %+v", issuer, report)
		}
		core, logs := logtest.New(zap.DebugLevel)
		observe := observer(zap.New(core), issuer)
		observe(as.Event{Op: as.OpFetch, Err: report.Forms[0].Err})
		line := logs.All()[0]
		fields := line.ContextMap()
		if !strings.HasPrefix(line.Message, "no keys of this issuer yet") || !strings.Contains(fmt.Sprint(fields["do"]), want) || fields["command"] != "caddy oauth doctor --issuer "+issuer {
			t.Errorf("%s: %s %v", issuer, line.Message, fields)
		}
		observe(as.Event{Op: as.OpFetch, Err: report.Forms[0].Err, Held: true})
		if text := logs.All()[1].Message; !strings.Contains(text, "stay in force") {
			t.Errorf("with keys: %s", text)
		}
	}
}
