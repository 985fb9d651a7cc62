package issuers

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
	"github.com/caddyoauth/caddyoauth/internal/secret"
)

// Client is who the gateway is at an issuer.
type Client struct {
	// The client id.
	ID string `json:"id,omitempty"`

	// The client secret, best as {file.…} or {env.…}.
	Secret string `json:"secret,omitempty"`

	// How the gateway authenticates: client_secret_basic, client_secret_post
	// or private_key_jwt. Default: private_key_jwt with a key; with a secret
	// what the issuer's metadata lists, client_secret_basic first.
	Auth string `json:"auth,omitempty"`

	// The file of the private key for private_key_jwt (RFC 7523): PEM or JWK.
	Key string `json:"key,omitempty"`

	// The secret is a JWT that the key signs for each call (ES256 and a curve P-256 at
	// Apple): its iss, and the kid of the key. Apple's are the team's id and the key's.
	SignedSecret []string `json:"signed_secret,omitempty"`

	// The aud of what the key signs. Default: the issuer. Okta and Microsoft
	// Entra want the address of their token endpoint.
	AssertionAudience string `json:"assertion_audience,omitempty"`
}

const privateKeyJWT = "private_key_jwt"

// AuthMethods are the ways to authenticate that auth takes (RFC 7591 §2).
var AuthMethods = []string{"client_secret_basic", "client_secret_post", privateKeyJWT}

func (c *Client) check() error {
	switch {
	case c.ID == "":
		return errors.New("client: no id")
	case c.Auth != "" && !slices.Contains(AuthMethods, c.Auth):
		return fmt.Errorf("client %s: auth is %q; it takes client_secret_basic, client_secret_post or private_key_jwt", c.ID, c.Auth)
	case c.Key != "" && c.Secret != "":
		return fmt.Errorf("client %s: a secret and a key exclude each other", c.ID)
	case c.Auth == privateKeyJWT && c.Key == "":
		return fmt.Errorf("client %s: auth private_key_jwt needs \"key <file>\"", c.ID)
	case len(c.SignedSecret) > 0 && (len(c.SignedSecret) != 2 || slices.Contains(c.SignedSecret, "")):
		return fmt.Errorf("client %s: signed_secret takes two texts: signed_secret <issuer> <key id>, the ids of the team and of the key at Apple", c.ID)
	case len(c.SignedSecret) > 0 && (c.Key == "" || c.Auth == privateKeyJWT):
		return fmt.Errorf("client %s: signed_secret needs \"key <file>\", and is no private_key_jwt: it is what the secret is made of", c.ID)
	case len(c.SignedSecret) == 0 && c.Auth != privateKeyJWT && c.Auth != "" && c.Key != "":
		return fmt.Errorf("client %s: a key is for auth private_key_jwt, not %s", c.ID, c.Auth)
	case c.AssertionAudience != "" && c.Key == "":
		return fmt.Errorf("client %s: assertion_audience is for a key, and there is none", c.ID)
	case c.Secret == "" && c.Key == "":
		return fmt.Errorf("client %s: no secret: write \"client %[1]s {file.…}\", or give a key", c.ID)
	}
	return nil
}

// Resolve replaces the placeholders, and reads the key if it stands in a file.
func (c *Client) Resolve(repl *caddy.Replacer) (*as.Client, error) {
	id, err := grammar.Resolve(repl, "client", c.ID)
	if err != nil {
		return nil, err
	}
	audience, err := grammar.Resolve(repl, "client "+id+": assertion_audience", c.AssertionAudience)
	if err != nil {
		return nil, err
	}
	client := &as.Client{ID: id, Method: c.Auth, Audience: audience}
	if c.Secret != "" {
		text, err := grammar.Resolve(repl, "client "+id+": secret", c.Secret)
		if err != nil {
			return nil, err
		}
		client.Secret = secret.New(grammar.TrimLine(text))
		return client, nil
	}
	name, err := grammar.Resolve(repl, "client "+id+": key", c.Key)
	if err != nil {
		return nil, err
	}
	doc, err := os.ReadFile(name) //nolint:gosec // the operator's own configuration names it
	if err != nil {
		return nil, fmt.Errorf("client %s: key: %w", id, err)
	}
	if client.Key, err = as.ParseClientKey(doc); err != nil {
		return nil, fmt.Errorf("client %s: key %s: %w", id, name, err)
	}
	if len(c.SignedSecret) > 0 {
		signed, err := grammar.ResolveAll(repl, "client "+id+": signed_secret", c.SignedSecret)
		if err != nil {
			return nil, err
		}
		client.SecretIssuer, client.Key.ID = signed[0], signed[1]
	}
	return client, nil
}

// parseClient reads:
//
//	client <id> [<secret>] {
//		auth <method>
//		key  <file>
//		assertion_audience <url>
//		signed_secret <issuer> <key_id>
//	}
func (i *Issuer) parseClient(d *caddyfile.Dispenser, seen grammar.Once) error {
	if err := seen.First(d); err != nil {
		return err
	}
	line, c := d.Token(), new(Client)
	args := d.RemainingArgs()
	if len(args) == 0 || len(args) > 2 || slices.Contains(args, "") {
		return d.Errf("client takes an id and a secret: client <id> [<secret>]")
	}
	c.ID = args[0]
	if len(args) == 2 {
		c.Secret = args[1]
	}
	if err := grammar.Block(d, c.parseWord); err != nil {
		return err
	}
	i.Client = c
	return grammar.At(line, c.check())
}

func (c *Client) parseWord(d *caddyfile.Dispenser, seen grammar.Once) error {
	switch d.Val() {
	case "auth":
		if err := seen.Text(d, &c.Auth); err != nil {
			return err
		}
		if !slices.Contains(AuthMethods, c.Auth) {
			return d.Errf("auth is %q; it takes client_secret_basic, client_secret_post or private_key_jwt", c.Auth)
		}
		return nil
	case "key":
		return seen.Text(d, &c.Key)
	case "assertion_audience":
		return seen.Text(d, &c.AssertionAudience)
	case "signed_secret":
		if err := seen.First(d); err != nil {
			return err
		}
		c.SignedSecret = d.RemainingArgs()
		if len(c.SignedSecret) != 2 {
			return d.Errf("signed_secret takes an issuer and the id of the key: the ids of the team and of the key at Apple")
		}
		return nil
	}
	return grammar.Unknown(d, "client", "auth, key, assertion_audience, signed_secret")
}
