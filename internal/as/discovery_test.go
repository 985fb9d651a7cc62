package as

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// sorted are the addresses asked: places of metadata are asked at once.
func (f *fakeIssuer) sorted() []string { return slices.Sorted(slices.Values(f.urls())) }

func TestEachPlaceOfMetadataIsAskedWhileTheyAreNotFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		issuer.set(formRFC, nil)
		issuer.set(formEnd, metadata(issuerURL, keysURL))
		ready(t, issuer)
		all := []string{formRFC, formIn, keysURL, formEnd}
		if got := issuer.sorted(); !slices.Equal(got, all) {
			t.Errorf("asked %v, want %v", got, all)
		}
		time.Sleep(Usual)
		synctest.Wait()
		if got, want := issuer.urls(), []string{keysURL}; !slices.Equal(got, want) {
			t.Errorf("at the first refresh asked %v, want %v: the metadata were still fresh", got, want)
		}
		time.Sleep(Usual)
		synctest.Wait()
		if got := issuer.sorted(); !slices.Equal(got, all) {
			t.Errorf("at the second refresh asked %v, want %v", got, all)
		}
	})
}

func TestMetadataThatMoveAreFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		issuer.set(formRFC, nil)
		issuer.set(formEnd, endpointMetadata(`"token_endpoint":"https://old.example/token"`))
		s, _ := ready(t, issuer)
		issuer.set(formEnd, nil)
		issuer.set(formIn, endpointMetadata(`"token_endpoint":"https://new.example/token"`))
		time.Sleep(2 * Usual)
		synctest.Wait()
		if ends, _ := s.KnownEndpoints(); ends.Token != "https://new.example/token" {
			t.Errorf("%+v", ends)
		}
	})
}

func TestWhereTheMetadataOfAnIssuerMayBe(t *testing.T) {
	for issuer, want := range map[string]string{
		"https://a.example":      "https://a.example/.well-known/oauth-authorization-server https://a.example/.well-known/openid-configuration",
		"https://a.example/":     "https://a.example/.well-known/oauth-authorization-server https://a.example/.well-known/openid-configuration",
		"https://a.example:8/t/": "https://a.example:8/.well-known/oauth-authorization-server/t https://a.example:8/.well-known/openid-configuration/t https://a.example:8/t/.well-known/openid-configuration",
		"https://a.example/t%2Fu": "https://a.example/.well-known/oauth-authorization-server/t%2Fu https://a.example/.well-known/openid-configuration/t%2Fu " +
			"https://a.example/t%2Fu/.well-known/openid-configuration",
	} {
		got, err := wellKnown(issuer)
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %v %v, want %s", issuer, got, err, want)
		}
	}
	if _, err := wellKnown("not a URL"); err == nil {
		t.Error("what is no URL has well-known places")
	}
}

// refusedMetadata starts a server whose issuer serves doc everywhere, and
// answers why it has no keys.
func refusedMetadata(t *testing.T, doc answer, options ...func(*Config)) error {
	t.Helper()
	issuer := newIssuer()
	for _, form := range []string{formRFC, formIn, formEnd} {
		issuer.set(form, doc)
	}
	s := newServer(t, issuer, options...)
	set, err := s.Keys(t.Context())
	if set != nil || !isUnavailable(err) {
		t.Fatalf("set %v, error %v; want *Unavailable", set, err)
	}
	if asked := issuer.times(keysURL); len(asked) > 0 {
		t.Error("the keys were asked for all the same")
	}
	return err
}

func TestMetadataOfAnotherIssuerAreRefused(t *testing.T) {
	for name, stated := range map[string]string{
		"another":           "https://evil.example.com/tenant",
		"a trailing slash":  issuerURL + "/",
		"another case":      "https://LOGIN.example.com/tenant",
		"a default port":    "https://login.example.com:443/tenant",
		"a prefix":          "https://login.example.com",
		"a space behind it": issuerURL + " ",
		"nothing":           "",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				err := refusedMetadata(t, metadata(stated, keysURL))
				if !strings.Contains(err.Error(), "issuer") {
					t.Errorf("the error does not say what is wrong: %v", err)
				}
			})
		})
	}
}

func TestMetadataAreReadStrictly(t *testing.T) {
	good := `"issuer":"` + issuerURL + `","jwks_uri":"` + keysURL + `"`
	for name, doc := range map[string]string{
		"issuer twice":         `{"issuer":"https://evil.example.com",` + good + `}`,
		"the name's case":      `{"Issuer":"` + issuerURL + `","jwks_uri":"` + keysURL + `"}`,
		"no jwks_uri":          `{"issuer":"` + issuerURL + `"}`,
		"jwks_uri is a list":   `{"issuer":"` + issuerURL + `","jwks_uri":["` + keysURL + `"]}`,
		"issuer is a list":     `{"issuer":["` + issuerURL + `"],"jwks_uri":"` + keysURL + `"}`,
		"something behind it":  `{` + good + `}{}`,
		"cut short":            `{` + good,
		"HTML":                 `<!doctype html><title>Log in</title>`,
		"empty":                ``,
		"a list":               `[{` + good + `}]`,
		"jwks_uri is relative": `{"issuer":"` + issuerURL + `","jwks_uri":"/keys"}`,
		"jwks_uri is a file":   `{"issuer":"` + issuerURL + `","jwks_uri":"file:///etc/passwd"}`,
		"a user in jwks_uri":   `{"issuer":"` + issuerURL + `","jwks_uri":"https://u:p@login.example.com/keys"}`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { refusedMetadata(t, reply(200, doc)) })
		})
	}
}

func TestPlainHTTPKeysAreRefusedUnlessAllowed(t *testing.T) {
	const plain = "http://login.example.com/keys"
	synctest.Test(t, func(t *testing.T) {
		if err := refusedMetadata(t, metadata(issuerURL, plain)); !strings.Contains(err.Error(), "insecure_http") {
			t.Errorf("the error does not name the way out: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		issuer.set(formRFC, metadata(issuerURL, plain))
		issuer.set(plain, serve(keyA))
		ready(t, issuer, func(c *Config) { c.AllowHTTP = true })
	})
}

func TestAddressesThatLookLikeLoopbackAreNot(t *testing.T) {
	for _, address := range []string{
		"http://127.0.0.1.evil.example/", "http://localhost.evil.example/", "http://0.0.0.0/", "http://10.0.0.1/",
		"http://evil.example/localhost", "http://localhost@evil.example/", "http://notlocalhost/",
		"http:///keys", "//127.0.0.1/keys", "ftp://127.0.0.1/", "https://a.example/#f", "",
	} {
		if CheckURL(address, false) == nil {
			t.Errorf("%q may be asked", address)
		}
	}
}

func TestConfiguredMetadataAreUsedAlone(t *testing.T) {
	const elsewhere = "https://config.example.net/as.json"
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		issuer.set(elsewhere, metadata(issuerURL, keysURL))
		only := func(c *Config) { c.Metadata = elsewhere }
		ready(t, issuer, only)
		if got, want := issuer.urls(), []string{elsewhere, keysURL}; !slices.Equal(got, want) {
			t.Errorf("asked %v, want %v", got, want)
		}
		issuer.set(elsewhere, metadata("https://evil.example.com", keysURL))
		if _, err := newServer(t, issuer, only).Keys(t.Context()); !isUnavailable(err) {
			t.Errorf("configured metadata of another issuer: %v", err)
		}
		if got, want := issuer.urls(), []string{elsewhere}; !slices.Equal(got, want) {
			t.Errorf("asked %v, want %v", got, want)
		}
	})
}

func TestConfiguredKeysNeedNoMetadata(t *testing.T) {
	const elsewhere = "https://config.example.net/keys.json"
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		issuer.set(elsewhere, serve(keyA))
		ready(t, issuer, func(c *Config) { c.JWKS = elsewhere })
		issuer.down(refuse)
		time.Sleep(2 * Usual)
		for _, url := range issuer.urls() {
			if url != elsewhere {
				t.Errorf("asked %s", url)
			}
		}
	})
}
