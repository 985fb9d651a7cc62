package as

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/caddyoauth/caddyoauth/internal/token"
)

// wellKnown lists where an issuer's metadata may be: RFC 8414 §3.1 and its form
// for OpenID Connect with the path inserted, then OpenID Connect Discovery §4.1
// with the path in front, which most servers know.
func wellKnown(issuer string) ([]string, error) {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("the issuer %q is not a URL", issuer)
	}
	root, path := u.Scheme+"://"+u.Host, strings.TrimSuffix(u.EscapedPath(), "/")
	forms := []string{
		root + "/.well-known/oauth-authorization-server" + path,
		root + "/.well-known/openid-configuration" + path,
	}
	if path != "" {
		forms = append(forms, root+path+"/.well-known/openid-configuration")
	}
	return forms, nil
}

// discover finds the address of the keys in the issuer's metadata. The form
// that answered last time is asked first.
func (s *Server) discover(ctx context.Context) error {
	forms := []string{s.cfg.Metadata}
	if s.cfg.Metadata == "" {
		var err error
		if forms, err = wellKnown(s.cfg.Issuer); err != nil {
			return err
		}
	}
	var failures []error
	for i := range forms {
		form := (s.form + i) % len(forms)
		err := s.readMetadata(ctx, forms[form])
		if err == nil {
			s.form = form
			return nil
		}
		failures = append(failures, err)
		if _, answered := errors.AsType[*answerError](err); !answered {
			break // no server there, or no time left: other paths will not help
		}
	}
	return fmt.Errorf("reading the metadata: %w", errors.Join(failures...))
}

// otherIssuerError is what metadata are that another issuer speaks in.
type otherIssuerError struct {
	found, configured string
	tokens            bool // configured is what their access tokens name
}

func (e *otherIssuerError) Error() string {
	if e.tokens {
		return fmt.Sprintf("its issuer is %.200q, and %q is what it calls itself in access tokens: write issuer %[1]s { access_token_issuer %[2]s }", e.found, e.configured)
	}
	return fmt.Sprintf("its issuer is %.200q, configured is %q", e.found, e.configured)
}

func (s *Server) readMetadata(ctx context.Context, address string) error {
	ctx, route := allowAnyAddress(ctx, s.cfg.dialing().zone)
	doc, fresh, err := s.get(ctx, address)
	if err != nil {
		return err
	}
	members, err := token.ParseObject(string(doc))
	if err != nil {
		return &answerError{address, err}
	}
	// Exact text, or one issuer could speak for another (RFC 8414 §3.3).
	if issuer, _ := members["issuer"].(string); issuer != s.cfg.Issuer {
		return &answerError{address, &otherIssuerError{issuer, s.cfg.Issuer, members["access_token_issuer"] == s.cfg.Issuer}}
	}
	// Before the keys: an issuer of opaque tokens alone may publish none.
	s.endpoints.Store(s.readEndpoints(members, route.to))
	keys, _ := members["jwks_uri"].(string)
	if err := s.checkDiscovered(keys); err != nil && s.cfg.JWKS == "" {
		return &answerError{address, fmt.Errorf("its jwks_uri: %w", err)}
	}
	s.keysURL, s.keysFrom, s.metaAt, s.metaUntil = keys, route.to, address, s.cfg.Now().Add(fresh)
	return nil
}
