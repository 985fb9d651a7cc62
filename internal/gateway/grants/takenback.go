package grants

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/revoked"
	"github.com/caddyoauth/caddyoauth/internal/session"
)

// TakeBackTokens takes back what clients bring themselves, and leaves grants alone:
// for who ends those that it means by itself. Where another site names another
// server by the same name, that server's users may go by the same names, and
// nothing is taken back.
func (k *Keeper) TakeBackTokens(ctx context.Context, t *issuers.Trust, e revoked.Entry) error {
	if k.vault.hasNamesake(k, t) {
		return nil
	}
	e.TokensOnly = true
	return k.vault.revoked.Add(ctx, e)
}

// documents are those of a vault, as the list of what was taken back is kept in.
type documents struct{ vault *session.Vault }

func (d documents) Read(ctx context.Context, name string) (text []byte, version string, err error) {
	text, version, err = d.vault.Document(ctx, name)
	if errors.Is(err, session.ErrNoDocument) {
		err = revoked.ErrNoDocument
	}
	return text, version, err
}

func (d documents) Write(ctx context.Context, name, version string, text []byte, until time.Time) (next string, err error) {
	next, err = d.vault.WriteDocument(ctx, name, version, text, until)
	if errors.Is(err, session.ErrDocumentChanged) {
		err = revoked.ErrChanged
	}
	return next, err
}

// followRevoked keeps the list of what was taken back in the store.
func (v *vault) followRevoked(s *session.Vault) {
	defer s.WatchDocument(revoked.Head, v.revoked.Wake)()
	v.revoked.Follow(v.ctx, documents{s})
}

// Identity is that of the store.
func (k *Keeper) Identity() string { return k.vault.identity }

// EndRevoked ends the grants that an entry covers, in every store whose sites take
// tokens of its issuer, as far as they are found at once. Those that are not end
// with their next request, which is refused.
func EndRevoked(ctx context.Context, e *revoked.Entry) (ended int, err error) {
	for _, v := range allVaults() {
		if !v.hasIssuer(e.Issuer) {
			continue
		}
		n, failed := v.endRevoked(ctx, e)
		if ended += n; failed != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", v.identity, failed))
		}
	}
	return ended, err
}

// EndRevoked ends the grants of this store that an entry covers, as far as they are
// found at once.
func (k *Keeper) EndRevoked(ctx context.Context, e *revoked.Entry) (ended int, err error) {
	return k.vault.endRevoked(ctx, e)
}

// TakeBack takes something back: it counts at once here, and on every node within a
// second of the store's answer; and it ends the grants that were found. An error
// may be of the one, while the other was done.
func (k *Keeper) TakeBack(ctx context.Context, e revoked.Entry) (ended int, err error) {
	err = k.vault.revoked.Add(ctx, e)
	ended, failed := k.vault.endRevoked(ctx, &e)
	return ended, errors.Join(err, failed)
}

// endRevoked ends what is named by subject or by session alone, and what a client that is
// named alone has for itself. What was taken back
// until some time ago leaves those alone that have begun since; of a session each
// grant is judged by itself then, with its next request.
func (v *vault) endRevoked(ctx context.Context, e *revoked.Entry) (ended int, err error) {
	past := !e.Before.IsZero() && e.Before.Before(time.Now().Add(-time.Second))
	byClient := e.Client != "" && e.Subject == "" && e.Session == ""
	if past && e.Session != "" || e.TokensOnly || e.ID != "" || e.Client != "" && !byClient || e.Client == "" && e.Subject == "" && e.Session == "" {
		return 0, nil
	}
	s, err := v.open(ctx)
	if err != nil {
		return 0, err
	}
	switch {
	case byClient:
		return s.EndClient(ctx, v.serversOf(e.Issuer), e.Client, e.Before, session.EndedRevoked)
	case past:
		return s.EndSubjectUntil(ctx, e.Issuer, e.Subject, e.Before, session.EndedRevoked)
	case e.Session == "":
		return s.EndSubject(ctx, e.Issuer, e.Subject, session.EndedRevoked)
	}
	for _, client := range v.clientsAt(e.Issuer) {
		n, failed := s.EndBrowsers(ctx, session.User{Issuer: e.Issuer, Client: client}, e.Session, session.EndedRevoked)
		ended, err = ended+n, errors.Join(err, failed)
	}
	return ended, err
}

// serversOf are the servers that grants of an issuer's name are refreshed at.
func (v *vault) serversOf(issuer string) []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	all := []string{issuer} // of grants from before it was remembered
	for _, k := range v.keepers {
		if t := k.issuer(issuer); t != nil {
			if server := k.OriginOfCaller(t).Server; !slices.Contains(all, server) {
				all = append(all, server)
			}
		}
	}
	return all
}

// clientsAt are the clients that browsers log in as at an issuer.
func (v *vault) clientsAt(issuer string) (all []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, k := range v.keepers {
		if t := k.issuer(issuer); t != nil && t.Client != nil && !slices.Contains(all, t.Client.ID) {
			all = append(all, t.Client.ID)
		}
	}
	return all
}

var _ revoked.Documents = documents{}
