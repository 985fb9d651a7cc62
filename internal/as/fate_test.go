package as

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const goodAnswer = `{"access_token":"` + newAT + `","token_type":"Bearer","expires_in":300,"refresh_token":"` + newRT + `"}`

// bearer is an answer with an access token and these members.
func bearer(members string) string { return `{"access_token":"` + newAT + `",` + members + `}` }

const rtMember = `"refresh_token":"` + newRT + `"`

func TestWhatBecameOfTheGrantAfterEachAnswer(t *testing.T) {
	page := "<!doctype html><title>" + newRT + "</title>"
	for name, c := range map[string]struct {
		do       func(net.Conn)
		fate     Fate
		status   int
		code     string
		salvaged bool
	}{
		"invalid_grant with 400":            {say(whole(400, `{"error":"invalid_grant"}`)), Refused, 400, "invalid_grant", false},
		"invalid_grant with 403":            {say(whole(403, `{"error":"invalid_grant"}`)), Refused, 403, "invalid_grant", false},
		"invalid_grant with 200":            {say(whole(200, `{"error":"invalid_grant"}`)), Refused, 200, "invalid_grant", false},
		"invalid_request":                   {say(whole(400, `{"error":"invalid_request"}`)), Refused, 400, "invalid_request", false},
		"invalid_client":                    {say(whole(401, `{"error":"invalid_client"}`)), BadClient, 401, "invalid_client", false},
		"unauthorized_client":               {say(whole(400, `{"error":"unauthorized_client"}`)), Refused, 400, "unauthorized_client", false},
		"invalid_scope":                     {say(whole(400, `{"error":"invalid_scope"}`)), Refused, 400, "invalid_scope", false},
		"interaction_required with 200":     {say(whole(200, `{"error":"interaction_required"}`)), Refused, 200, "interaction_required", false},
		"access_denied with 403":            {say(whole(403, `{"error":"access_denied"}`)), Refused, 403, "access_denied", false},
		"an outage that says access_denied": {say(whole(502, `{"error":"access_denied"}`)), Unconsumed, 502, "access_denied", false},
		"too many, and a log-in wanted":     {say(whole(429, `{"error":"login_required"}`)), Unconsumed, 429, "login_required", false},
		"authorization_pending":             {say(whole(400, `{"error":"authorization_pending"}`)), Unconsumed, 400, "authorization_pending", false},
		"slow_down with 200":                {say(whole(200, `{"error":"slow_down"}`)), Unconsumed, 200, "slow_down", false},
		"such a code with 200":              {say(whole(200, `{"error":"invalid\"grant"}`)), Unknown, 200, "", false},
		"a code with a quote":               {say(whole(400, `{"error":"invalid\"grant"}`)), Unconsumed, 400, "", false},
		"a code twice":                      {say(whole(400, `{"error":"invalid_client","error":"invalid_grant"}`)), Unconsumed, 400, "", false},
		"a firewall's page":                 {say(whole(403, page)), Unconsumed, 403, "", false},
		"not here":                          {say(whole(404, ``)), Unconsumed, 404, "", false},
		"an outage":                         {say(whole(503, page)), Unconsumed, 503, "", false},
		"an outage that says invalid_grant": {say(whole(500, `{"error":"invalid_grant"}`)), Unconsumed, 500, "invalid_grant", false},
		"too many":                          {say(whole(429, `{"error":"invalid_grant"}`)), Unconsumed, 429, "invalid_grant", false},
		"an outage that breaks off":         {say(announced(502, 100, "<")), Unconsumed, 502, "", false},
		"a status that does not exist":      {say(whole(777, `{"error":"invalid_grant"}`)), Unknown, 777, "invalid_grant", false},

		"no answer":                  {func(net.Conn) {}, Unknown, 0, "", false},
		"a reset":                    {reset, Unknown, 0, "", false},
		"no HTTP":                    {say(goodAnswer), Unknown, 0, "", false},
		"a broken header":            {say("HTTP/1.1 200 OK\r\n" + goodAnswer + "\r\n\r\n"), Unknown, 0, "", false},
		"a page with 200":            {say(whole(200, page)), Unknown, 200, "", false},
		"nothing with 200":           {say(whole(200, "")), Unknown, 200, "", false},
		"nothing with 204":           {say("HTTP/1.1 204 No Content\r\n\r\n"), Unknown, 204, "", false},
		"no access token":            {say(whole(200, `{`+rtMember+`}`)), Unknown, 200, "", true},
		"an access token of spaces":  {say(whole(200, `{"access_token":"a b",`+rtMember+`}`)), Unknown, 200, "", true},
		"an access token over lines": {say(whole(200, `{"access_token":"a\r\nX: b",`+rtMember+`}`)), Unknown, 200, "", true},
		"another type of token":      {say(whole(200, bearer(`"token_type":"DPoP",`+rtMember))), Unknown, 200, "", true},
		"a list as type of token":    {say(whole(200, bearer(`"token_type":["Bearer"],`+rtMember))), Unknown, 200, "", true},
		"an error beside the tokens": {say(whole(200, bearer(`"error":"invalid_grant",`+rtMember))), Unknown, 200, "", true},
		"a name twice":               {say(whole(200, bearer(`"a":1,"a":2,`+rtMember))), Unknown, 200, "", true},
		"two refresh tokens":         {say(whole(200, bearer(rtMember+`,`+rtMember))), Unknown, 200, "", false},
		"a refresh token of numbers": {say(whole(200, bearer(`"refresh_token":12`))), Unknown, 200, "", false},
		"broken off behind it":       {say(announced(200, 999, `{`+rtMember+`,"access_tok`)), Unknown, 200, "", true},
		"broken off within it":       {say(announced(200, 999, bearer(rtMember)[:len(bearer(rtMember))-4])), Unknown, 200, "", false},
		"broken off, unannounced":    {say("HTTP/1.0 200 OK\r\n\r\n{" + rtMember + ","), Unknown, 200, "", true},
		"too long":                   {say(whole(200, bearer(rtMember+`,"pad":"`+strings.Repeat("x", maxDocument)+`"`))), Unknown, 200, "", true},
		"a token too long":           {say(whole(200, `{"access_token":"`+strings.Repeat("x", maxToken+1)+`"}`)), Unknown, 200, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			l := serveRaw(t, c.do)
			tokens, err := asking(t, l.url).Token(t.Context(), public, refreshing)
			if err == nil {
				t.Fatalf("tokens %+v", tokens)
			}
			got := failure(t, err)
			if got.Fate != c.fate || got.Status != c.status || got.Code != c.code {
				t.Errorf("%s, status %d, code %q: %v; want %s, %d, %q", got.Fate, got.Status, got.Code, err, c.fate, c.status, c.code)
			}
			if want := map[bool]string{true: newRT}[c.salvaged]; got.Salvaged.Reveal() != want {
				t.Errorf("salvaged %q, want %q", got.Salvaged.Reveal(), want)
			}
			if n := l.times(); n != 1 {
				t.Errorf("presented %d times", n)
			}
		})
	}
}

func TestOnlyOnARefreshIsABadRequestTheEndOfTheGrant(t *testing.T) {
	l := serveRaw(t, say(whole(400, `{"error":"invalid_request"}`)))
	_, err := asking(t, l.url).Token(t.Context(), public, map[string][]string{"grant_type": {"authorization_code"}})
	if got := failure(t, err); got.Fate != Unconsumed {
		t.Error(got.Fate)
	}
}

func TestWhatDidNotLeaveThisNodeIsNotSent(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	untrusted := serveTLS(t, nil)
	for name, endpoint := range map[string]string{
		"nobody listens":       "http://" + closed.Addr().String() + "/token",
		"nobody believes them": untrusted.URL + "/token",
		"no endpoint":          "",
		"an endpoint in clear": "http://login.example.com/token",
	} {
		_, err := asking(t, endpoint).Token(t.Context(), public, refreshing)
		if got := failure(t, err); got.Fate != NotSent || got.Status != 0 {
			t.Errorf("%s: %s: %v", name, got.Fate, err)
		}
		if missing := !strings.HasPrefix(endpoint, "http") || strings.Contains(endpoint, "example"); errors.Is(err, ErrNoEndpoint) != missing {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := untrusted.asked.Load(); n > 0 {
		t.Errorf("%d requests reached a server that is not trusted", n)
	}
}

func TestAHandshakeGivenUpIsNotSent(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		if conn, err := listener.Accept(); err == nil {
			defer conn.Close()
			_, _ = conn.Read(make([]byte, 1)) // the handshake has begun
			cancel()
			_, _ = io.Copy(io.Discard, conn)
		}
	}()
	_, err = asking(t, "https://"+listener.Addr().String()+"/token").Token(ctx, public, refreshing)
	if got := failure(t, err); got.Fate != NotSent {
		t.Errorf("%s: %v", got.Fate, err)
	}
}

func TestACallGivenUpAfterItWasSentIsUnknown(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l := serveRaw(t, func(conn net.Conn) {
		cancel()
		_, _ = conn.Read(make([]byte, 1)) // until the gateway hangs up
	})
	_, err := asking(t, l.url).Token(ctx, public, refreshing)
	if got := failure(t, err); got.Fate != Unknown || !errors.Is(err, context.Canceled) {
		t.Errorf("%s: %v", got.Fate, err)
	}
}

// endless is a server that takes requests and never answers.
func endless(r *http.Request) (*http.Response, error) {
	_, _ = io.Copy(io.Discard, r.Body)
	return hang(r)
}

func TestACallEndsAfterEightSeconds(t *testing.T) {
	for name, c := range map[string]struct {
		do   answer
		fate Fate
	}{"taken and not answered": {endless, Unknown}, "not even taken": {hang, NotSent}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := newIssuer()
				issuer.set(formRFC, endpointMetadata(`"token_endpoint":"`+tokenURL+`"`))
				issuer.set(tokenURL, c.do)
				s, _ := ready(t, issuer)
				began := time.Now()
				_, err := s.Token(t.Context(), public, refreshing)
				if got := failure(t, err); got.Fate != c.fate || time.Since(began) != 8*time.Second {
					t.Errorf("after %s: %s: %v", time.Since(began), got.Fate, err)
				}
			})
		})
	}
}

func TestAFormThatWasGivenUpNeverLeaves(t *testing.T) {
	b := &body{reader: strings.NewReader("x")}
	if !b.seal() {
		t.Fatal("taken before anybody read")
	}
	if n, err := b.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Errorf("%d bytes left afterwards", n)
	}
	b = &body{reader: strings.NewReader("x")}
	_, _ = b.Read(make([]byte, 1))
	if b.seal() {
		t.Error("not taken although it was read")
	}
}
