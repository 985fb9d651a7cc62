package advice

import (
	"encoding/base64"

	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// byServer says what to change where the token shows which server made it, by
// the name that the setting has there; "": it does not show, or there is no more
// to say than For says of any server.
func byServer(reason string, t Token) string {
	switch {
	case ofHydra(t.Claims):
		switch reason {
		case string(token.WrongAudience):
			return "Ory Hydra: put this API into the client's list audience, and ask for it with the parameter audience=, not resource= (in login: parameter audience …); the consent app grants it with grant_access_token_audience."
		case verdict.MissingClaim:
			return "Ory Hydra: what the consent app says in session.access_token stands below ext: write ext.<name>, or list the name in oauth2.allowed_top_level_claims."
		}
	case ofDex(t.Claims):
		if reason == string(token.WrongAudience) {
			return "Dex: aud is the id of the client that asked. Caddyfile: audience <that id>. A client whose tokens are for another one asks with the scope audience:server:client_id:<id>, and stands in its trustedPeers."
		}
	case ofSpring(t.Claims):
		if reason == string(token.WrongAudience) {
			return "Spring Authorization Server: aud is the id of the client, until an OAuth2TokenCustomizer<JwtEncodingContext> sets this API with getClaims().audience(…). Caddyfile: or audience <that id>."
		}
	}
	return ""
}

// ofHydra: its JWTs have what the consent app said in ext, and their scope in a
// list.
func ofHydra(claims token.Claims) bool {
	_, ext := claims["ext"].(map[string]any)
	_, list := claims["scp"].([]any)
	return ext && list && claims["scope"] == nil
}

// ofDex: sub is a user and a connector, as a protocol buffer of two texts.
func ofDex(claims token.Claims) bool {
	raw, err := base64.RawURLEncoding.DecodeString(claims.String("sub"))
	if err != nil || len(raw) < 4 || raw[0] != 0x0a {
		return false
	}
	next := 2 + int(raw[1])
	return next+2 <= len(raw) && raw[next] == 0x12 && next+2+int(raw[next+1]) == len(raw)
}

// ofSpring: its scope is a list, and nothing says which client it is, as others
// with such a list do.
func ofSpring(claims token.Claims) bool {
	if _, list := claims["scope"].([]any); !list {
		return false
	}
	for _, name := range []string{"client_id", "azp", "cid", "appid"} {
		if claims[name] != nil {
			return false
		}
	}
	return claims["jti"] != nil && claims["nbf"] != nil
}
