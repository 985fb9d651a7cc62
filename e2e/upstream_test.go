package e2e

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// seen is a request as the upstream saw it. The upstream answers with it.
type seen struct {
	Method string
	Path   string
	Header http.Header
}

// upstream is an API that has no authentication of its own.
type upstream struct {
	server   *httptest.Server
	requests atomic.Int64
}

func startUpstream(t *testing.T) *upstream {
	t.Helper()
	u := &upstream{}
	u.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.requests.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(seen{Method: r.Method, Path: r.URL.Path, Header: r.Header})
	}))
	t.Cleanup(u.server.Close)
	return u
}

func (u *upstream) address() string {
	return strings.TrimPrefix(u.server.URL, "http://")
}
