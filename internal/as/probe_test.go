package as

import (
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func probed(t *testing.T, issuer *fakeIssuer, change func(*Config)) *Report {
	t.Helper()
	cfg := Config{Issuer: issuerURL, Now: time.Now, Transport: issuer}
	if change != nil {
		change(&cfg)
	}
	return Probe(t.Context(), cfg)
}

func TestAProbeTellsWhichFormAnsweredAndWhatTheOthersSaid(t *testing.T) {
	issuer := newIssuer()
	issuer.set(formRFC, metadata("https://login.example.com", keysURL))
	issuer.set(formEnd, reply(200, `{"issuer":"`+issuerURL+`","jwks_uri":"`+keysURL+`",
		"token_endpoint":"https://login.example.com/token","grant_types_supported":["refresh_token"],"code_challenge_methods_supported":["S256"]}`))
	r := probed(t, issuer, nil)
	if len(r.Forms) != 3 || r.Metadata != formEnd || r.Forms[2].Err != nil {
		t.Fatalf("%+v", r.Forms)
	}
	if other := OtherIssuer(r.Forms[0].Err); other != "https://login.example.com" {
		t.Errorf("the issuer of the first form is %q", other)
	}
	if err := r.Forms[1].Err; err == nil || !strings.Contains(err.Error(), "404") || OtherIssuer(err) != "" {
		t.Errorf("the second form: %v", err)
	}
	if r.Keys.Len() != 1 || r.Keys.Infos()[0].ID != "a" || r.KeysErr != nil || r.KeysURL != keysURL {
		t.Errorf("keys %+v of %s: %v", r.Keys, r.KeysURL, r.KeysErr)
	}
	if e := r.Endpoints; e.Token == "" || len(e.GrantTypes) != 1 || len(e.ChallengeMethods) != 1 || e.Revocation != "" {
		t.Errorf("endpoints %+v", e)
	}
}

func TestAProbeOfAnIssuerThatIsNotThereTellsSo(t *testing.T) {
	issuer := newIssuer()
	issuer.down(refuse)
	r := probed(t, issuer, nil)
	if len(r.Forms) != 3 || r.Forms[0].Err == nil || r.Metadata != "" || r.KeysURL != "" { // two are 404
		t.Errorf("%+v", r)
	}
	r = probed(t, issuer, func(cfg *Config) { cfg.JWKS = keysURL })
	if len(r.Forms) != 0 || r.KeysErr == nil {
		t.Errorf("with jwks: %+v", r)
	}
}

func TestAProbeTellsTheDifferenceOfClocks(t *testing.T) {
	for _, ahead := range []time.Duration{0, -time.Minute, 40 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			issuer := newIssuer()
			issuer.set(keysURL, func(r *http.Request) (*http.Response, error) {
				date := time.Now().Add(ahead).UTC().Format(http.TimeFormat)
				return reply(200, string(publishedA), "Date", date)(r)
			})
			r := probed(t, issuer, nil)
			if off := r.Clock - ahead; !r.ClockKnown || off.Abs() > time.Second {
				t.Errorf("%s ahead, told as %s", ahead, r.Clock)
			}
			issuer.set(keysURL, reply(200, string(publishedA), "Date", "Thu, 01 Jan 2015 00:00:00 GMT", "Age", "100"))
			if r := probed(t, issuer, nil); r.ClockKnown {
				t.Error("a cached answer's Date is no clock")
			}
		})
	}
}

func TestAProbeTellsWhenCertificatesEnd(t *testing.T) {
	var server *httptest.Server
	server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/keys" {
			_, _ = w.Write(publishedA)
			return
		}
		_, _ = w.Write([]byte(`{"issuer":"` + server.URL + `","jwks_uri":"` + server.URL + `/keys"}`))
	}))
	defer server.Close()
	trust := x509.NewCertPool()
	trust.AddCert(server.Certificate())
	r := Probe(t.Context(), Config{Issuer: server.URL, Now: time.Now, Trust: trust})
	if len(r.Certificates) != 1 || !r.Certificates[0].NotAfter.Equal(server.Certificate().NotAfter) || r.Keys.Len() != 1 {
		t.Errorf("%+v", r)
	}
	r = Probe(t.Context(), Config{Issuer: server.URL, Now: time.Now, Trust: x509.NewCertPool()})
	if _, untrusted := errors.AsType[x509.UnknownAuthorityError](r.Forms[0].Err); !untrusted {
		t.Errorf("with another trust: %+v", r.Forms)
	}
	status, certificates, err := Reach(t.Context(), Config{Now: time.Now, Trust: trust}, &Endpoints{from: loopbackZone}, server.URL+"/token")
	if status != 200 || len(certificates) != 1 || err != nil {
		t.Errorf("reaching an endpoint: %d %v %v", status, certificates, err)
	}
}
