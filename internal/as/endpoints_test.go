package as

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const tokenURL = "https://login.example.com/token"

func endpointMetadata(members string) answer {
	return reply(200, `{"issuer":"`+issuerURL+`","jwks_uri":"`+keysURL+`",`+members+`}`)
}

var tokenOnly = endpointMetadata(`"token_endpoint":"` + tokenURL + `"`)

func TestEndpointsComeWithTheMetadataAndFollowThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		issuer.set(formRFC, endpointMetadata(`"token_endpoint":"`+tokenURL+`","revocation_endpoint":"https://b.example/r",
			"device_authorization_endpoint":"https://c.example/d","token_endpoint_auth_methods_supported":["client_secret_post",7]`))
		s := newServer(t, issuer)
		got, err := s.Endpoints(t.Context())
		if err != nil || got.Token != tokenURL || got.Revocation != "https://b.example/r" || got.DeviceAuthorization != "https://c.example/d" ||
			!slices.Equal(got.AuthMethods, []string{AuthPost}) {
			t.Errorf("%+v, %v", got, err)
		}
		issuer.set(formRFC, endpointMetadata(`"token_endpoint":"https://new.example/token"`))
		time.Sleep(2 * Usual)
		synctest.Wait()
		if got, err := s.Endpoints(t.Context()); err != nil || got.Token != "https://new.example/token" || got.Revocation != "" {
			t.Errorf("after they moved: %+v, %v", got, err)
		}
		issuer.down(refuse)
		time.Sleep(time.Hour)
		if got, err := s.Endpoints(t.Context()); err != nil || got.Token == "" {
			t.Errorf("in an outage of the metadata: %+v, %v", got, err)
		}
	})
}

func TestABadEndpointIsDroppedAndNotTheKeysWithIt(t *testing.T) {
	for _, bad := range []string{`"http://login.example.com/t"`, `"/t"`, `"https://u:p@login.example.com/t"`, `["https://a.example/t"]`, `null`} {
		synctest.Test(t, func(t *testing.T) {
			issuer := newIssuer()
			issuer.set(formRFC, endpointMetadata(`"token_endpoint":`+bad+`,"revocation_endpoint":`+bad+`,"device_authorization_endpoint":`+bad))
			s, _ := ready(t, issuer)
			if got, err := s.Endpoints(t.Context()); err != nil || got.Token+got.Revocation+got.DeviceAuthorization != "" {
				t.Errorf("%s: %+v, %v", bad, got, err)
			}
		})
	}
}

func TestWithKeysFromTheStorageEndpointsWaitForTheMetadata(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		issuer.set(formRFC, slow(2*time.Second, tokenOnly))
		s := newServer(t, issuer, stored)
		s.Attach(Env{Storage: filled(t)})
		began := time.Now()
		got, err := s.Endpoints(t.Context())
		if err != nil || got.Token != tokenURL || time.Since(began) != 2*time.Second {
			t.Errorf("%+v, %v after %s", got, err, time.Since(began))
		}
	})
}

func TestWithKeysFromTheStorageACallCausesTheFetchThatFindsTheEndpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		issuer.down(refuse)
		s := newServer(t, issuer, stored)
		s.Attach(Env{Storage: filled(t)})
		if _, err := s.Keys(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute) // backing off by now
		issuer.urls()
		for range 100 {
			if _, err := s.Endpoints(t.Context()); err == nil || !strings.Contains(err.Error(), "refused") {
				t.Fatal(err)
			}
		}
		if n := len(issuer.times(formRFC)); n != 1 {
			t.Errorf("100 calls caused %d fetches", n)
		}
		issuer.up(keyA)
		issuer.set(formRFC, tokenOnly)
		time.Sleep(Floor)
		if got, err := s.Endpoints(t.Context()); err != nil || got.Token != tokenURL {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestAfterAFailedFetchEndpointsFailAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		issuer.down(hang)
		s := newServer(t, issuer)
		began := time.Now()
		_, err := s.Endpoints(t.Context())
		if waited := time.Since(began); err == nil || waited != placeWithin {
			t.Fatalf("the first call: %v after %s", err, waited)
		}
		began = time.Now()
		_, err = s.Endpoints(t.Context())
		if waited := time.Since(began); err == nil || waited > 0 {
			t.Errorf("the next one: %v after %s", err, waited)
		}
	})
}

func TestKeysWithoutMetadataHaveNoEndpoints(t *testing.T) {
	s := newServer(t, newIssuer(), func(c *Config) { c.JWKS = keysURL })
	_, err := s.Token(t.Context(), public, refreshing)
	if got := failure(t, err); got.Fate != NotSent || !strings.Contains(err.Error(), "without metadata") {
		t.Error(err)
	}
}
