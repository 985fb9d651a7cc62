package as

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"

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
	said, err := s.askWith(s.cfg.contextFor(ctx, ends.UserInfo, ends.from), access, endpoint, ends.UserInfo, "application/json, application/jwt", maxAnswer)
	if err != nil {
		return "", err
	}
	return said.body, nil
}

// UserAt asks an address of the operator's what it says of the user whom an access
// token speaks for, once. It answers the body, and the address of its next page, if
// there is a Link to one (RFC 8288). Errors are as with UserInfo.
func (s *Server) UserAt(ctx context.Context, access secret.Text, address string) (body, next string, err error) {
	ctx, _ = allowAnyAddress(ctx, s.cfg.dialing().zone)
	said, err := s.askWith(ctx, access, "user endpoint", address, "application/json", maxDocument)
	if err != nil {
		return "", "", err
	}
	return said.body, nextOf(said.links), nil
}

// spoken is an answer to a question that an access token came with.
type spoken struct {
	body  string
	links []string
}

// askWith asks with an access token, and takes so many bytes at the most.
func (s *Server) askWith(ctx context.Context, access secret.Text, endpoint, address, accept string, most int) (*spoken, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header = http.Header{
		"Accept":        {accept},
		"Authorization": {"Bearer " + access.Reveal()},
		"User-Agent":    {"caddy-oauth"},
	}
	res, err := s.caller.RoundTrip(req)
	if err != nil {
		return nil, &CallError{Err: fmt.Errorf("the %s did not answer: %w", endpoint, tame(err))}
	}
	defer res.Body.Close()
	r := s.readResponse(endpoint, res)
	switch {
	case r.status != http.StatusOK:
		return nil, &CallError{
			Status: r.status, RetryAfter: r.after, Err: fmt.Errorf("the %s answered with status %d", endpoint, r.status),
		}
	case r.broken != nil:
		return nil, &CallError{Status: r.status, Err: fmt.Errorf("the %s broke off: %w", endpoint, r.broken)}
	case len(r.body) > most:
		return nil, &CallError{Status: r.status, Err: fmt.Errorf("the %s answered with more than %d bytes", endpoint, most)}
	}
	return &spoken{string(bytes.TrimSpace(r.body)), res.Header["Link"]}, nil
}

// nextOf is the address of the next page among links: <https://…>; rel="next".
func nextOf(links []string) string {
	for _, field := range links {
		for link := range strings.SplitSeq(field, ",") {
			target, parameters, _ := strings.Cut(strings.TrimSpace(link), ">")
			address, is := strings.CutPrefix(target, "<")
			if !is {
				continue
			}
			for parameter := range strings.SplitSeq(parameters, ";") {
				if name, value, _ := strings.Cut(strings.TrimSpace(parameter), "="); strings.EqualFold(name, "rel") && strings.Trim(value, `"`) == "next" {
					return address
				}
			}
		}
	}
	return ""
}
