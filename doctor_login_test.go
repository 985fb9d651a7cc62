package caddyoauth

import (
	"fmt"
	"testing"
)

// ofLogin is a gateway that logs browsers in at an issuer.
func ofLogin(issuer *grantor, words string) string {
	return fmt.Sprintf("oauth {\nissuer %s {\naudience api\nclient gateway secret\n}\nlogin {\n%s\n}\n}", issuer.URL, words)
}

func TestTheDoctorLooksForWhatALogInNeeds(t *testing.T) {
	good := newGrantor(t, func(m map[string]any) {
		m["authorization_endpoint"], m["end_session_endpoint"] = m["issuer"].(string)+"/authorize", m["issuer"].(string)+"/end"
		m["response_types_supported"], m["code_challenge_methods_supported"] = []string{"code"}, []string{"S256"}
		m["authorization_response_iss_parameter_supported"] = true
	})
	examined(t, ofLogin(good, "")).wants(t,
		"ok login: register https://api.example/_oauth/callback", "ok login: PKCE with S256", "ok login: end_session_endpoint http")

	for address, want := range map[string]string{
		"localhost:8080": "http://localhost:8080", "https://a.example:8443, https://a.example": "https://a.example", "https://b.example:8443": "https://b.example:8443",
		"https://*.example": "https://<this site>", ":8080": "https://<this site>", "http://[::1]:8080": "http://[::1]:8080",
	} {
		examinedWhole(t, address+" {\n"+ofLogin(good, "")+"\n}\n").wants(t, "ok login: register "+want+"/_oauth/callback")
	}

	bare := newGrantor(t, nil)
	examined(t, ofLogin(bare, "post_logout /_oauth/logged_out")).wants(t,
		"fail login: no usable authorization_endpoint", "warn login: do not say that there is PKCE",
		"warn login: does not name itself", "warn login: post_logout and logout_parameter have no effect")
	examined(t, ofLogin(bare, "claims userinfo")).wants(t, "fail login: no usable userinfo_endpoint")
	told := newGrantor(t, func(m map[string]any) { m["userinfo_endpoint"] = m["issuer"].(string) + "/userinfo" })
	examined(t, ofLogin(told, "claims id_token userinfo")).wants(t, "ok login: userinfo_endpoint http")

	odd := newGrantor(t, func(m map[string]any) {
		m["authorization_endpoint"] = "http://login.example.com/plain"
		m["response_types_supported"], m["code_challenge_methods_supported"] = []string{"id_token"}, []string{"plain"}
		m["grant_types_supported"] = []string{"authorization_code"}
	})
	examined(t, ofLogin(odd, "scope offline_access")).wants(t,
		"fail login: no usable authorization_endpoint", "fail login: answers id_token, not code",
		"fail login: by plain alone", "warn login: do not list refresh_token")
}
