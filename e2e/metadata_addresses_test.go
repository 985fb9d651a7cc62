package e2e

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// A bad issuer among good ones names Caddy's own admin endpoint as each of its
// endpoints. The gateway used to post there.
func TestABadIssuersMetadataDoNotReachTheAdminEndpoint(t *testing.T) {
	t.Parallel()
	g, up := newGateway(t), startUpstream(t)
	stop := "http://" + g.admin + "/stop"
	var bad *httptest.Server
	bad = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/.well-known/") {
			http.NotFound(w, r)
			return
		}
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q,"token_endpoint":%[3]q,"revocation_endpoint":%[3]q,"device_authorization_endpoint":%[3]q,
			"introspection_endpoint":%[3]q,"token_endpoint_auth_methods_supported":["client_secret_post","client_secret_basic"]}`, bad.URL, bad.URL+"/keys", stop)
	}))
	t.Cleanup(bad.Close)
	ca := writeFile(t, g.home, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: bad.Certificate().Raw})))
	g.serve(g.site(g.port, fmt.Sprintf(`oauth {
		issuer %s {
			audience %s
			trust_pool file %s
			client gateway a-secret
			introspect
		}
		session {
			store memory
			keys 0123456789abcdef0123456789abcdef
		}
		token_endpoint /token {
			grant_types client_credentials authorization_code refresh_token device_code
			public_clients app
			device_authorization_endpoint /device
			revocation_endpoint /revoke
		}
	}`, bad.URL, audience, ca), up))
	if got := get(t, g.url("/"), "an-opaque-token"); got.status != http.StatusServiceUnavailable {
		t.Errorf("an opaque token: %d %s", got.status, got.body)
	}
	for path, form := range map[string]string{
		"/token":  "grant_type=client_credentials&client_id=robot&client_secret=its-own",
		"/device": "client_id=app",
	} {
		values, _ := url.ParseQuery(form)
		resp, err := plainClient.PostForm(g.url(path), values)
		if err != nil {
			t.Fatal(err)
		}
		closeAll(resp.Body)
		if resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
	g.adminGet("/config/") // it is still there
	stdout, _, code := g.with("oauth", "doctor")
	if code != 1 || !strings.Contains(stdout, "token_endpoint: ") || !strings.Contains(stdout, "is plain http on loopback") {
		t.Errorf("doctor: %d\n%s", code, stdout)
	}
	if up.requests.Load() > 0 {
		t.Errorf("%d requests reached the upstream", up.requests.Load())
	}
}
