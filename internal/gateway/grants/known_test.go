package grants

import (
	"encoding/base64"
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/secret"
	"github.com/caddyoauth/caddyoauth/internal/session"
)

func TestAnIDTokenIsDecodedOnceAsLongAsItsGrantIsKeptOpen(t *testing.T) {
	payload := base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"alice","email":"alice@example.com","acr":"gold"}`))
	app := Origin{IDSubject: "alice", IDToken: "e30." + payload + ".c2ln"}.Seal()
	made := new(session.Made)
	// The second has nothing to decode them from.
	for _, f := range []Source{{App: app, Made: made}, {App: secret.New(""), Made: made}} {
		claims := f.IDClaims()
		if f.IDSubject() != "alice" || claims("email") != "alice@example.com" || claims("acr") != "gold" || claims("name") != nil {
			t.Errorf("%q, %v, %v, %v", f.IDSubject(), claims("email"), claims("acr"), claims("name"))
		}
		if claims("sub") != nil {
			t.Error("the ID token's sub stands for the access token's")
		}
	}
	for range 2 { // where nothing is kept it is decoded each time
		if f := (Source{App: app}); f.IDSubject() != "alice" || f.IDClaims()("email") != "alice@example.com" {
			t.Error("without a place to keep them")
		}
	}
}
