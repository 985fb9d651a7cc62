package caddyoauth

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/jwssign"
	"github.com/caddyoauth/caddyoauth/internal/tokenrequest"
)

// diagnosis is what "caddy oauth doctor --json" says.
type diagnosis struct {
	Result   string
	Findings []struct{ Issuer, Check, Result, Text, Do string }
	raw      string
}

// examined is what the doctor says of a Caddyfile's body.
func examined(t *testing.T, body string) *diagnosis {
	t.Helper()
	return examinedWhole(t, "http://api.example {\n"+body+"\n}\n")
}

// examinedWhole is what the doctor says of a Caddyfile.
func examinedWhole(t *testing.T, text string) *diagnosis {
	t.Helper()
	status, out, problems := oauthCommand(t, "", "doctor", "--json", "--adapter", "caddyfile", "--config", configFile(t, text))
	d := &diagnosis{raw: out}
	if err := json.Unmarshal([]byte(out), d); err != nil {
		t.Fatal(out, problems)
	}
	if fails := d.Result == "fail"; fails != (status == 1) || !fails && status != 0 {
		t.Errorf("the status is %d, the result is %s", status, d.Result)
	}
	return d
}

// wants looks for one finding: "<result> <check>: <words of its text or advice>".
func (d *diagnosis) wants(t *testing.T, all ...string) {
	t.Helper()
	var text strings.Builder
	for _, one := range d.Findings {
		fmt.Fprintf(&text, "%s %s: %s -> %s\n", one.Result, one.Check, one.Text, one.Do)
	}
	for _, want := range all {
		head, words, _ := strings.Cut(want, ": ")
		found := false
		for line := range strings.Lines(text.String()) {
			found = found || strings.HasPrefix(line, head+": ") && strings.Contains(line, words)
		}
		if !found {
			t.Errorf("no %q in\n%s", want, &text)
		}
	}
}

func TestTheDoctorFindsAHealthyIssuerHealthy(t *testing.T) {
	issuer := newGrantor(t, func(m map[string]any) {
		m["token_endpoint_auth_methods_supported"] = []string{"client_secret_basic", "client_secret_post"}
		m["grant_types_supported"] = []string{"client_credentials", "refresh_token", "authorization_code", tokenrequest.DeviceCodeURN}
	})
	d := examined(t, fmt.Sprintf("oauth {\nissuer %s {\naudience api\nclient gateway the-gateways-own-secret\n}\n%s\n}", issuer.URL, publicEndpoint))
	d.wants(t,
		"ok metadata: "+issuer.URL+"/.well-known/oauth-authorization-server answers",
		"ok keys: 1 usable key at "+issuer.URL+"/jwks", "ok algorithms: every key", "ok clock: agree",
		"ok endpoints: token_endpoint "+issuer.URL+"/token answers", "ok endpoints: revocation_endpoint", "ok endpoints: device_authorization_endpoint",
		"ok client: gateway uses client_secret_basic", "ok grant types: device_code")
	if d.Result != "ok" {
		t.Errorf("the worst is %s", d.Result)
	}
	if strings.Contains(d.raw, "the-gateways-own-secret") {
		t.Error("a secret is printed")
	}
}

func TestTheDoctorNamesWhatIsWrongAndWhatToDo(t *testing.T) {
	issuer := newGrantor(t, func(m map[string]any) {
		m["token_endpoint_auth_methods_supported"] = []string{"private_key_jwt"}
		m["grant_types_supported"] = []string{"authorization_code"}
		m["code_challenge_methods_supported"] = []string{"plain"}
		delete(m, "revocation_endpoint")
		delete(m, "device_authorization_endpoint")
	})
	d := examined(t, fmt.Sprintf("oauth {\nissuer %s {\naudience api\nalgorithms ES256\nclient gateway the-gateways-own-secret\n}\n%s\n}", issuer.URL, publicEndpoint))
	d.wants(t,
		"fail algorithms: no key is for ES256", "warn endpoints: cannot be given back",
		"fail endpoints: device_authorization_endpoint", "fail client: client gateway would use client_secret_post; the issuer takes private_key_jwt",
		"fail client: client_credentials: clients send a secret", "fail grant types: does not list client_credentials", "warn grant types: PKCE")
	if d.Result != "fail" {
		t.Error("nothing fails")
	}

	slash := newGrantor(t, func(m map[string]any) { m["issuer"] = m["issuer"].(string) + "/" })
	d = examined(t, "oauth "+slash.URL+" api")
	d.wants(t, "fail metadata: write the issuer exactly so: "+slash.URL+"/", "fail keys: first get the metadata right")

	other := newGrantor(t, func(m map[string]any) { m["issuer"] = "https://other.example" })
	examined(t, "oauth "+other.URL+" api").wants(t, "fail metadata: the metadata of another issuer, https://other.example")

	down := newGrantor(t, nil)
	down.Close()
	examined(t, "oauth "+down.URL+" api").wants(t, "fail metadata: see that the issuer runs")
}

func TestTheDoctorReadsTwoDocumentsAsOneAndTellsWhereTheyContradict(t *testing.T) {
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/.well-known/oauth-authorization-server":
			fmt.Fprintf(w, `{"issuer":%q,"token_endpoint":%q,"revocation_endpoint":%q}`, server.URL, server.URL+"/token", server.URL+"/revoke")
		case "/.well-known/openid-configuration":
			fmt.Fprintf(w, `{"issuer":%q,"token_endpoint":%q,"jwks_uri":%q,"end_session_endpoint":%q}`, server.URL, server.URL+"/old", server.URL+"/jwks", server.URL+"/end")
		default:
			_, _ = w.Write(jwssign.Set(benchKey(t, "EdDSA")))
		}
	}))
	defer server.Close()
	examined(t, "oauth {\nissuer "+server.URL+" {\naudience api\nclient app the-secret\n}\nlogin\n}").wants(t,
		"ok metadata: "+server.URL+"/.well-known/oauth-authorization-server answers", "ok metadata: "+server.URL+"/.well-known/openid-configuration answers",
		"ok keys: 1 usable key", "ok endpoints: revocation_endpoint", "ok login: end_session_endpoint",
		`warn metadata: token_endpoint is "`+server.URL+`/token" at `)
}

func TestTheDoctorTellsOfKeysThatAreLeftOutAndOfClocks(t *testing.T) {
	key, late := benchKey(t, "EdDSA"), time.Duration(0)
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(late).UTC().Format(http.TimeFormat))
		if r.URL.Path == "/jwks" {
			fmt.Fprintf(w, `{"keys":[{"kty":"oct","kid":"shared","k":"AAAA"},{"kty":"RSA","use":"enc","kid":"for-others"},%s`, strings.TrimPrefix(string(jwssign.Set(key)), `{"keys":[`))
			return
		}
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, server.URL, server.URL+"/jwks")
	}))
	defer server.Close()
	examined(t, "oauth "+server.URL+" api").wants(t, `warn keys: key 1 of `+server.URL+`/jwks, kid "shared", is left out`, "ok keys: 1 usable",
		`ok keys: key 2 of `+server.URL+`/jwks, kid "for-others", is for encryption`)
	late = 20 * time.Second
	examined(t, "oauth "+server.URL+" api").wants(t, "warn clock: its clock is 20s ahead of ours; skew allows 30s")
	file := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(file, []byte(`{"keys":[{"kty":"oct","kid":"shared","k":"AAAA"},`+strings.TrimPrefix(string(jwssign.Set(key)), `{"keys":[`)), 0o600); err != nil {
		t.Fatal(err)
	}
	examined(t, "oauth {\nissuer "+server.URL+" {\naudience api\njwks "+file+"\n}\n}").wants(t, `warn keys: key 1 of `+file+`, kid "shared", is left out`, "ok keys: 1 usable")
	late = -2 * time.Minute
	examined(t, "oauth "+server.URL+" api").wants(t, "fail clock: its clock is 2m0s behind ours")
}

// Keycloak's answers have no Date, and its sets have a key for encryption: nothing
// that an operator could mend.
func TestTheDoctorWarnsOfNothingThatIsAsItIsAtKeycloak(t *testing.T) {
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil
		if strings.HasSuffix(r.URL.Path, "/jwks") {
			_, _ = w.Write(jwssign.Set(benchKey(t, "EdDSA")))
			return
		}
		fmt.Fprintf(w, `{"issuer":"%s/realms/one","jwks_uri":"%[1]s/jwks"}`, server.URL)
	}))
	defer server.Close()
	examined(t, "oauth "+server.URL+"/realms/one api").wants(t, "ok clock: Keycloak's answers have no Date")
}

func TestTheDoctorResolvesPlaceholdersAndPrintsNoSecret(t *testing.T) {
	issuer := newGrantor(t, nil)
	t.Setenv("DOCTOR_ISSUER", issuer.URL)
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("very-own-secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	body := "oauth {\nissuer {env.DOCTOR_ISSUER} {\naudience api\nclient gateway {file." + file + "}\n}\ntoken_endpoint /token\n}"
	d := examined(t, body)
	d.wants(t, "ok keys: "+issuer.URL, "ok client: gateway uses client_secret_basic")
	if strings.Contains(d.raw, "very-own-secret") {
		t.Error("a secret is printed")
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	examined(t, body).wants(t, "fail client: {file."+file+"}")
	t.Setenv("DOCTOR_ISSUER", "")
	examined(t, body).wants(t, "fail config: {env.DOCTOR_ISSUER}")
}

func TestTheDoctorLooksIntoEverySiteAndSaysNothingTwice(t *testing.T) {
	issuer := newGrantor(t, nil)
	d := examined(t, fmt.Sprintf("handle /a {\noauth %[1]s a\n}\nhandle /b {\nroute {\noauth %[1]s b\n}\n}\nhandle /c {\noauth {\nissuer %[1]s {\naudience c\njwks testdata/keys/none.json\n}\n}\n}", issuer.URL))
	keys := 0
	for _, one := range d.Findings {
		if one.Check == "keys" {
			keys++
		}
	}
	if keys != 1 {
		t.Errorf("%d findings about keys: %v", keys, d.Findings)
	}
	d.wants(t, "fail config: no such file")
}

func TestTheDoctorsCommandTellsByItsExitStatus(t *testing.T) {
	issuer := newGrantor(t, nil)
	for _, row := range []struct {
		args  string
		fails bool
		words string
	}{
		{"--issuer " + issuer.URL, false, issuer.URL + "\n  ok"},
		{"--issuer " + issuer.URL, false, "1 usable key at"},
		{"--issuer " + issuer.URL + " --json", false, `"result": "ok"`},
		{"--issuer " + issuer.URL + "/other", true, "something fails"},
		{"--address 127.0.0.1:1", true, "there is no Caddyfile here, and no Caddy answers at 127.0.0.1:1; name a configuration with --config"},
		{"--issuer " + issuer.URL + " --address 127.0.0.1:1", true, "stands instead of a configuration"},
		{"--issuer http://far.example", true, "plain http"},
		{"--config /no/such/file", true, "no such file"},
		{"argument", true, "unknown argument"},
	} {
		status, out, problems := oauthCommand(t, "", append([]string{"doctor"}, strings.Fields(row.args)...)...)
		if (status != 0) != row.fails || !strings.Contains(out+problems, row.words) {
			t.Errorf("doctor %s: %d\n%s%s", row.args, status, out, problems)
		}
	}
}

func TestTheDoctorUsesTheTrustPoolOfTheConfiguration(t *testing.T) {
	key := benchKey(t, "EdDSA")
	var server *httptest.Server
	server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/jwks" {
			_, _ = w.Write(jwssign.Set(key))
			return
		}
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, server.URL, server.URL+"/jwks")
	}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	examined(t, fmt.Sprintf("oauth {\nissuer %s {\naudience api\ntrust_pool file %s\n}\n}", server.URL, file)).
		wants(t, "ok keys: 1 usable", "ok certificates: that of "+strings.TrimPrefix(server.URL, "https://"))
	examined(t, "oauth "+server.URL+" api").wants(t, "fail metadata: name the certificate authority with trust_pool")
	// This kind asks another app of a running Caddy.
	d := examined(t, fmt.Sprintf("oauth {\nissuer %s {\naudience api\ntrust_pool pki_root local\n}\n}", server.URL))
	d.wants(t, "fail config: trust_pool")
}

func TestTheDoctorTellsOfAddressesInMetadataThatLeadToThisMachine(t *testing.T) {
	var server *httptest.Server
	server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q,"token_endpoint":"http://127.0.0.1:1/token","introspection_endpoint":"http://localhost:1/introspect"}`, server.URL, server.URL+"/jwks")
	}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	examined(t, fmt.Sprintf("oauth {\nissuer %s {\naudience api\ntrust_pool file %s\nclient gateway a-secret\nintrospect\n}\n%s\n}", server.URL, file, publicEndpoint)).wants(t,
		`warn metadata: token_endpoint: "http://127.0.0.1:1/token" is plain http on loopback`, "warn metadata: introspection_endpoint: ",
		"fail endpoints: no usable token_endpoint", "fail introspection: no usable introspection_endpoint")
}
