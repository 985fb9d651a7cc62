package devissuer_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func (r *running) renew(token, more string) answer {
	r.t.Helper()
	return r.post("/refresh", credentials+"&grant_type=refresh_token&refresh_token="+token+more)
}

func TestARefreshGivesANewPair(t *testing.T) {
	s := start(t, "/issuer", nil)
	first := s.post("/auth", credentials)
	s.clock.advance(20 * time.Second)
	second := s.renew(first.text("refresh_token"), "")
	if second.status != http.StatusOK || second.body["expires_in"] != 15.0 || second.text("scope") != "read write" {
		t.Fatalf("got %d %v", second.status, second.body)
	}
	if second.text("refresh_token") == first.text("refresh_token") {
		t.Error("the refresh token did not rotate")
	}
	_, claims := s.verified(second.text("access_token"))
	if claims["exp"] != 1.8e9+20+15 || claims["sub"] != "demo" {
		t.Errorf("the new access token has %v", claims)
	}
	if third := s.renew(second.text("refresh_token"), ""); third.status != http.StatusOK {
		t.Errorf("the second refresh: got %d %v", third.status, third.body)
	}
}

func TestAReusedRefreshTokenEndsItsFamily(t *testing.T) {
	s := start(t, "/issuer", nil)
	stranger := s.post("/auth", credentials).text("refresh_token")
	first := s.post("/auth", credentials).text("refresh_token")
	second := s.renew(first, "").text("refresh_token")

	wantError(t, s.renew(first, ""), http.StatusBadRequest, "invalid_grant")
	wantError(t, s.renew(second, ""), http.StatusBadRequest, "invalid_grant")
	if a := s.renew(stranger, ""); a.status != http.StatusOK {
		t.Errorf("another family ended too: %d %v", a.status, a.body)
	}
}

func TestOfParallelRefreshesOneWins(t *testing.T) {
	s := start(t, "/issuer", nil)
	token := s.post("/auth", credentials).text("refresh_token")
	codes := make(chan int)
	for range 8 {
		go func() { codes <- s.renew(token, "").status }()
	}
	won := 0
	for range 8 {
		if <-codes == http.StatusOK {
			won++
		}
	}
	if won != 1 {
		t.Errorf("%d of 8 refreshes with one token succeeded", won)
	}
}

func TestARefreshTokenThatIsNoneIsRefused(t *testing.T) {
	s := start(t, "/issuer", nil)
	for _, token := range []string{"x", ".", "a.b", strings.Repeat("a.", 100)} {
		wantError(t, s.renew(token, ""), http.StatusBadRequest, "invalid_grant")
	}
	wantError(t, s.renew("", ""), http.StatusBadRequest, "invalid_request")
}

func TestARefreshTokenOfAnotherClientIsRefused(t *testing.T) {
	s := start(t, "/issuer", nil)
	token := s.post("/auth", credentials).text("refresh_token")
	a := s.post("/refresh", "client_id=other&client_secret=other-secret&grant_type=refresh_token&refresh_token="+token)
	wantError(t, a, http.StatusBadRequest, "invalid_grant")
}

func TestARefreshNeedsTheClientsSecret(t *testing.T) {
	s := start(t, "/issuer", nil)
	token := s.post("/auth", credentials).text("refresh_token")
	a := s.post("/refresh", "client_id=demo&grant_type=refresh_token&refresh_token="+token)
	wantError(t, a, http.StatusUnauthorized, "invalid_client")
}

func TestARefreshTokenRunsOut(t *testing.T) {
	s := start(t, "/issuer", nil)
	token := s.post("/auth", credentials).text("refresh_token")
	s.clock.advance(time.Hour)
	wantError(t, s.renew(token, ""), http.StatusBadRequest, "invalid_grant")
}

func TestARefreshMayNarrowTheScopeButNotWidenIt(t *testing.T) {
	s := start(t, "/issuer", nil)
	first := s.post("/auth", credentials+"&scope=read").text("refresh_token")
	wantError(t, s.renew(first, "&scope=write"), http.StatusBadRequest, "invalid_scope")

	token := s.post("/auth", credentials).text("refresh_token")
	narrow := s.renew(token, "&scope=read")
	if narrow.text("scope") != "read" {
		t.Errorf("narrowed: got %d %v", narrow.status, narrow.body)
	}
	if full := s.renew(narrow.text("refresh_token"), ""); full.text("scope") != "read write" {
		t.Errorf("the family forgot its scope: %d %v", full.status, full.body)
	}
}

func TestARefusedScopeDoesNotUseUpTheRefreshToken(t *testing.T) {
	s := start(t, "/issuer", nil)
	token := s.post("/auth", credentials).text("refresh_token")
	wantError(t, s.renew(token, "&scope=admin"), http.StatusBadRequest, "invalid_scope")
	if a := s.renew(token, ""); a.status != http.StatusOK {
		t.Errorf("got %d %v", a.status, a.body)
	}
}
