package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestALogInEndsWithTheCookiesThatItsSiteLeaves(t *testing.T) {
	s, err := newSigner("ES256")
	if err != nil {
		t.Fatal(err)
	}
	i, err := startIssuer(s)
	if err != nil {
		t.Fatal(err)
	}
	defer i.stop()
	var asked, first, second string
	mux := http.NewServeMux()
	mux.HandleFunc("/begin", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "begun", Value: "1"})
		http.Redirect(w, r, i.url+"/authorize?client_id=c&state=s&nonce=n&redirect_uri=http://"+r.Host+"/back", http.StatusFound)
	})
	mux.HandleFunc("/back", func(w http.ResponseWriter, r *http.Request) {
		asked = r.Header.Get("Cookie") + " " + r.FormValue("state")
		if first, err = i.idToken(r.FormValue("code"), "alice", time.Now()); err != nil {
			t.Error(err)
		}
		second, _ = i.idToken(r.FormValue("code"), "alice", time.Now())
		http.SetCookie(w, &http.Cookie{Name: "begun", MaxAge: -1})
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "2"})
		http.Redirect(w, r, "/", http.StatusFound)
	})
	site := httptest.NewServer(mux)
	defer site.Close()
	field, err := logIn(t.Context(), http.DefaultTransport, site.URL+"/begin")
	if err != nil || field != "Cookie: session=2" || asked != "begun=1 s" {
		t.Errorf("got %q, %v; the callback had %q", field, err, asked)
	}
	if !verify(t, s, first) || second != "" {
		t.Errorf("the code gave %q, then %q", first, second)
	}
}

func TestTheLoadOverTLSIsOfTheProtocolThatWasAskedFor(t *testing.T) {
	cert, key, err := certificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	fields := filepath.Join(t.TempDir(), "fields")
	if err := os.WriteFile(fields, []byte("Authorization: Bearer t\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer t" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})}
	go func() { _ = server.ServeTLS(ln, cert, key) }() // until Close
	defer server.Close()
	for _, over := range []string{"h1", "h2"} {
		all, err := transports(over, 4)
		if err != nil {
			t.Fatal(err)
		}
		be := role{load: overAddr(ln.Addr().String()), over: over, fields: fields}
		if status, err := sendOne(all[0], be, "Authorization", "Bearer t"); err != nil || status != http.StatusOK {
			t.Errorf("%s: %d, %v", over, status, err)
		}
		be.over = "h3"
		if _, err := sendOne(all[0], be, "Authorization", "Bearer t"); err == nil || !strings.Contains(err.Error(), "want h3") {
			t.Errorf("an answer of %s counts as one of h3: %v", over, err)
		}
	}
	if _, err := transports("h4", 1); err == nil {
		t.Error("there is no h4")
	}
}
