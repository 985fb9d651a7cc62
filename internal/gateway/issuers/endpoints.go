package issuers

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
	"github.com/caddyoauth/caddyoauth/internal/secret"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// What an issuer is called is one thing, and where it is asked is another. Only
// where the first has to lead to the second must it be an address.

// discovered reports whether the issuer's name leads to its metadata.
func (i *Issuer) discovered() bool { return i.JWKS == "" && i.Metadata == "" && i.User == nil }

// Plain reports whether the issuer speaks OAuth 2.0 and no OpenID Connect.
func (i *Issuer) Plain() bool { return i.User != nil }

// HasMetadata reports whether metadata tell where the issuer's endpoints are.
func (i *Issuer) HasMetadata() bool { return i.User == nil && (i.JWKS == "" || i.Metadata != "") }

// GrantsTokens reports whether it is known where tokens are asked for.
func (i *Issuer) GrantsTokens() bool { return i.HasMetadata() || i.TokenEndpoint != "" }

// LogsIn reports whether it is known where browsers log in.
func (i *Issuer) LogsIn() bool {
	return i.GrantsTokens() && (i.HasMetadata() || i.AuthorizationEndpoint != "")
}

// names are all that iss of its tokens may be.
func (i *Issuer) names() []string {
	if i.AccessTokenIssuer == "" {
		return i.URL
	}
	return append(slices.Clone(i.URL), i.AccessTokenIssuer)
}

// byHand are the words for endpoints.
func (i *Issuer) byHand() map[string]string {
	return map[string]string{
		"authorization_endpoint": i.AuthorizationEndpoint, "token_endpoint": i.TokenEndpoint,
		"userinfo_endpoint": i.UserinfoEndpoint, "end_session_endpoint": i.EndSessionEndpoint,
	}
}

// checkNames looks at the words about names and addresses by themselves.
func (i *Issuer) checkNames() error {
	several, file := len(i.URL) > 1, IsKeyFile(i.JWKS)
	words := i.byHand()
	words["bearer_token_file"], words["metadata"] = i.BearerTokenFile, i.Metadata
	for _, word := range []string{"metadata", "authorization_endpoint", "token_endpoint", "userinfo_endpoint", "end_session_endpoint", "bearer_token_file"} {
		switch {
		case words[word] == "":
		case several:
			return fmt.Errorf("%s is that of one issuer, and not of several URLs: use a block for each", word)
		case file:
			return fmt.Errorf("%s has no use with keys from a file: name the URL of the keys, or leave jwks out", word)
		}
	}
	switch {
	case i.User != nil && (several || i.JWKS != "" || i.Metadata != "" || i.UserinfoEndpoint != "" || i.Introspect != nil):
		return errors.New("user is for one issuer without OpenID Connect: it has a block of its own, and in it no metadata, jwks, userinfo_endpoint or introspect")
	case i.User != nil && (i.AuthorizationEndpoint == "" || i.TokenEndpoint == ""):
		return errors.New("user: nobody can tell where to log in: write authorization_endpoint <url> and token_endpoint <url>")
	case i.User != nil && i.User.Check(i.InsecureHTTP) != nil:
		return i.User.Check(i.InsecureHTTP)
	case i.AccessTokenIssuer != "" && several:
		return errors.New("access_token_issuer is that of one issuer, and not of several URLs: use a block for each")
	case i.AccessTokenIssuer != "":
		return checkName("access_token_issuer", i.AccessTokenIssuer)
	case i.BearerTokenFile != "" && i.InsecureHTTP:
		return errors.New("bearer_token_file and insecure_http exclude each other: whoever is on the way could read the token")
	}
	return nil
}

// checkName looks at a name that is never dialled.
func checkName(word, name string) error {
	if name == "" || strings.ContainsFunc(name, func(c rune) bool { return unicode.IsSpace(c) || !unicode.IsPrint(c) }) {
		return fmt.Errorf("%s: %.200q is empty, or has white space or what cannot be seen in it", word, name)
	}
	return nil
}

// CheckURL finds what is wrong with the name of the issuer whose placeholders are
// replaced.
func (i *Issuer) CheckURL(url string) error {
	if !i.discovered() {
		return checkName("issuer", url)
	}
	if strings.Contains(url, "?") {
		return fmt.Errorf("issuer %s: an issuer has no query (RFC 8414 §2)%s", url, onlyAName)
	}
	if err := as.CheckURL(url, i.InsecureHTTP); err != nil {
		return fmt.Errorf("issuer: %w%s", err, onlyAName)
	}
	return nil
}

const onlyAName = "; if it is a name that leads nowhere, write jwks <url|path> or metadata <url> in its block"

// resolveNames replaces the placeholders of names and addresses.
func (i *Issuer) resolveNames(repl *caddy.Replacer, set *Settings) (err error) {
	for _, one := range []struct {
		word, value string
		to          *string
	}{
		{"access_token_issuer", i.AccessTokenIssuer, &set.Tokens},
		{"authorization_endpoint", i.AuthorizationEndpoint, &set.Named.Authorization},
		{"token_endpoint", i.TokenEndpoint, &set.Named.Token},
		{"userinfo_endpoint", i.UserinfoEndpoint, &set.Named.UserInfo},
		{"end_session_endpoint", i.EndSessionEndpoint, &set.Named.EndSession},
		{"bearer_token_file", i.BearerTokenFile, &set.bearer},
	} {
		if *one.to, err = grammar.Resolve(repl, one.word, one.value); err != nil {
			return err
		}
		if *one.to == "" || !strings.HasSuffix(one.word, "_endpoint") {
			continue
		}
		if err := as.CheckURL(*one.to, i.InsecureHTTP); err != nil {
			return fmt.Errorf("%s: %w", one.word, err)
		}
	}
	return nil
}

// Server is what the issuer's server is known by.
func (i *Issuer) Server(url string, set Settings) as.Config {
	cfg := as.Config{
		Issuer: url, Metadata: set.Metadata, JWKS: set.JWKS, Named: set.Named, Plain: i.Plain(),
		AllowHTTP: i.InsecureHTTP, Trust: set.Roots,
	}
	if len(set.StatusLists) > 0 {
		cfg.Statuses = &as.Statuses{Origins: set.StatusLists, Lists: token.ListProfile{
			Issuer: url, Tokens: set.Tokens, Algorithms: set.Algorithms, Skew: MaxSkew,
		}}
		if set.Fixed != nil {
			cfg.Statuses.Lists.Keys = set.Fixed
		}
	}
	if set.bearer != "" {
		cfg.Bearer = func() (secret.Text, error) { return readBearer(set.bearer) }
	}
	return cfg
}

// mostBearer is how much of a file is read, in bytes.
const mostBearer = 32 << 10

// readBearer reads a bearer token as it is now.
func readBearer(name string) (secret.Text, error) {
	file, err := os.Open(name) //nolint:gosec // the operator's own configuration names it
	if err != nil {
		return secret.Text{}, fmt.Errorf("bearer_token_file: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(file, mostBearer+1))
	if err != nil {
		return secret.Text{}, fmt.Errorf("bearer_token_file: %w", err)
	}
	line := strings.TrimSpace(string(text))
	if line == "" || len(line) > mostBearer || strings.ContainsFunc(line, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return secret.Text{}, fmt.Errorf("bearer_token_file: %s holds no token: one line of visible ASCII", name)
	}
	return secret.New(line), nil
}
