package login

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/credential"
	"github.com/caddyoauth/caddyoauth/internal/gateway/grants"
	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// What "identity" and "forward" take.
const (
	AccessToken = "access_token"
	IDToken     = OfIDToken
	UserInfo    = OfUserInfo
	None        = "none"
)

// ByUser reports whether a session stands for the user whom the issuer says has
// logged in, and its access token is for the issuer alone to read.
func (l *Login) ByUser() bool { return l != nil && (l.Identity == IDToken || l.Identity == UserInfo) }

// AsksUserInfo reports whether the issuer's userinfo endpoint is asked.
func (l *Login) AsksUserInfo() bool { return l.uses(OfUserInfo) || l.Identity == UserInfo }

// forwards is what the upstream gets of a session.
func (l *Login) forwards() string {
	if l.ByUser() {
		return cmp.Or(l.Forward, None)
	}
	return cmp.Or(l.Forward, AccessToken)
}

func (l *Login) checkIdentity() error {
	switch {
	case l.ResponseMode != "" && l.ResponseMode != modeQuery && l.ResponseMode != modeFormPost:
		return fmt.Errorf("login: response_mode is %q; it takes query or form_post", l.ResponseMode)
	case !slices.Contains([]string{"", AccessToken, IDToken, UserInfo}, l.Identity):
		return fmt.Errorf("login: identity is %q; it takes access_token, id_token or userinfo", l.Identity)
	case !slices.Contains([]string{"", AccessToken, IDToken, None}, l.Forward):
		return fmt.Errorf("login: forward is %q; it takes access_token, id_token or none", l.Forward)
	case l.Identity == IDToken && l.uses(OfIDToken), l.Identity == UserInfo && len(l.Claims) > 0:
		return fmt.Errorf("login: claims %s: they are there already with identity %s", strings.Join(l.Claims, " "), l.Identity)
	}
	return nil
}

// besides are the places of claims beside those of what the session stands for, in
// the order in which they count.
func (l *Login) besides() []string {
	if l.Identity == UserInfo {
		return []string{OfUserInfo}
	}
	return l.Claims
}

// User is who a session stands for, where that is not its access token: a user of the
// issuer who has logged in. It is nil for everything else. An error is a
// [*verdict.Rejection]: it began when something else counted.
func (s *Site) User(from grants.Source) (*token.Principal, error) {
	if s == nil || !from.LogIn || !s.Block.ByUser() || from.Issuer != s.Trust.Profile.Issuer {
		return nil, nil
	}
	facts, idToken := from.User()
	if facts != nil && !from.Of(s.Trust) {
		return nil, verdict.OfReference(verdict.NoGrant, "the session began as another client, or at another server: who may log in there may not here")
	}
	if facts == nil {
		return nil, verdict.OfReference(verdict.NoGrant, "nothing is kept of who logged in: the session began before identity "+s.Block.Identity)
	}
	return s.Trust.Profile.User(s.Trust, facts, idToken, from.Scope), nil
}

// ForUpstream is the token that the upstream gets, or none.
func (s *Site) ForUpstream(found credential.Presented) string {
	if s == nil || !found.Session {
		return found.Token
	}
	switch s.Block.forwards() {
	case IDToken:
		_, idToken := grants.Source{App: found.App, Made: found.Made}.User()
		return idToken
	case None:
		return ""
	}
	return found.Token
}

// grantedScope is what a log-in was granted: what was asked for, unless the answer
// says otherwise (RFC 6749 §5.1).
func (s *Site) grantedScope(tokens *as.Tokens) string {
	if tokens.Scope != nil {
		return *tokens.Scope
	}
	return s.Block.scope
}

// livesOn has a session that stands for a user live on without its access token, where
// that cannot be renewed: as long as the session block says. Where the access token is
// used, to be forwarded or to ask about the user, the session ends with it, unless
// that has no end.
func (s *Site) livesOn(granted *session.Granted) bool {
	used := s.Block.forwards() == AccessToken || s.Block.AsksUserInfo()
	if !s.Block.ByUser() || !granted.Refresh.Empty() || used && granted.ExpiresIn != nil {
		return false
	}
	granted.ExpiresIn = new(2 * s.Keeper.Longest())
	return true
}
