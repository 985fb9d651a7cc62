package issuers

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
	"github.com/caddyoauth/caddyoauth/internal/gateway/signals"
	"github.com/caddyoauth/caddyoauth/internal/gateway/user"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// Settings are an issuer's words with their placeholders replaced and their files
// read.
type Settings struct {
	Audience    []string
	Metadata    string // the address of the metadata; "": the well-known places
	JWKS        string // the address, or file, of the keys; "": the metadata names it
	Tokens      string // what iss of access tokens is; "": the issuer
	Named       as.Named
	User        *user.User
	StatusLists []string // where lists of statuses may be
	Introspect  string   // the endpoint; "": the metadata name it
	Signals     signals.Resolved
	Algorithms  token.Algorithms
	Fixed       *token.KeySet   // keys from a file; nil: they are fetched
	Skipped     []token.Skipped // keys of the file that cannot be used
	Roots       *x509.CertPool  // nil: the system's

	content   string          // of the file of keys
	trustPool json.RawMessage // the words that Roots were made of
	bearer    string          // the name of the file
	trusted   string          // those, with the content of files that they name
	opaque    bool            // Roots were made of something that cannot be told here
}

// Resolve makes the settings of an issuer. Nothing is fetched.
func (i *Issuer) Resolve(ctx caddy.Context, repl *caddy.Replacer) (set Settings, err error) {
	if set.Audience, err = grammar.ResolveAll(repl, "audience", i.Audience); err != nil {
		return set, err
	}
	if set.Metadata, err = grammar.Resolve(repl, "metadata", i.Metadata); err != nil {
		return set, err
	}
	if set.JWKS, err = grammar.Resolve(repl, "jwks", i.JWKS); err != nil {
		return set, err
	}
	if err = i.resolveNames(repl, &set); err != nil {
		return set, err
	}
	if set.User, err = i.User.Resolve(repl, i.InsecureHTTP); err != nil {
		return set, err
	}
	if set.StatusLists, err = i.resolveStatusLists(repl); err != nil {
		return set, err
	}
	if i.Introspect != nil {
		if set.Introspect, err = i.Introspect.Resolve(repl, i.InsecureHTTP); err != nil {
			return set, err
		}
	}
	if i.Signals != nil {
		if set.Signals, err = i.Signals.Resolve(repl, i.InsecureHTTP); err != nil {
			return set, err
		}
	}
	if set.Algorithms, err = token.ParseAlgorithms(i.Algorithms); err != nil {
		return set, err
	}
	if set.Metadata != "" {
		if err := as.CheckURL(set.Metadata, i.InsecureHTTP); err != nil {
			return set, fmt.Errorf("metadata: %w", err)
		}
	}
	switch {
	case IsKeyFile(set.JWKS):
		err = set.readKeys()
		return set, err
	case set.JWKS != "":
		if err := as.CheckURL(set.JWKS, i.InsecureHTTP); err != nil {
			return set, fmt.Errorf("jwks: %w", err)
		}
	}
	if i.TrustPool != nil {
		set.trustPool = i.TrustPool
		set.trusted, set.opaque, err = trustText(i.TrustPool) // before LoadModule takes it
		if err != nil {
			return set, err
		}
		mod, err := ctx.LoadModule(i, "TrustPool")
		if err != nil {
			return set, fmt.Errorf("trust_pool: %w", err)
		}
		set.Roots = mod.(caddytls.CA).CertPool()
	}
	return set, nil
}

func (set *Settings) readKeys() error {
	doc, err := os.ReadFile(set.JWKS)
	if err != nil {
		return fmt.Errorf("jwks: %w", err)
	}
	set.content = string(doc)
	set.Fixed, set.Skipped, err = token.ParseKeySet(doc)
	if err != nil {
		return fmt.Errorf("jwks %s: %w", set.JWKS, err)
	}
	return nil
}

// trustText is the configuration of a trust pool with the content of its files:
// keys that were fetched, and stored, under one trust must not serve another.
// Of pools other than files and inline certificates only the configuration is
// known: opaque.
func trustText(raw json.RawMessage) (text string, opaque bool, err error) {
	var pool struct {
		Provider string   `json:"provider"`
		PEM      []string `json:"pem_files"`
	}
	if err := json.Unmarshal(raw, &pool); err != nil {
		return "", false, fmt.Errorf("trust_pool: %w", err)
	}
	text = string(raw)
	for _, name := range pool.PEM {
		content, err := os.ReadFile(name) //nolint:gosec // the operator's own configuration names it
		if err != nil {
			return "", false, fmt.Errorf("trust_pool: %w", err)
		}
		text += "\x00" + string(content)
	}
	return text, pool.Provider != "file" && pool.Provider != "inline", nil
}
