package login

import (
	"net/http"
	"slices"

	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
)

// logLoggedIn writes the line of a log-in. A session that ends with its access token,
// for want of a refresh token, is rarely meant: then it is a warning that says what
// to do.
func (s *Site) logLoggedIn(r *http.Request, sref string, tokens *as.Tokens, endsWithToken bool) {
	fields := []zap.Field{
		zap.String("sref", sref), zap.String("issuer", s.Trust.Profile.Issuer), zap.String("client_ip", telemetry.ClientAddress(r)),
		zap.Bool("refreshable", !tokens.RefreshToken.Empty()),
	}
	if !endsWithToken {
		s.Log.Info("logged in", fields...)
		return
	}
	s.Log.Warn("logged in", append(fields, zap.String("do", s.Block.refreshCure()))...)
}

// refreshCure is what to do for refresh tokens, by what is asked for already.
func (l *Login) refreshCure() string {
	const ends = "the issuer gave no refresh token, so the session ends with its access token: "
	switch {
	case !slices.Contains(l.Scope, "offline_access"):
		return ends + "most issuers give one for scope offline_access in login { … }"
	case l.Parameter["prompt"] == "":
		return ends + "some want parameter prompt consent in login { … } beside offline_access, and the client needs the grant type refresh_token at the issuer"
	default:
		return ends + "allow this client the grant type refresh_token and the scope offline_access at the issuer"
	}
}
