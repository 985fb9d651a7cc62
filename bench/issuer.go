package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// What the clients of the made-up authorization server are called, with a
// number behind it, and the one secret of them all.
const (
	clientPrefix = "bench-client-"
	clientSecret = "loopback-only" // no letter that RFC 6749 §2.3.1 would encode
)

// grantedLife is longer than a run: what is measured is use, not refreshing.
const grantedLife = time.Hour

// tokenIssuer is an authorization server on loopback, in the benchmark's own
// process: it is not asked for anything while wrk runs.
type tokenIssuer struct {
	url    string
	signer *signer
	server *http.Server
	issued atomic.Int64

	mu    sync.Mutex
	codes map[string]code
}

func startIssuer(s *signer) (*tokenIssuer, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for the issuer: %w", err)
	}
	i := &tokenIssuer{url: "http://" + ln.Addr().String(), signer: s, codes: map[string]code{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", i.serveMetadata)
	mux.HandleFunc("GET /.well-known/openid-configuration", i.serveMetadata)
	mux.HandleFunc("GET /authorize", i.serveAuthorize)
	mux.HandleFunc("GET /jwks", i.serveKeys)
	mux.HandleFunc("POST /token", i.serveToken)
	i.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = i.server.Serve(ln) }() // until stop
	return i, nil
}

func (i *tokenIssuer) stop() { _ = i.server.Close() }

func (i *tokenIssuer) serveMetadata(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer": i.url, "jwks_uri": i.url + "/jwks", "token_endpoint": i.url + "/token",
		"authorization_endpoint":                i.url + "/authorize",
		"grant_types_supported":                 []string{"client_credentials", "authorization_code"},
		"response_types_supported":              []string{"code"},
		"code_challenge_methods_supported":      []string{"S256"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{i.signer.alg},
		"token_endpoint_auth_methods_supported": []string{"client_secret_basic"},
	})
}

func (i *tokenIssuer) serveKeys(w http.ResponseWriter, _ *http.Request) {
	jwk, err := i.signer.jwk()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"keys": []any{jwk}})
}

// serveToken answers each request with a JWT for another subject: the gateway
// shall have as many of them to remember as there are grants.
func (i *tokenIssuer) serveToken(w http.ResponseWriter, r *http.Request) {
	_, secret, _ := r.BasicAuth()
	if secret != clientSecret {
		writeJSON(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	now := time.Now()
	payload := claims(int(i.issued.Add(1)), now)
	answer := map[string]any{"token_type": "Bearer", "expires_in": int(grantedLife / time.Second)}
	switch r.PostFormValue("grant_type") {
	case "client_credentials":
	case "authorization_code":
		var err error
		if answer["id_token"], err = i.idToken(r.PostFormValue("code"), payload["sub"], now); err != nil {
			writeJSON(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
			return
		}
	default:
		writeJSON(w, http.StatusBadRequest, map[string]any{"error": "unsupported_grant_type"})
		return
	}
	payload["iss"], payload["exp"] = i.url, now.Add(grantedLife).Unix()
	text, err := i.signer.sign(payload)
	if err != nil {
		writeJSON(w, http.StatusInternalServerError, map[string]any{"error": "server_error"})
		return
	}
	answer["access_token"] = text
	writeJSON(w, http.StatusOK, answer)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client has hung up
}
