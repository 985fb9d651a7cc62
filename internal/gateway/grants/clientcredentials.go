package grants

import (
	"encoding/json"
	"errors"
	"net/url"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/secret"
	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/tokenrequest"
)

// Caller is what a grant of client_credentials is renewed with: what the client
// itself sent. It is sealed with the grant.
type Caller struct {
	ID       string   `json:"id"`
	Secret   string   `json:"secret"`
	Method   string   `json:"method"`
	Scope    string   `json:"scope,omitempty"`
	Audience string   `json:"audience,omitempty"`
	Resource []string `json:"resource,omitempty"`
}

// Form is the request of RFC 6749 §4.4.2.
func (c *Caller) Form() url.Values {
	form := url.Values{"grant_type": {tokenrequest.ClientCredentials}}
	if c.Scope != "" {
		form.Set("scope", c.Scope)
	}
	if c.Audience != "" {
		form.Set("audience", c.Audience) // Auth0 needs it to answer a JWT
	}
	if len(c.Resource) > 0 {
		form["resource"] = c.Resource // RFC 8707
	}
	return form
}

// Client is the caller at the issuer.
func (c *Caller) Client() as.Client {
	return as.Client{ID: c.ID, Secret: secret.New(c.Secret), Method: c.Method}
}

// Seal is how the credentials stand in a grant.
func (c *Caller) Seal() secret.Text {
	text, _ := json.Marshal(c) //nolint:gosec // it is sealed with the grant; strings always encode
	return secret.New(string(text))
}

// CallerOf reads the credentials of a grant.
func CallerOf(g *session.Grant) (*Caller, error) {
	var c Caller
	if err := json.Unmarshal([]byte(g.Credentials.Reveal()), &c); err != nil {
		return nil, errors.New("the credentials of a grant cannot be read")
	}
	return &c, nil
}
