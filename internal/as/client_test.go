package as

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/secret"
)

// What would end an id or begin another member if it were not encoded.
const oddID, oddSecret = "a:b c+ü%41/&x=y", `p:ä+ &client_id=other%3A"\`

// presented is what one call of client puts on the wire.
func presented(t *testing.T, client Client, form url.Values, offered ...string) (header string, sent url.Values) {
	t.Helper()
	l := serveRaw(t, say(whole(200, goodAnswer)))
	if _, err := asking(t, l.url, offered...).Token(t.Context(), client, form); err != nil {
		t.Fatal(err)
	}
	return l.asked[0].Header.Get("Authorization"), l.forms[0]
}

func TestASecretInTheHeaderIsFormEncodedFirst(t *testing.T) {
	header, sent := presented(t, Client{ID: oddID, Secret: secret.New(oddSecret)}, refreshing)
	raw, ok := strings.CutPrefix(header, "Basic ")
	pair, err := base64.StdEncoding.DecodeString(raw)
	if !ok || err != nil {
		t.Fatalf("header %q: %v", header, err)
	}
	id, password, _ := strings.Cut(string(pair), ":")
	if id, err = url.QueryUnescape(id); err != nil || id != oddID {
		t.Errorf("the id arrives as %q, %v", id, err)
	}
	if password, err = url.QueryUnescape(password); err != nil || password != oddSecret {
		t.Errorf("the secret arrives as %q, %v", password, err)
	}
	if sent.Encode() != refreshing.Encode() {
		t.Errorf("the form became %v", sent)
	}
}

func TestAServerThatMayNotDecodeASecretIsNamedInTheError(t *testing.T) {
	l := serveRaw(t, say(whole(401, `{"error":"invalid_client"}`)))
	for _, row := range []struct {
		client Client
		want   bool
	}{
		{Client{ID: "app", Secret: secret.New(oddSecret)}, true},
		{Client{ID: "app", Secret: secret.New("letters")}, false},
		{Client{ID: "app", Secret: secret.New(oddSecret), Method: AuthPost}, false},
	} {
		_, err := asking(t, l.url).Token(t.Context(), row.client, refreshing)
		if err == nil || strings.Contains(err.Error(), "wants client_secret_post") != row.want || strings.Contains(err.Error(), oddSecret) {
			t.Error(err)
		}
	}
}

func TestASecretInTheFormIsNotInTheHeader(t *testing.T) {
	header, sent := presented(t, Client{ID: oddID, Secret: secret.New(oddSecret), Method: AuthPost}, refreshing)
	if header != "" || sent.Get("client_id") != oddID || sent.Get("client_secret") != oddSecret || len(sent) != 4 {
		t.Errorf("header %q, form %v", header, sent)
	}
}

func TestAPublicClientOnlyNamesItself(t *testing.T) {
	header, sent := presented(t, Client{ID: oddID}, refreshing)
	if header != "" || sent.Get("client_id") != oddID || len(sent) != 3 {
		t.Errorf("header %q, form %v", header, sent)
	}
}

func TestAnAssertionProvesTheKeyOnceForTheIssuerAlone(t *testing.T) {
	l := serveRaw(t, say(whole(200, goodAnswer)))
	s := asking(t, l.url)
	now := time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)
	s.cfg.Now = func() time.Time { return now }
	for _, audience := range []string{"", "", "https://login.example.com/oauth2/v2.0/token"} {
		if _, err := s.Token(t.Context(), Client{ID: oddID, Key: keyA, Audience: audience}, refreshing); err != nil {
			t.Fatal(err)
		}
	}
	used := map[any]bool{}
	for i, want := range []string{s.cfg.Issuer, s.cfg.Issuer, "https://login.example.com/oauth2/v2.0/token"} {
		form := l.forms[i]
		if form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" ||
			form.Get("client_id") != oddID || form.Has("client_secret") || l.asked[i].Header.Get("Authorization") != "" {
			t.Errorf("form %v", form)
		}
		header, claims := opened(t, form.Get("client_assertion"))
		if header["alg"] != "EdDSA" || header["kid"] != "a" || header["typ"] != "JWT" {
			t.Errorf("header %v", header)
		}
		if claims["iss"] != oddID || claims["sub"] != oddID || claims["aud"] != want ||
			claims["iat"] != float64(now.Unix()) || claims["exp"] != float64(now.Unix()+60) {
			t.Errorf("claims %v, want for %s", claims, want)
		}
		if id, _ := claims["jti"].(string); len(id) < 20 || used[id] {
			t.Errorf("jti %q", id)
		}
		used[claims["jti"]] = true
	}
}

// opened is what keyA signed.
func opened(t *testing.T, assertion string) (header, claims map[string]any) {
	t.Helper()
	input, signature, _ := cutLast(assertion)
	raw, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil || !ed25519.Verify(keyA.Private.Public().(ed25519.PublicKey), []byte(input), raw) {
		t.Fatalf("the signature of %q is not good: %v", assertion, err)
	}
	for i, part := range strings.Split(input, ".") {
		doc, err := base64.RawURLEncoding.DecodeString(part)
		if err == nil {
			err = json.Unmarshal(doc, []any{&header, &claims}[i])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}

func cutLast(s string) (before, after string, found bool) {
	i := strings.LastIndexByte(s, '.')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

func TestTheMethodIsConfiguredOrOffered(t *testing.T) {
	plain, password := Client{ID: "app"}, Client{ID: "app", Secret: secret.New("x")}
	with := func(c Client, method string) Client { c.Method = method; return c }
	for name, c := range map[string]struct {
		client  Client
		offered []string
		want    string // "": refused
	}{
		"nothing offered":          {password, nil, AuthBasic},
		"both offered":             {password, []string{AuthPost, AuthBasic}, AuthBasic},
		"only post offered":        {password, []string{AuthKey, AuthPost}, AuthPost},
		"no secret":                {plain, []string{AuthBasic}, AuthNone},
		"a key":                    {Client{ID: "app", Key: keyA, Secret: secret.New("x")}, []string{AuthBasic}, AuthKey},
		"configured, not offered":  {with(password, AuthPost), []string{AuthBasic}, AuthPost},
		"none, with a secret":      {with(password, AuthNone), nil, AuthNone},
		"basic without a secret":   {with(plain, AuthBasic), nil, ""},
		"post without a secret":    {with(plain, AuthPost), nil, ""},
		"a key's without a key":    {with(password, AuthKey), nil, ""},
		"one that nobody knows":    {with(password, "client_secret_jwt"), nil, ""},
		"a client without a name":  {Client{Secret: secret.New("x")}, nil, ""},
		"nobody at all":            {Client{}, nil, ""},
		"offered by another case":  {password, []string{"CLIENT_SECRET_BASIC"}, AuthPost},
		"only unknown ones listed": {password, []string{"tls_client_auth"}, AuthPost},
	} {
		if got, err := c.client.method(c.offered); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.want)
		}
	}
	l := serveRaw(t, say(whole(200, goodAnswer)))
	_, err := asking(t, l.url).Token(t.Context(), with(plain, AuthBasic), refreshing)
	if got := failure(t, err); got.Fate != NotSent || l.times() != 0 {
		t.Errorf("%s: %v", got.Fate, err)
	}
}

// A caller's form may reach the token endpoint; its word about who asks must not.
func TestTheFormCannotNameAnotherClient(t *testing.T) {
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"other", "more"}, "client_secret": {"y"},
		"client_assertion": {"a.b.c"}, "client_assertion_type": {"z"}, "resource": {"r1", "r2"}}
	before := form.Encode()
	for _, client := range []Client{{ID: "app"}, {ID: "app", Secret: secret.New("x")}, {ID: "app", Secret: secret.New("x"), Method: AuthPost}, {ID: "app", Key: keyA}} {
		_, sent := presented(t, client, form)
		for name, bad := range map[string]string{"client_id": "other", "client_secret": "y", "client_assertion": "a.b.c", "client_assertion_type": "z"} {
			if len(sent[name]) > 1 || sent.Get(name) == bad {
				t.Errorf("%+v: %s is %v", client, name, sent[name])
			}
		}
		if len(sent["resource"]) != 2 {
			t.Errorf("resources %v", sent["resource"])
		}
	}
	if form.Encode() != before {
		t.Errorf("the caller's form became %v", form)
	}
}
