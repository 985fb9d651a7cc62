package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// transmitter sends security events, pushed to a gateway (RFC 8935). It signs with the
// issuer's key.
type transmitter struct {
	url    string
	signer *signer
	server *http.Server
	client *http.Client
}

func startTransmitter(s *signer) (*transmitter, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for the transmitter: %w", err)
	}
	t := &transmitter{url: "http://" + ln.Addr().String(), signer: s, client: &http.Client{Timeout: 30 * time.Second}}
	keys := &tokenIssuer{url: t.url, signer: s}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /keys", keys.serveKeys)
	mux.HandleFunc("GET /.well-known/ssf-configuration", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{
			"spec_version": "1_0", "issuer": t.url, "jwks_uri": t.url + "/keys", "configuration_endpoint": t.url + "/streams",
			"delivery_methods_supported": []string{"urn:ietf:rfc:8935"}, "default_subjects": "ALL",
		})
	})
	mux.HandleFunc("GET /streams", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, []any{}) })
	t.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = t.server.Serve(ln) }() // until stop
	return t, nil
}

func (t *transmitter) stop() { _ = t.server.Close() }

const sessionRevoked = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"

// push takes back all that an issuer gave to a subject.
func (t *transmitter) push(ctx context.Context, addr, issuer, subject string) error {
	now := time.Now()
	set, err := t.signer.signAs("secevent+jwt", map[string]any{
		"iss": t.url, "aud": "bench", "iat": now.Unix(), "jti": rand.Text(),
		"sub_id": map[string]any{"format": "iss_sub", "iss": issuer, "sub": subject},
		"events": map[string]any{sessionRevoked: map[string]any{"event_timestamp": now.Unix()}},
	})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/signals", strings.NewReader(set))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/secevent+jwt")
	resp, err := t.client.Do(req)
	if err != nil {
		return fmt.Errorf("pushing an event: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("the gateway answers an event with %d", resp.StatusCode)
	}
	return nil
}
