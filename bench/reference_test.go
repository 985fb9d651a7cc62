package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func askIssuer(t *testing.T, i *tokenIssuer, secret string) (status int, token string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, i.url+"/token", strings.NewReader("grant_type=client_credentials"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("somebody", secret)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, answer.Token
}

func TestIssuerGrantsDistinctTokensOfAnHourAndOnlyForTheSecret(t *testing.T) {
	s, err := newSigner("ES256")
	if err != nil {
		t.Fatal(err)
	}
	i, err := startIssuer(s)
	if err != nil {
		t.Fatal(err)
	}
	defer i.stop()
	seen := map[string]bool{}
	for range 3 {
		status, token := askIssuer(t, i, clientSecret)
		if status != http.StatusOK || !verify(t, s, token) {
			t.Fatalf("answered %d and %q", status, token)
		}
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Iss, Sub string
			Exp      int64
		}
		if err := json.Unmarshal(payload, &got); err != nil {
			t.Fatal(err)
		}
		if left := time.Until(time.Unix(got.Exp, 0)); got.Iss != i.url || left < 59*time.Minute || left > time.Hour {
			t.Errorf("issued by %s, ends in %s", got.Iss, left)
		}
		seen[got.Sub] = true
	}
	if len(seen) != 3 {
		t.Errorf("%d subjects in three tokens", len(seen))
	}
	if status, token := askIssuer(t, i, "another"); status != http.StatusUnauthorized || token != "" {
		t.Errorf("the wrong secret was answered %d and %q", status, token)
	}
}

// gateway stands in for one: it answers as its token endpoint does.
func gateway(t *testing.T, answer func(n int64) (int, string)) (addr string) {
	t.Helper()
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		if !strings.HasPrefix(id, clientPrefix) || secret != clientSecret || r.PostFormValue("grant_type") != "client_credentials" {
			t.Errorf("asked by %q with %q", id, r.PostForm)
		}
		status, body := answer(asked.Add(1))
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func TestEachReferenceTokenIsAskedForOnce(t *testing.T) {
	addr := gateway(t, func(n int64) (int, string) {
		return http.StatusOK, fmt.Sprintf(`{"access_token":"oga_%d","refresh_token":"ogr_%d"}`, n, n)
	})
	const n = 2*askers + 1
	var c candidate
	c.addr = addr
	good, err := c.ask(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	if bearer+good.Access != c.own[0] || !strings.HasPrefix(good.Refresh, "ogr_") {
		t.Errorf("the first one is %+v", good)
	}
	slices.Sort(c.own)
	if got := len(slices.Compact(c.own)); got != n {
		t.Errorf("%d distinct tokens", got)
	}
}

func TestTheReasonWhyThereAreNoReferenceTokensIsTold(t *testing.T) {
	for body, want := range map[string]string{
		`{"access_token":"eyJ.a.b","refresh_token":"ogr_1"}`: "something else than reference tokens",
		`{"access_token":"oga_1"}`:                           "something else than reference tokens",
		`<html>`:                                             "reading the answer",
	} {
		addr := gateway(t, func(int64) (int, string) { return http.StatusOK, body })
		if _, err := references(t.Context(), addr, 3); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", body, err)
		}
	}
	addr := gateway(t, func(n int64) (int, string) {
		if n == 2 {
			return http.StatusServiceUnavailable, `{"error":"temporarily_unavailable"}`
		}
		return http.StatusOK, `{"access_token":"oga_1","refresh_token":"ogr_1"}`
	})
	if _, err := references(t.Context(), addr, 2*askers); err == nil || !strings.Contains(err.Error(), "503: ") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := references(ctx, addr, 3); err == nil {
		t.Error("nobody was asked, and yet there are tokens")
	}
}

func TestBadReferenceTokensAreAllBadInAnotherWay(t *testing.T) {
	good := reference{"oga_" + strings.Repeat("Ab3-", 16), "ogr_" + strings.Repeat("x_9Z", 20)}
	bad := badReferences(good)
	seen := map[string]bool{good.Access: true}
	for name, token := range bad {
		if seen[token] {
			t.Errorf("%s is there already", name)
		}
		seen[token] = true
	}
	if len(bad["an unknown reference token"]) != len(good.Access) {
		t.Error("the unknown one is not as long as a real one")
	}
}

func TestOnlyWhatSwapsTokensIsSentItsOwn(t *testing.T) {
	b := &bench{dir: t.TempDir()}
	plain, swaps := &candidate{kind: kind{name: "bare"}}, &candidate{kind: kind{name: "reference"}, own: []string{"r1", "r2"}}
	for _, want := range []struct {
		tokens []string
		own    string
	}{{[]string{"t1"}, "r1\n"}, {[]string{"t1", "t2", "t3"}, "r1\nr2\n"}} {
		lines, err := b.lines(workload{alg: "ES256", tokens: len(want.tokens)}, []*candidate{plain, swaps}, want.tokens)
		if err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"bare": strings.Join(want.tokens, "\n") + "\n", "reference": want.own} {
			got, err := os.ReadFile(lines[name].path)
			if err != nil || string(got) != text {
				t.Errorf("%s is sent %q, %v", name, got, err)
			}
		}
	}
}

func TestGrantsAndPagesOfFilesAreCounted(t *testing.T) {
	text := "# TYPE caddy_oauth_grants gauge\ncaddy_oauth_grants{state=\"ended\"} 3\ncaddy_oauth_grants{state=\"live\"} 100001\n"
	if n, err := liveGrants(strings.NewReader(text)); err != nil || n != 100001 {
		t.Errorf("got %d, %v", n, err)
	}
	if n, err := liveGrants(strings.NewReader("nothing")); err != nil || n != 0 {
		t.Errorf("got %d, %v", n, err)
	}
	page := int64(os.Getpagesize())
	if all, ofFiles, err := parseStatm([]byte("900 70 20 1 0 50 0\n")); err != nil || all != 70*page || ofFiles != 20*page {
		t.Errorf("got %d, %d, %v", all, ofFiles, err)
	}
	if _, _, err := parseStatm([]byte("900 x")); err == nil {
		t.Error("an odd line was read")
	}
}
