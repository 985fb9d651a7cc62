package as

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What each of the two documents alone has: the one of RFC 8414 says nothing of
// log-out, and that of OpenID Connect nothing of revocation, at many servers.
func TestTwoDocumentsOfOneIssuerAreReadAsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer, events := newIssuer(), &record{}
		issuer.set(formRFC, reply(200, `{"issuer":"`+issuerURL+`","token_endpoint":"`+tokenURL+`","revocation_endpoint":"https://login.example.com/revoke",
			"grant_types_supported":["refresh_token"],"end_session_endpoint":null,"introspection_endpoint":"http://login.example.com/plain"}`))
		issuer.set(formEnd, endpointMetadata(`"token_endpoint":"`+tokenURL+`","end_session_endpoint":"https://login.example.com/logout",
			"introspection_endpoint":"https://login.example.com/ask","grant_types_supported":["authorization_code","refresh_token"],
			"token_endpoint_auth_methods_supported":["client_secret_post"],"authorization_response_iss_parameter_supported":true`))
		s := newServer(t, issuer)
		s.Attach(Env{Observe: events.observe})
		if _, err := s.Keys(t.Context()); err != nil {
			t.Fatal("the keys, which one of them names:", err)
		}
		ends, err := s.Endpoints(t.Context())
		if err != nil || ends.Token != tokenURL || ends.Revocation != "https://login.example.com/revoke" || ends.EndSession != "https://login.example.com/logout" ||
			ends.Introspection != "https://login.example.com/ask" || len(ends.Refused) != 0 || !ends.NamesItself ||
			!slices.Equal(ends.GrantTypes, []string{"refresh_token", "authorization_code"}) || !slices.Equal(ends.AuthMethods, []string{AuthPost}) {
			t.Errorf("%+v, %v", ends, err)
		}
		synctest.Wait()
		if told := events.of(OpContradiction); len(told) != 1 || len(told[0].Differ) != 1 || !strings.HasPrefix(told[0].Differ[0], "introspection_endpoint is ") {
			t.Errorf("told %+v, want the one contradiction: an address that may not be asked is no use, and worth a word", told)
		}
	})
}

func TestDocumentsThatContradictEachOtherAreToldOfOnceAndTheFirstCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer, events := newIssuer(), &record{}
		issuer.set(formRFC, endpointMetadata(`"token_endpoint":"`+tokenURL+`","token_endpoint_auth_methods_supported":["client_secret_post","client_secret_basic"]`))
		issuer.set(formIn, endpointMetadata(`"token_endpoint":"https://other.example/token","token_endpoint_auth_methods_supported":["client_secret_basic","client_secret_post"]`))
		s := newServer(t, issuer)
		s.Attach(Env{Observe: events.observe})
		ends, err := s.Endpoints(t.Context())
		if err != nil || ends.Token != tokenURL {
			t.Errorf("%+v, %v", ends, err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		told := events.of(OpContradiction)
		want := []string{`token_endpoint is "` + tokenURL + `" at ` + formRFC + ` and "https://other.example/token" at ` + formIn}
		if len(told) != 1 || !slices.Equal(told[0].Differ, want) {
			t.Errorf("%+v, want %q once", told, want)
		}
		if report := probed(t, issuer, nil); !slices.Equal(report.Differ, want) || report.Metadata != formRFC {
			t.Errorf("a probe tells %q", report.Differ)
		}
	})
}

func TestAPlaceThatDoesNotAnswerKeepsNoOtherFromBeingAsked(t *testing.T) {
	for name, place := range map[string]struct {
		does   answer
		within time.Duration
	}{
		"hangs":                          {hang, othersWithin},
		"resets":                         {refuse, 0},
		"is guarded":                     {reply(403, "no"), 0},
		"asks for a log-in":              {reply(401, "no", "WWW-Authenticate", "Basic"), 0},
		"leads elsewhere":                {reply(302, "", "Location", "https://sso.example/"), 0},
		"is down":                        {reply(503, "no"), 0},
		"has a page":                     {reply(200, "<html>"), 0},
		"speaks of another":              {metadata("https://other.example", keysURL), 0},
		"hangs in the middle of its own": {slow(time.Hour, refuse), othersWithin},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := newIssuer()
				issuer.set(formRFC, place.does)
				issuer.set(formIn, place.does)
				issuer.set(formEnd, tokenOnly)
				began := time.Now()
				s, _ := ready(t, issuer)
				if waited := time.Since(began); waited != place.within {
					t.Errorf("the first keys came after %s, want %s", waited, place.within)
				}
				if ends, err := s.Endpoints(t.Context()); err != nil || ends.Token != tokenURL {
					t.Errorf("%+v, %v", ends, err)
				}
			})
		})
	}
}

func TestMetadataThatHangKeepNoKeysFromBeingAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		const keys = "https://keys.example/jwks"
		issuer.set(keys, serve(keyA))
		issuer.set(formEnd, hang)
		ready(t, issuer, func(c *Config) { c.JWKS, c.Metadata = keys, formEnd })
	})
}

func TestWhatAPlaceSaidCountsWhileItIsSilentAndAnotherSpeaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		issuer.set(formRFC, tokenOnly)
		issuer.set(formEnd, endpointMetadata(`"end_session_endpoint":"https://login.example.com/logout"`))
		s, _ := ready(t, issuer)
		after := func(place answer, want string) {
			t.Helper()
			issuer.set(formEnd, place)
			time.Sleep(3 * Usual)
			synctest.Wait()
			if ends, _ := s.KnownEndpoints(); ends.EndSession != want || ends.Token != tokenURL {
				t.Errorf("%+v, want the log-out at %q", ends, want)
			}
		}
		for _, silent := range []answer{hang, refuse, reply(502, "no"), reply(429, "no")} {
			after(silent, "https://login.example.com/logout")
		}
		after(reply(404, "gone"), "")
	})
}

// What one place says now comes before what another said once, whichever of the two
// is asked first: the issuer may have moved meanwhile.
func TestWhatASilentPlaceSaidComesBehindWhatAnotherSaysNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer, events := newIssuer(), &record{}
		issuer.set(formRFC, endpointMetadata(`"token_endpoint":"https://old.example/token","revocation_endpoint":"https://old.example/revoke"`))
		issuer.set(formEnd, endpointMetadata(`"token_endpoint":"https://old.example/token"`))
		s, _ := ready(t, issuer)
		s.Attach(Env{Observe: events.observe})
		issuer.set(formEnd, endpointMetadata(`"token_endpoint":"https://new.example/token"`))
		issuer.set(formRFC, hang)
		time.Sleep(3 * Usual)
		synctest.Wait()
		if ends, _ := s.KnownEndpoints(); ends.Token != "https://new.example/token" || ends.Revocation != "https://old.example/revoke" {
			t.Errorf("%+v", ends)
		}
		if told := events.of(OpContradiction); len(told) > 0 {
			t.Errorf("told of a contradiction to what was said once: %+v", told)
		}
	})
}

func TestAnOutageIsToldOfOnceAndNotForEachPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		for _, form := range []string{formRFC, formIn, formEnd} {
			issuer.set(form, refuse)
		}
		_, err := newServer(t, issuer).Keys(t.Context())
		if err == nil || strings.Count(err.Error(), "refused") != 1 {
			t.Error(err)
		}
	})
}

func TestAByteOrderMarkBeforeADocumentIsIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		issuer.set(formRFC, reply(200, "\ufeff"+`{"issuer":"`+issuerURL+`","jwks_uri":"`+keysURL+`"}`))
		issuer.set(keysURL, reply(200, "\ufeff"+string(publishedA)))
		ready(t, issuer)
	})
}
