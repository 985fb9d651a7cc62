package as

import (
	"bytes"
	"context"
	"fmt"
	"net/http"

	"github.com/caddyoauth/caddyoauth/internal/secret"
)

// UserInfo asks what the server says of the user whom an access token speaks for
// (OpenID Connect Core §5.3), once: no retry, no redirect. It answers the body of
// a whole answer with status 200 as it came: a JSON object, or a JWT. An error is
// a [*CallError] if the endpoint was asked, else a failure to find it.
func (s *Server) UserInfo(ctx context.Context, access secret.Text) (string, error) {
	const endpoint = "userinfo endpoint"
	ends, err := s.Endpoints(ctx)
	if err != nil {
		return "", err
	}
	if ends.UserInfo == "" {
		return "", fmt.Errorf("no %s of %s: %w", endpoint, s.cfg.Issuer, ErrNoEndpoint)
	}
	req, err := http.NewRequestWithContext(s.cfg.contextFor(ctx, ends.UserInfo, ends.from), http.MethodGet, ends.UserInfo, nil)
	if err != nil {
		return "", err
	}
	req.Header = http.Header{
		"Accept":        {"application/json, application/jwt"},
		"Authorization": {"Bearer " + access.Reveal()},
		"User-Agent":    {"caddy-oauth"},
	}
	res, err := s.caller.RoundTrip(req)
	if err != nil {
		return "", &CallError{Err: fmt.Errorf("the %s did not answer: %w", endpoint, tame(err))}
	}
	defer res.Body.Close()
	r := s.readResponse(endpoint, res)
	switch {
	case r.status != http.StatusOK:
		return "", &CallError{
			Status: r.status, RetryAfter: r.after, Err: fmt.Errorf("the %s answered with status %d", endpoint, r.status),
		}
	case r.broken != nil:
		return "", &CallError{Status: r.status, Err: fmt.Errorf("the %s broke off: %w", endpoint, r.broken)}
	case len(r.body) > maxAnswer:
		return "", &CallError{Status: r.status, Err: fmt.Errorf("the %s answered with more than %d bytes", endpoint, maxAnswer)}
	}
	return string(bytes.TrimSpace(r.body)), nil
}
