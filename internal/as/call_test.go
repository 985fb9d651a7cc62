package as

import (
	"bytes"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/secret"
)

func TestNoRedirectIsFollowedWithCredentials(t *testing.T) {
	var strangers atomic.Int64
	elsewhere := servePlain(t, map[string]http.HandlerFunc{"/x": func(http.ResponseWriter, *http.Request) { strangers.Add(1) }})
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, target := range []string{elsewhere.URL + "/x", "/token", "::bad", ""} {
			l := serveRaw(t, say(whole(status, `{"error":"invalid_grant"}`, "Location: "+target)))
			_, err := asking(t, l.url).Token(t.Context(), Client{ID: "app", Secret: secret.New("s3cret")}, refreshing)
			if got := failure(t, err); got.Fate != Unconsumed || got.Status != status || l.times() != 1 {
				t.Errorf("%d to %q: %s, asked %d times: %v", status, target, got.Fate, l.times(), err)
			}
		}
	}
	if n := strangers.Load(); n > 0 {
		t.Errorf("%d redirects were followed", n)
	}
}

// On a connection that was kept, a grant may be written to a server that is
// gone, and net/http logs what it finds behind an answer.
func TestEachCallHasAConnectionOfItsOwn(t *testing.T) {
	var logged bytes.Buffer
	defer log.SetOutput(log.Writer())
	log.SetOutput(&logged)
	gone := make(chan struct{})
	l := serveRaw(t, func(conn net.Conn) {
		good := bearer(`"expires_in":1`)
		_, _ = io.WriteString(conn, announced(200, len(good), good+`{"refresh_token":"`+newRT, "Connection: keep-alive"))
		_, _ = conn.Read(make([]byte, 1)) // the gateway hangs up first
		gone <- struct{}{}
	})
	s := asking(t, l.url)
	for range 3 {
		tokens, err := s.Token(t.Context(), public, refreshing)
		if err != nil || tokens.AccessToken.Reveal() != newAT {
			t.Fatal(err)
		}
		<-gone
	}
	if n := l.times(); n != 3 {
		t.Errorf("%d requests for 3 calls", n)
	}
	if logged.Len() > 0 {
		t.Errorf("logged: %s", logged.String())
	}
}

func TestAGoodAnswer(t *testing.T) {
	l := serveRaw(t, say(whole(200, `{"access_token":"`+newAT+`","token_type":"bearer","expires_in":"300","refresh_token":"`+newRT+`",
		"id_token":"a.b.c","scope":"a b","more":{"deep":[1,2,{}]}}`)))
	got, err := asking(t, l.url).Token(t.Context(), public, refreshing)
	if err != nil {
		t.Fatal(err)
	}
	if got.AccessToken.Reveal() != newAT || got.RefreshToken.Reveal() != newRT || got.IDToken.Reveal() != "a.b.c" ||
		got.TokenType != "Bearer" || *got.ExpiresIn != 5*time.Minute || *got.Scope != "a b" {
		t.Errorf("%+v", got)
	}
	req, form := l.asked[0], l.forms[0]
	if req.Method != http.MethodPost || req.Header.Get("Accept") != "application/json" ||
		req.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || form.Get("refresh_token") != oldRT {
		t.Errorf("asked %s %v", req.Method, req.Header)
	}
}

func TestRetryAfterIsSecondsOrADateWithinAnHour(t *testing.T) {
	now := time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"7": 7 * time.Second, "0": 0, "": 0, "-1": 0, "soon": 0, "1.5": 0, "99999999999999999999": Ceiling,
		now.Add(90 * time.Second).Format(http.TimeFormat): 90 * time.Second,
		now.Add(-time.Hour).Format(http.TimeFormat):       0,
		"Fri, 31 Dec 9999 23:59:59 GMT":                   Ceiling,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
	l := serveRaw(t, say(whole(503, "", "Retry-After: 7")))
	_, err := asking(t, l.url).Token(t.Context(), public, refreshing)
	if got := failure(t, err); got.RetryAfter != 7*time.Second {
		t.Errorf("off the wire: %s", got.RetryAfter)
	}
}

func TestARevocationIsTheTokenAndItsHint(t *testing.T) {
	l := serveRaw(t, say(whole(200, "whatever")))
	if err := asking(t, l.url).Revoke(t.Context(), public, secret.New(oldRT), "refresh_token"); err != nil {
		t.Fatal(err)
	}
	if want := "client_id=app&token=" + oldRT + "&token_type_hint=refresh_token"; l.forms[0].Encode() != want {
		t.Errorf("sent %s, want %s", l.forms[0].Encode(), want)
	}
	l = serveRaw(t, say(whole(503, "", "Retry-After: 3")))
	if got := failure(t, asking(t, l.url).Revoke(t.Context(), public, secret.New(oldRT), "")); got.Fate != Unconsumed || got.RetryAfter == 0 {
		t.Errorf("%+v", got)
	}
	if err := asking(t, "").Revoke(t.Context(), public, secret.New(oldRT), ""); !errors.Is(err, ErrNoEndpoint) || failure(t, err).Fate != NotSent {
		t.Errorf("without an endpoint: %v", err)
	}
}

func TestADeviceAuthorizationIsPassedOnAsItCame(t *testing.T) {
	good := `{"device_code":"d","user_code":"ABCD","verification_uri":"https://login.example.com/d","expires_in":60, "more":[1]}`
	l := serveRaw(t, say(whole(200, good)))
	form := url.Values{"scope": {"orders:read"}}
	doc, err := asking(t, l.url).DeviceAuthorization(t.Context(), public, form)
	if err != nil || string(doc) != good || l.forms[0].Encode() != "client_id=app&scope=orders%3Aread" {
		t.Errorf("%s, %v, sent %v", doc, err, l.forms)
	}
	if len(form) != 1 {
		t.Errorf("the caller's form became %v", form)
	}
	for _, bad := range []string{`{"user_code":"ABCD"}`, `{"device_code":"","user_code":"x"}`, `[]`, ``, strings.Replace(good, `"d"`, `["d"]`, 1)} {
		l := serveRaw(t, say(whole(200, bad)))
		_, err := asking(t, l.url).DeviceAuthorization(t.Context(), public, form)
		if got := failure(t, err); got.Fate != Unknown {
			t.Errorf("%s: %v", bad, err)
		}
	}
	l = serveRaw(t, say(whole(400, `{"error":"invalid_scope","error_description":"no such scope","error_uri":"https://login.example.com/e"}`)))
	_, err = asking(t, l.url).DeviceAuthorization(t.Context(), public, form)
	if got := failure(t, err); got.Code != "invalid_scope" || got.Description != "no such scope" || got.URI != "https://login.example.com/e" {
		t.Errorf("%+v", got)
	}
}
