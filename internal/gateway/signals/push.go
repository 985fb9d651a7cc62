package signals

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// Error codes of RFC 8935 §2.4, which are those of RFC 8936 too.
const (
	invalidRequest       = "invalid_request"
	invalidKey           = "invalid_key"
	invalidIssuer        = "invalid_issuer"
	invalidAudience      = "invalid_audience"
	authenticationFailed = "authentication_failed"
)

// problem is why an event is not taken, as a transmitter is told.
type problem struct {
	Code        string `json:"err"`
	Description string `json:"description"`
}

// problemOf is that of a verdict; ok is false for a failure.
func problemOf(err error) (p problem, ok bool) {
	refusal, ok := errors.AsType[*token.Refusal](err)
	if !ok {
		return p, false
	}
	p = problem{invalidRequest, "the event does not pass: " + string(refusal.Reason)}
	switch refusal.Reason {
	case token.KeyUnknown, token.KeyMismatch, token.SignatureFailed, token.AlgRefused:
		p.Code = invalidKey
	case token.IssuerUnknown:
		p.Code = invalidIssuer
	case token.WrongAudience:
		p.Code = invalidAudience
	}
	return p, true
}

// Owns reports whether a path is where the transmitter posts. Case does not count,
// as it does not for Caddy's own path matcher.
func (r *Receiver) Owns(path string) bool {
	return r.block.Push != "" && strings.EqualFold(r.block.Push, path)
}

// ServeHTTP takes an event that the transmitter posts (RFC 8935 §2).
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) error {
	w.Header().Set("Cache-Control", "no-store")
	if req.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return nil
	}
	if !r.shows(req) {
		r.refuse(w, req, problem{authenticationFailed, "the Authorization header is not the stream's authorization_header"}, nil)
		return nil
	}
	if kind, _, _ := mime.ParseMediaType(req.Header.Get("Content-Type")); kind != "application/secevent+jwt" {
		r.refuse(w, req, problem{invalidRequest, "the body is not application/secevent+jwt"}, nil)
		return nil
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, req.Body, token.MaxSize+2))
	if err != nil {
		r.refuse(w, req, problem{invalidRequest, "the body is too large, or broke off"}, nil)
		return nil //nolint:nilerr // it was answered
	}
	err = r.Take(req.Context(), strings.TrimSpace(string(raw)))
	said, verdict := problemOf(err)
	switch {
	case err == nil:
		w.WriteHeader(http.StatusAccepted)
	case verdict:
		r.refuse(w, req, said, err)
	default: // RFC 8935 §2.3: what is no such error is tried again
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
		r.log().Warn("an event that was posted could not be judged, or done", zap.Error(err))
	}
	return nil
}

// shows reports whether a request has what the transmitter was given to show. Digests
// are compared: their length tells nothing.
func (r *Receiver) shows(req *http.Request) bool {
	if r.set.Header.Empty() {
		return true
	}
	values := req.Header.Values("Authorization")
	if len(values) != 1 {
		return false
	}
	got, want := sha256.Sum256([]byte(values[0])), sha256.Sum256([]byte(r.set.Header.Reveal()))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

func (r *Receiver) refuse(w http.ResponseWriter, req *http.Request, p problem, err error) {
	if err == nil {
		r.count("", outcomeRefused)
	}
	r.log().Info("refused an event that was posted", zap.String("err", p.Code), telemetry.Known("detail", p.Description), zap.NamedError("error", err), zap.String("client_ip", telemetry.ClientAddress(req)))
	text, _ := json.Marshal(p) // plain strings always encode
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Language", "en")
	w.WriteHeader(http.StatusBadRequest)
	_, _ = w.Write(append(text, '\n')) // the transmitter has gone, if anything
}
