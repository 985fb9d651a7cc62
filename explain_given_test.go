package caddyoauth

import (
	"strings"
	"testing"
)

func TestAnOpaqueTokenIsCalledSoWhateverDotsAreInIt(t *testing.T) {
	config := configFile(t, explainConfig)
	for _, opaque := range []string{"ory_at_Zm9v.YmFy", "ya29.a0Af.x_y", "8f3a71", "a.b.c.d.e", "v4.public.AAAA"} {
		_, out, err := explained(t, explainFlags{config: config}, opaque)
		if err != nil || !strings.Contains(out, "opaque") {
			t.Errorf("%s: %v\n%s", opaque, err, out)
		}
	}
	cut := strings.Join(strings.Split(sign(t, "es256"), ".")[:2], ".")
	if _, out, _ := explained(t, explainFlags{config: config}, cut); strings.Contains(out, "opaque") || !strings.Contains(out, "It is cut or not a JWT") {
		t.Errorf("a JWT without its signature:\n%s", out)
	}
}

func TestAWholeAnswerOfATokenEndpointCanBeExplained(t *testing.T) {
	config, good := configFile(t, explainConfig), sign(t, "es256")
	answer := "\ufeff{\"access_token\":\"" + good + "\",\"token_type\":\"Bearer\",\"expires_in\":300,\"refresh_token\":\"the-refresh-token\",\"scope\":\"orders:read\"}\n"
	status, out, err := explained(t, explainFlags{config: config}, answer)
	if err != nil || status != statusAccepted || !strings.Contains(out, "its access_token is looked at") || strings.Contains(out, "the-refresh-token") {
		t.Errorf("%d, %v\n%s", status, err, out)
	}
	for given, want := range map[string]string{
		`{"error":"invalid_client"}`:      "a token endpoint's error was given",
		`{"id_token":"` + good + `"}`:     "has no access_token and no token",
		`{"Access_Token":"` + good + `"}`: "has no access_token and no token",
		" \n":                             "no token was given",
	} {
		if status, _, err := explained(t, explainFlags{config: config}, given); status != statusUnknown || err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), good) {
			t.Errorf("%.20s: %d, %v", given, status, err)
		}
	}
}

func TestAnExplanationEndsWithWhatTheUpstreamWouldSee(t *testing.T) {
	text := func(words string) string {
		return configFile(t, strings.Replace(explainConfig, "session {", words+"\n\t\tsession {", 1))
	}
	ends := func(words, token, want string) {
		t.Helper()
		_, out, err := explained(t, explainFlags{config: text(words)}, token)
		if err != nil || !strings.HasSuffix(out, want) {
			t.Errorf("%s: %v\n%s\nwant at the end:\n%s", words, err, out, want)
		}
	}
	ends("copy_claims sub>X-User-Id email>X-Email", sign(t, "es256"),
		"\nthe upstream would see\n  X-User-Id: alice\n  no X-Email: the token has no claim email\n  the token itself\n")
	ends("strip_token", sign(t, "es256"), "\nthe upstream would see\n  no token: strip_token\n")
	_, out, _ := explained(t, explainFlags{config: text("copy_claims sub>X-User-Id")}, sign(t, "es256", `"aud":"api"`, `"aud":"billing"`))
	if strings.Contains(out, "upstream would see") {
		t.Errorf("an upstream sees what is refused:\n%s", out)
	}
}
