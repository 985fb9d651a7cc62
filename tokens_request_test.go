package caddyoauth

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyoauth/caddyoauth/internal/tokenrequest"
)

// Every row is refused with the status, the code and the headers of RFC 6749
// §5.2 and RFC 9110, and the issuer hears nothing of it.
func TestAWrongTokenRequestGetsItsErrorAndTheIssuerIsNotAsked(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, endpoint)
	good, form := basic("orders", "orders-secret"), []string{"Content-Type", formType}
	with := func(headers ...[]string) (all []string) {
		for _, h := range headers {
			all = append(all, h...)
		}
		return all
	}
	const cc = "grant_type=client_credentials"
	for _, row := range []struct {
		name, method, body string
		headers            []string
		want               string
	}{
		{"GET", "GET", "", good, "405 invalid_request"},
		{"HEAD", "HEAD", "", good, "405 invalid_request"},
		{"PUT", "PUT", cc, with(good, form), "405 invalid_request"},
		{"DELETE", "DELETE", "", good, "405 invalid_request"},
		{"JSON", "POST", `{"grant_type":"client_credentials"}`, with(good, []string{"Content-Type", "application/json"}), "400 invalid_request"},
		{"no content type", "POST", cc, good, "400 invalid_request"},
		{"multipart", "POST", cc, with(good, []string{"Content-Type", "multipart/form-data; boundary=x"}), "400 invalid_request"},
		{"a doubled parameter", "POST", cc + "&scope=a&scope=b", with(good, form), "400 invalid_request"},
		{"a doubled grant_type", "POST", cc + "&" + cc, with(good, form), "400 invalid_request"},
		{"a doubled client_id", "POST", cc + "&client_id=orders&client_id=orders&client_secret=x", form, "400 invalid_request"},
		{"a doubled unknown parameter", "POST", cc + "&x=1&x=2", with(good, form), "400 invalid_request"},
		{"an escape that is none", "POST", cc + "&scope=%zz", with(good, form), "400 invalid_request"},
		{"a body of more than 16 KB", "POST", cc + "&x=" + strings.Repeat("a", 16<<10), with(good, form), "413 invalid_request"},
		{"an empty body", "POST", "", with(good, form), "400 invalid_request"},
		{"no grant_type", "POST", "scope=a", with(good, form), "400 invalid_request"},
		{"the password grant", "POST", "grant_type=password&username=a&password=b", with(good, form), "400 unsupported_grant_type"},
		{"a grant type outside the list", "POST", "grant_type=authorization_code&code=c&code_verifier=v&client_id=app", form, "400 unsupported_grant_type"},
		{"a device outside the list", "POST", "grant_type=urn:ietf:params:oauth:grant-type:device_code&device_code=d&client_id=app", form, "400 unsupported_grant_type"},
		{"our name of the device grant", "POST", "grant_type=device_code&device_code=d&client_id=app", form, "400 unsupported_grant_type"},
		{"a grant type in another case", "POST", "grant_type=Client_Credentials", with(good, form), "400 unsupported_grant_type"},
		{"no credentials", "POST", cc, form, "401 invalid_client"},
		{"an id alone", "POST", cc + "&client_id=orders", form, "401 invalid_client"},
		{"an id and an empty secret", "POST", cc + "&client_id=orders&client_secret=", form, "401 invalid_client"},
		{"a secret alone", "POST", cc + "&client_secret=orders-secret", form, "401 invalid_client"},
		{"Basic with an empty secret", "POST", cc, with(basic("orders", ""), form), "401 invalid_client"},
		{"Basic with an empty id", "POST", cc, with(basic("", "orders-secret"), form), "401 invalid_client"},
		{"Basic that is no base64", "POST", cc, with([]string{"Authorization", "Basic !"}, form), "401 invalid_client"},
		{"Bearer", "POST", cc, with([]string{"Authorization", "Bearer abc"}, form), "401 invalid_client"},
		{"Basic and post at once", "POST", cc + "&client_id=orders&client_secret=orders-secret", with(good, form), "400 invalid_request"},
		{"Basic twice", "POST", cc, with(good, good, form), "400 invalid_request"},
		{"another id in the body", "POST", cc + "&client_id=other", with(good, form), "400 invalid_request"},
		{"a client assertion", "POST", cc + "&client_id=orders&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer&client_assertion=a.b.c", form, "401 invalid_client"},
		{"a client assertion beside Basic", "POST", cc + "&client_assertion=a.b.c", with(good, form), "401 invalid_client"},
		{"the gateway's id", "POST", cc, with(basic("gateway", "the-gateways-own-secret"), form), "401 invalid_client"},
		{"the gateway's id, posted", "POST", cc + "&client_id=gateway&client_secret=x", form, "401 invalid_client"},
		{"the gateway's id, escaped", "POST", cc + "&client_id=%67ateway&client_secret=x", form, "401 invalid_client"},
		{"no refresh_token", "POST", "grant_type=refresh_token", with(good, form), "400 invalid_request"},
		{"a refresh token of somebody", "POST", "grant_type=refresh_token&refresh_token=abc", with(good, form), "400 invalid_grant"},
		{"a refresh token that was never given", "POST", "grant_type=refresh_token&refresh_token=ogr_" + strings.Repeat("A", 96), with(good, form), "400 invalid_grant"},
	} {
		g.address = nextAddress()
		res := g.send(row.method, "/auth", row.body, row.headers...)
		g.refused(row.name, res, row.want)
		if asked := issuer.take(); len(asked) > 0 {
			t.Errorf("%s: the issuer was asked: %v", row.name, asked)
		}
		g.hides([]string{"the-gateways-own-secret", "orders-secret", "a.b.c"}, res.Body.String())
	}
	if len(g.saw) > 0 {
		t.Errorf("%d requests to the token endpoint were forwarded", len(g.saw))
	}
	if n := g.logs.FilterMessage("token request refused").Len(); n == 0 {
		t.Error("nothing was logged: this test would not see a secret")
	}
}

func TestAQueryAtTheTokenEndpointIsRefusedAndKeptOutOfTheLog(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, endpoint)
	for _, path := range []string{"/auth", "/refresh", "/revoke"} {
		raw := httptest.NewRequest(http.MethodPost, path+"?client_secret=mistake", strings.NewReader("grant_type=client_credentials"))
		raw.Header.Set("Content-Type", formType)
		raw.RemoteAddr = g.address + ":1"
		res := httptest.NewRecorder()
		r := caddyhttp.PrepareRequest(raw, caddy.NewReplacer(), res, g.server)
		if err := g.ServeHTTP(res, r, nothing); err != nil {
			t.Fatal(err)
		}
		g.refused(path, res, "400 invalid_request")
		if skip, _ := caddyhttp.GetVar(r.Context(), caddyhttp.LogSkipVar).(bool); !skip {
			t.Error(path, ": Caddy's access log shows the query")
		}
	}
	g.hides([]string{"mistake"})
	if n := issuer.count(); n > 0 {
		t.Errorf("the issuer was asked %d times", n)
	}
}

func TestAClientsIDAndSecretMayHoldAnyCharacters(t *testing.T) {
	const id, secret = "a:b c/é", "p%q+&=:ü \"\\"
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, endpoint)
	escape := strings.NewReplacer("%", "%25", "&", "%26", "+", "%2B", " ", "+", "=", "%3D", `"`, "%22")
	for _, row := range []struct {
		name, form string
		headers    []string
	}{
		{"Basic", "grant_type=client_credentials", basic(id, secret)},
		{"post", "grant_type=client_credentials&client_id=" + escape.Replace(id) + "&client_secret=" + escape.Replace(secret), nil},
	} {
		tok := g.answer(g.post("/auth", row.form, row.headers...))
		asked := issuer.take()
		if len(asked) != 1 {
			t.Fatalf("%s: asked %v", row.name, asked)
		}
		q := asked[0]
		if row.name == "Basic" && (!q.Basic || q.ID != id || q.Password != secret) ||
			row.name == "post" && (q.Basic || q.Form.Get("client_id") != id || q.Form.Get("client_secret") != secret) {
			t.Errorf("%s: the issuer was asked as %+v", row.name, q)
		}
		if status, _ := g.get(tok.AccessToken); status != 200 {
			t.Errorf("%s: the token is %d", row.name, status)
		}
	}
}

func TestTheIssuerIsAskedAsTheCallerAskedUnlessItsMetadataExcludeThat(t *testing.T) {
	for _, row := range []struct {
		offered     any
		basic, post bool // whether the issuer sees Basic
	}{
		{nil, true, false},
		{[]string{"client_secret_basic", "client_secret_post"}, true, false},
		{[]string{"client_secret_post"}, false, false},
		{[]string{"client_secret_basic"}, true, true},
		{[]string{"private_key_jwt", "client_secret_post"}, false, false},
	} {
		issuer := newGrantor(t, func(metadata map[string]any) { metadata["token_endpoint_auth_methods_supported"] = row.offered })
		g := newGate(t, issuer, endpoint)
		g.answer(g.post("/auth", "grant_type=client_credentials", basic("orders", "s")...))
		g.answer(g.post("/auth", "grant_type=client_credentials&client_id=orders&client_secret=s"))
		asked := issuer.take()
		if len(asked) != 2 || asked[0].Basic != row.basic || asked[1].Basic != row.post {
			t.Errorf("the metadata offer %v: Basic for a caller with Basic, and with a form: %v", row.offered, asked)
		}
		for _, q := range asked {
			if q.client() != "orders" || q.Basic == q.Form.Has("client_secret") {
				t.Errorf("asked as %+v", q)
			}
		}
	}
}

func TestARequestWithoutGrantTypeMeansTheDefaultGrantUnlessItMeansAnother(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, strings.Replace(endpoint, "{", "{\ndefault_grant client_credentials", 1))
	g.answer(g.post("/auth", "client_id=orders&client_secret=s"))
	if asked := issuer.take(); len(asked) != 1 || asked[0].Form.Get("grant_type") != tokenrequest.ClientCredentials {
		t.Errorf("asked %v", asked)
	}
	for _, name := range []string{"refresh_token", "code", "device_code"} {
		g.refused(name, g.post("/auth", "client_id=orders&client_secret=s&"+name+"=x"), "400 invalid_request")
	}
	g.refused("no credentials", g.post("/auth", ""), "401 invalid_client")
	g.refused("the gateway's", g.post("/auth", "", basic("gateway", "the-gateways-own-secret")...), "401 invalid_client")
	if asked := issuer.take(); len(asked) > 0 {
		t.Errorf("asked %v", asked)
	}
}

func TestOfACallersFormTheIssuerGetsWhatBelongsToTheGrant(t *testing.T) {
	issuer := newGrantor(t, nil)
	g := newGate(t, issuer, endpoint)
	tok := g.answer(g.post("/auth", "grant_type=client_credentials&scope=a+b&audience=x&resource=https%3A%2F%2Fa.example&resource=https%3A%2F%2Fb.example&foo=bar&code=c&refresh_token=r&username=u", basic("orders", "s")...))
	asked := issuer.take()
	if len(asked) != 1 || asked[0].only() != "audience grant_type resource scope" || len(asked[0].Form["resource"]) != 2 {
		t.Fatalf("asked %v", asked)
	}
	if tok.Scope != "a b" {
		t.Errorf("scope %q", tok.Scope)
	}
	g.skip(accessLife)
	if status, _ := g.get(tok.AccessToken); status != 200 {
		t.Fatal("the token is ", status)
	}
	if again := issuer.take(); len(again) != 1 || again[0].Form.Encode() != asked[0].Form.Encode() || again[0].ID != "orders" || again[0].Password != "s" {
		t.Errorf("run again as %v, first as %v", again, asked)
	}
}
