package explain

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyoauth/caddyoauth/internal/gateway/config"
	"github.com/caddyoauth/caddyoauth/internal/gateway/identity"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
)

// subject is a gateway as far as it judges tokens: what is explained.
type subject struct {
	*config.Config
	issuers  *issuers.Set
	identity *identity.Headers
}

// Gateway is a gateway, which says what it judges tokens by.
type Gateway interface {
	JudgesBy() (*config.Config, *issuers.Set, *identity.Headers)
}

// newGateway makes a gateway that judges tokens and does nothing else: it
// opens no vault and stores no keys. Of the secrets that the running one has it
// needs none, but the client's for asking about opaque tokens: without that
// secret missing says why the issuer cannot be asked. whole is the config that
// the gateway stands in.
func newGateway(whole []byte, c *config.Config) (j Gateway, release func(), missing *missingClient, err error) {
	bare := *c
	bare.Session, bare.TokenEndpoint, bare.Login, bare.Realm = nil, nil, nil, ""
	for _, issuer := range bare.Issuer {
		if issuer.Introspect != nil && issuer.Client != nil {
			_, err := issuer.Client.Resolve(caddy.NewReplacer())
			if err == nil {
				continue
			}
			missing = &missingClient{issuer, *issuer.Introspect, err}
		}
		issuer.Client, issuer.Introspect = nil, nil
	}
	parent, err := provisionAround(whole, &bare)
	if err != nil {
		return nil, nil, nil, err
	}
	ctx, cancel := caddy.NewContext(parent)
	gateway, done, err := provisionGateway(issuers.WithoutStoredKeys(ctx), &bare)
	release = func() {
		done()
		cancel()
	}
	if err != nil {
		release()
		return nil, nil, nil, err
	}
	return gateway, release, missing, nil
}

// provisionAround makes a Caddy that serves nothing, with what trust pools need
// of a config.
func provisionAround(doc []byte, c *config.Config) (caddy.Context, error) {
	var whole caddy.Config
	if len(doc) > 0 {
		if err := json.Unmarshal(doc, &whole); err != nil {
			return caddy.Context{}, fmt.Errorf("reading the config: %w", err)
		}
	}
	off := false
	around := &caddy.Config{
		Admin: &caddy.AdminConfig{Disabled: true, Config: &caddy.ConfigSettings{Persist: &off}},
		Logging: &caddy.Logging{Logs: map[string]*caddy.CustomLog{"default": {BaseLog: caddy.BaseLog{
			WriterRaw: json.RawMessage(`{"output":"discard"}`), // what matters is explained
		}}}},
	}
	if slices.ContainsFunc(c.Issuer, func(i *issuers.Issuer) bool { return i.TrustPool != nil }) {
		around.StorageRaw = whole.StorageRaw // some pools are kept there
		if pki := whole.AppsRaw["pki"]; pki != nil {
			around.AppsRaw = caddy.ModuleMap{"pki": pki}
		}
	}
	ctx, err := caddy.ProvisionContext(around)
	if err != nil {
		return ctx, fmt.Errorf("preparing: %w", err)
	}
	return ctx, nil
}

// provisionGateway makes the module of a configuration. It is asked of Caddy, so
// that a gateway need not be known here.
func provisionGateway(ctx caddy.Context, c *config.Config) (j Gateway, release func(), err error) {
	release = func() {}
	info, err := caddy.GetModule("http.handlers.oauth")
	if err != nil {
		return nil, release, err
	}
	raw, err := json.Marshal(c)
	if err != nil {
		return nil, release, err
	}
	gateway, ok := info.New().(interface {
		Gateway
		caddy.Provisioner
		caddy.CleanerUpper
	})
	if !ok {
		return nil, release, fmt.Errorf("%T judges no tokens", info.New())
	}
	if err := json.Unmarshal(raw, gateway); err != nil {
		return nil, release, err
	}
	release = func() { _ = gateway.Cleanup() } // it never fails
	return gateway, release, gateway.Provision(ctx)
}
