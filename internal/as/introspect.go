package as

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/secret"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// maxAnswer bounds an answer about a token, in bytes: it is kept for as long as
// it counts.
const maxAnswer = 64 << 10

// Introspection is where and as whom a server is asked about tokens.
type Introspection struct {
	Endpoint string     // "": the one that the metadata name
	Named    *Endpoints // the metadata that Endpoint is of; nil: it is the operator's own words
	Client   Client
	Signed   *token.SignedAnswer // what answers must be that come as JWTs (RFC 9701); nil: they are plain JSON
}

const signedType = "application/token-introspection+jwt"

// Introspect asks what a token is (RFC 7662 §2.1). It answers the server's JSON
// as it came, too. Only a whole answer with status 200 counts. An error is a
// [*CallError] if the endpoint was asked, else a failure to find it; none says
// anything of the token.
func (s *Server) Introspect(ctx context.Context, at Introspection, presented secret.Text) (*token.Answer, string, error) {
	asking, target, offered, err := s.introspection(ctx, at)
	if err != nil {
		return nil, "", err
	}
	form := url.Values{"token": {presented.Reveal()}, "token_type_hint": {"access_token"}}
	accept := "application/json"
	if at.Signed != nil {
		accept = signedType
	}
	r, failed := s.sendFor(asking, accept, at.Client, "introspection endpoint", target, offered, form)
	if failed != nil {
		return nil, "", failed
	}
	if r.status != http.StatusOK {
		members, _ := token.ParseObject(string(r.body)) // for the code of its error, if there is one
		failed := r.refused(members, "")
		if strings.Contains(failed.Code+"\n"+failed.Description+"\n"+failed.URI, presented.Reveal()) {
			failed.Code, failed.Description, failed.URI, failed.Said = "", "", "", "" // it quotes what it was asked about
		}
		return nil, "", failed
	}
	doc := string(r.body)
	if at.Signed != nil {
		doc, err = r.proven(ctx, at.Signed, presented, s.cfg.Now())
	}
	var answer *token.Answer
	if err == nil {
		answer, err = r.answer(doc)
	}
	if err != nil {
		return nil, "", &CallError{
			Status: r.status, RetryAfter: r.after, odd: r.broken == nil && !errors.Is(err, token.ErrNoAnswer),
			Err: fmt.Errorf("the %s answered with status %d and nothing of use: %w", r.endpoint, r.status, err),
		}
	}
	return answer, doc, nil
}

// proven is what a signed answer says.
func (r *response) proven(ctx context.Context, by *token.SignedAnswer, about secret.Text, now time.Time) (string, error) {
	if r.broken != nil {
		return "", r.broken
	}
	return by.Read(ctx, string(bytes.TrimSpace(r.body)), about.Reveal(), now)
}

// answer reads a whole one. Half an answer may lack the half that matters.
func (r *response) answer(said string) (*token.Answer, error) {
	doc := strings.TrimSpace(said)
	switch {
	case r.broken != nil:
		return nil, r.broken
	case !strings.HasPrefix(doc, "{") || !strings.HasSuffix(doc, "}"):
		return nil, fmt.Errorf("%w: no JSON object", token.ErrNoAnswer)
	case len(said) > maxAnswer:
		return nil, fmt.Errorf("more than %d bytes", maxAnswer)
	}
	return token.ParseAnswer(said)
}

// introspection is the endpoint with a context for asking it, and the
// authentication methods it lists. With an address of the configuration nothing
// waits for the metadata.
func (s *Server) introspection(ctx context.Context, at Introspection) (ask context.Context, target string, offered []string, err error) {
	if at.Endpoint != "" && at.Named != nil {
		return restrictAddress(ctx, at.Named.from), at.Endpoint, at.Named.AskMethods, nil
	}
	if at.Endpoint != "" {
		ends, _ := s.KnownEndpoints()
		ask, _ = allowAnyAddress(ctx, s.cfg.dialing().zone)
		return ask, at.Endpoint, ends.AskMethods, nil
	}
	ends, err := s.Endpoints(ctx)
	if err != nil {
		return nil, "", nil, err
	}
	if ends.Introspection == "" {
		return nil, "", nil, fmt.Errorf("no introspection endpoint of %s: %w", s.cfg.Issuer, ErrNoEndpoint)
	}
	return restrictAddress(ctx, ends.from), ends.Introspection, ends.AskMethods, nil
}

// Unreadable reports whether an endpoint answered about a token, and nobody can
// tell what.
func Unreadable(err error) bool {
	failed, ok := errors.AsType[*CallError](err)
	return ok && failed.Status == http.StatusOK
}

// Blameless reports whether a call that failed says nothing against the endpoint:
// it answered, and did not like this one question, or has an odd answer to this
// one. Strangers choose what is asked, so they could make it look broken
// otherwise.
func Blameless(err error) bool {
	failed, ok := errors.AsType[*CallError](err)
	if !ok {
		return true // no request was sent
	}
	if failed.odd {
		return true
	}
	switch failed.Status {
	case 0, http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests:
		return false // no server there, or our own credentials are wrong, or too many calls
	}
	return failed.Status >= 400 && failed.Status < 500
}
