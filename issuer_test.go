package caddyoauth

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/gateway/config"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

func TestAnEnvironmentsIssuerIsCheckedToo(t *testing.T) {
	for _, url := range []string{"https://a.example/?tenant=1", "http://a.example", "a.example"} {
		t.Setenv("OAUTH_TEST_ISSUER", url)
		g := &Gateway{Config: config.Config{Issuer: []*issuers.Issuer{{URL: []string{"{env.OAUTH_TEST_ISSUER}"}, Audience: []string{"api"}}}}}
		if err := g.Provision(provisioned(t)); err == nil || !strings.Contains(err.Error(), "issuer") {
			t.Errorf("%s: error %v, want one about the issuer", url, err)
		}
		_ = g.Cleanup()
	}
}

func TestAnEnvironmentsRealmIsCheckedToo(t *testing.T) {
	t.Setenv("OAUTH_TEST_REALM", "a\r\nX-Evil: 1")
	g := &Gateway{Config: config.Config{Issuer: []*issuers.Issuer{{URL: []string{"https://a.example"}, Audience: []string{"api"}}}, Realm: "{env.OAUTH_TEST_REALM}"}}
	if err := g.Provision(provisioned(t)); err == nil || !strings.Contains(err.Error(), "realm") {
		t.Errorf("error %v, want one about the realm", err)
	}
	_ = g.Cleanup()
}

// A client that hangs up while keys are fetched is no outage.
func TestAClientThatLeftIsNoFailureOfTheIssuer(t *testing.T) {
	g := &Gateway{log: zap.NewNop()}
	ctx, cancel := context.WithCancel(t.Context())
	down := &as.Unavailable{Issuer: "https://left.example", Err: errors.New("waiting")}
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	if status := g.account(httptest.NewRecorder(), r, down); status != http.StatusServiceUnavailable {
		t.Errorf("while the client waits: %d", status)
	}
	cancel()
	if status := g.account(httptest.NewRecorder(), r, down); status != verdict.StatusClientGone {
		t.Errorf("after it left: %d, want %d", status, verdict.StatusClientGone)
	}
}
