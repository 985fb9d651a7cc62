// Package grants keeps what issuers granted: the session block, the vault that
// the sites of a store share and that outlives a reload, and the one call that
// refreshes a grant. A gateway and its features ask their [Keeper]; those who look
// from outside, such as the admin endpoint, ask for [States] or visit [Each] store.
package grants

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/gateway/stores"
	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// Keeper keeps the grants of one gateway, in a vault that it shares with the
// other gateways of its store. Of those whose configuration came into force the
// last one's settings count: nothing may be sealed with the keys of a
// configuration that fails to start.
type Keeper struct {
	Log *zap.Logger // set before it is used first

	vault   *vault
	site    string    // its name; "": it is not known
	config  any       // what all sites of one configuration have in common, and no two configurations
	shared  []setting // what it has to agree on with the others of its configuration
	store   stores.Store
	options session.Options
	keys    [][]byte // configured; none: the keyring in storage
	storage certmagic.Storage
	issuers *issuers.Set
	events  *telemetry.Events
	audit   *telemetry.Audit
	live    atomic.Bool // its configuration is in force, as far as is known
}

// NewKeeper keeps grants as a session block says, for the site that is being
// provisioned, until release is called. Nothing is opened.
func NewKeeper(ctx caddy.Context, s *Session, issuers *issuers.Set, log *zap.Logger, audit *telemetry.Audit) (k *Keeper, release func(), err error) {
	words := s.Store // before LoadStore takes them
	if err := s.provision(ctx, caddy.NewReplacer()); err != nil {
		return nil, nil, err
	}
	config, err := ctx.App("events")
	if err != nil {
		return nil, nil, fmt.Errorf("getting the events app: %w", err)
	}
	k = &Keeper{
		site: siteName(ctx), config: config, shared: s.shared(words), store: s.store, options: s.options(), keys: s.secrets,
		storage: ctx.Storage(), issuers: issuers, Log: log, events: telemetry.NewEvents(ctx, log), audit: audit,
	}
	release, err = k.join()
	return k, release, err
}

// join gives k the vault of its store, new or one that is there, until release
// is called. Sites of one configuration that differ in what a store has once are
// an error.
func (k *Keeper) join() (release func(), err error) {
	v, leave := acquireVault(k.store.Identity())
	if err := v.add(k); err != nil {
		leave()
		return nil, err
	}
	k.vault = v
	return func() {
		// In this order: refreshes under way need the keeper until they have
		// landed, which Destruct waits for.
		leave()
		v.remove(k)
	}, nil
}

// Start opens the vault, and tells the log what is amiss at its place.
func (k *Keeper) Start() {
	_, _ = k.Open(k.vault.ctx) // which logs what fails
	k.vault.examine()
}

// Open answers the vault, open. The configuration that asks thereby is in force.
// An error is a [*session.Unavailable], or the context's.
func (k *Keeper) Open(ctx context.Context) (*session.Vault, error) {
	if !k.live.Load() {
		k.live.Store(true)
		k.vault.stale.Store(true)
	}
	return k.vault.open(ctx)
}

// Access is a live access token of a grant whose issuer is configured here. An
// error is [session.ErrNoGrant], a [*verdict.Rejection] of another issuer's
// grant, or a failure.
func (k *Keeper) Access(ctx context.Context, handle session.Handle) (session.Access, error) {
	s, err := k.Open(ctx)
	if err != nil {
		return session.Access{}, err
	}
	access, err := s.Token(ctx, handle)
	if _, failed := errors.AsType[*session.Unavailable](err); failed {
		// Perhaps no configuration can refresh it any more.
		if grant, _, lookErr := s.Grant(ctx, handle); lookErr == nil && !k.vault.hasIssuer(grant.Issuer) {
			return access, k.foreign(ctx, s, handle, grant.Issuer)
		}
	}
	if err == nil && k.issuer(access.Issuer) == nil {
		return access, k.foreign(ctx, s, handle, access.Issuer)
	}
	return access, err
}

// foreign refuses a grant of an issuer that is not configured here. One that is
// configured nowhere any more ends.
func (k *Keeper) foreign(ctx context.Context, s *session.Vault, handle session.Handle, issuer string) error {
	if !k.vault.hasIssuer(issuer) {
		err := s.End(ctx, handle, session.EndedIssuer)
		k.Log.Warn("ended a grant: its issuer is not configured any more", zap.String("sref", s.Sref(handle.Key())),
			zap.String("issuer", issuer), zap.Error(err))
	}
	return verdict.UnknownIssuer(issuer, k.issuers.Names())
}

// GiveBack returns the refresh token of a grant that will not be used (RFC 7009).
func (k *Keeper) GiveBack(ctx context.Context, g session.Grant) { k.vault.revoke(ctx, g) }

// issuer is one that this gateway has, or nil.
func (k *Keeper) issuer(url string) *issuers.Trust { return k.issuers.Named(url) }

// IssuerOf finds how to speak to a grant's issuer as the client that it began
// with.
func (k *Keeper) IssuerOf(g *session.Grant) (*issuers.Trust, error) { return k.vault.issuerOf(g) }

// TokenTimeout is how long a call to the issuer's token endpoint may take.
func (k *Keeper) TokenTimeout() time.Duration { return k.settings().TokenTimeout }

// Longest is how long a grant lives at the most.
func (k *Keeper) Longest() time.Duration { return k.settings().Max }

func (k *Keeper) settings() session.Options { return session.WithDefaults(k.options) }

// Watch has w told when a grant that was used a moment ago ends, on whichever node.
func (k *Keeper) Watch(key session.Key, w session.Watcher) {
	if s := k.vault.current.Load(); s != nil {
		s.Watch(key, w)
	}
}

// Unwatch undoes Watch.
func (k *Keeper) Unwatch(key session.Key, w session.Watcher) {
	if s := k.vault.current.Load(); s != nil {
		s.Unwatch(key, w)
	}
}

// UseEach is how often a grant has to be used so that it does not end for lying idle.
func (k *Keeper) UseEach() time.Duration { return k.settings().Idle / 4 }
