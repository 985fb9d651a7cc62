package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAccept26_WithAPrivateKeyTheGatewayNeedsNoSecret(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, _ := key.PublicKey.Bytes() // 4, x, y
	jwks, _ := json.Marshal(map[string]any{"keys": []any{map[string]string{
		"kty": "EC", "crv": "P-256", "use": "sig", "x": b64.EncodeToString(public[1:33]), "y": b64.EncodeToString(public[33:]),
	}}})
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	file := filepath.Join(t.TempDir(), "client.pem")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, settings{
		env:    "GATEWAY_JWKS=" + string(jwks),
		client: "client gateway {\n\t\t\t\tauth private_key_jwt\n\t\t\t\tkey " + file + "\n\t\t\t}",
	})
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "-") && len(line) >= shortest {
			r.secrets.add(kindKey, line)
		}
	}
	s, first, before := r.beginExpired(withRT)
	if token := r.get(s).tokenSeen(t); token == first.token {
		t.Error("the upstream saw the old token")
	}
	r.wantRenewals(withRT, before, 1)
	r.revoke(s, s.refresh)
	r.wantOver(s)
	all := r.tap.all()
	r.awaitRevoked(all.of("refresh_token")[before].NewRT)
}

func TestAccept26_WithClientSecretPostTheSecretIsInTheBodyOnly(t *testing.T) {
	t.Parallel()
	secret := "post-" + rand.Text()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, settings{
		env:    "GATEWAY_AUTH=client_secret_post",
		client: "client gateway {file." + file + "} {\n\t\t\t\tauth client_secret_post\n\t\t\t}",
	})
	r.secrets.add(kindClientSecret, secret)
	r.control("secret", "client", "gateway", "secret", secret)
	s, first, before := r.beginExpired(withRT)
	if token := r.get(s).tokenSeen(t); token == first.token {
		t.Error("the upstream saw the old token")
	}
	r.wantRenewals(withRT, before, 1)
}

// A client that puts a secret into a URL has it in each log on the way. Ours is not
// one of them.
func TestAccept06_ASecretInTheURLOfAnOwnEndpointIsRefusedAndInNoLog(t *testing.T) {
	forBothKinds(t, settings{life: 60}, func(r *rig, k kind) {
		s := k.begin(r)
		query := url.Values{
			"grant_type": {"refresh_token"}, "refresh_token": {s.refresh}, "token": {s.access}, "client_secret": {r.robotSecret},
		}.Encode()
		for _, path := range []string{"/token", "/revoke", "/device"} {
			for _, method := range []string{http.MethodPost, http.MethodGet} {
				req, err := http.NewRequest(method, r.g.url(path+"?"+query), nil)
				if err != nil {
					r.t.Fatal(err)
				}
				if a, err := send(r.client, req); err != nil || a.status/100 != 4 {
					r.t.Errorf("%s %s with parameters in the URL: %d %v", method, path, a.status, err)
				}
			}
		}
		r.get(s).seen(r.t)
		if n := len(r.tap.all().of("refresh_token")); n != 0 {
			r.t.Errorf("%d refreshes", n)
		}
	})
}
