package caddyoauth

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/gateway/explain"
)

// explainConfig is the Caddyfile of docs/explain.md.
const explainConfig = `api.example.com {
	oauth {
		issuer https://issuer.example {
			audience api
			jwks /etc/caddy/issuer.jwks.json
		}
		require scope orders:read
		require /admin/* claim groups admins
		session {
			store memory
		}
	}
	reverse_proxy orders:8080
}
`

// explainAt is {now} of the verdict files.
const explainAt = "2027-01-15T08:00:00Z"

// explainFlags are what stands behind "caddy oauth explain".
type explainFlags struct {
	config, adapter, host, issuer, jwks, at, file string
	index                                         int
	audience                                      []string
	asJSON                                        bool
}

func (f explainFlags) args() []string {
	args := []string{"explain"}
	for _, flag := range [][2]string{
		{"config", f.config}, {"adapter", f.adapter}, {"host", f.host}, {"issuer", f.issuer}, {"jwks", f.jwks}, {"at", f.at}, {"token-file", f.file},
	} {
		if flag[1] != "" {
			args = append(args, "--"+flag[0], flag[1])
		}
	}
	for _, audience := range f.audience {
		args = append(args, "--audience", audience)
	}
	if f.index != 0 {
		args = append(args, "--index", strconv.Itoa(f.index))
	}
	if f.asJSON {
		args = append(args, "--json")
	}
	return args
}

// The exit statuses of "caddy oauth explain".
const (
	statusAccepted = 0
	statusRefused  = 1
	statusUnknown  = 2
)

// explained runs the command in this process. A mistake in the call is an error.
func explained(t *testing.T, f explainFlags, text string) (status int, out string, err error) {
	t.Helper()
	if f.at == "" {
		f.at = explainAt
	}
	status, out, problems := oauthCommand(t, text, f.args()...)
	if problems != "" {
		err = errors.New(problems)
	}
	return status, out, err
}

func configFile(t *testing.T, text string) string {
	t.Helper()
	text = strings.Replace(text, "/etc/caddy/", "testdata/keys/", 1)
	name := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// sign makes a token of the verdict files' defaults with some text replaced.
func sign(t *testing.T, key string, edits ...string) string {
	t.Helper()
	f := newFact(t)
	edit := strings.NewReplacer(edits...)
	return signToken(t, key, edit.Replace(defaultHeader), f.expand(edit.Replace(defaultPayload)))
}

// badTokens are the twelve of docs/explain.md, and some more. line is what the
// first line says behind REFUSED.
func badTokens(t *testing.T) []struct{ name, token, line string } {
	t.Helper()
	good := sign(t, "es256")
	parts := strings.Split(good, ".")
	other := strings.Split(sign(t, "es256", "alice", "mallory"), ".")
	b64 := base64.RawURLEncoding.EncodeToString
	return []struct{ name, token, line string }{
		{"An opaque token", "ya29.opaque", "not_jwt: form (RFC 7515 §3.1)"},
		{"An encrypted token (JWE)", b64([]byte(`{"alg":"dir","enc":"A256GCM"}`)) + "..aaaa.bbbb.cccc", "not_jwt: form (RFC 7515 §3.1)"},
		{"An ID token", sign(t, "es256", `"at+jwt"`, `"JWT"`, `"sub"`, `"nonce":"n-0S6","sub"`), "id_token: kind of token (RFC 8725 §3.12)"},
		{"Expired, and forged too", sign(t, "es256 broken", "{now+300}", "{now-3600}"), "token_expired: exp (RFC 7519 §4.1.4)"},
		{"For another API", sign(t, "es256", `"aud":"api"`, `"aud":["billing","account"]`), "wrong_audience: aud (RFC 9068 §4, RFC 7519 §4.1.3)"},
		{"A slash too many in iss", sign(t, "es256", "issuer.example", "issuer.example/"), "issuer_unknown: iss (RFC 9068 §4, RFC 8725 §3.8)"},
		{"Signed with HMAC", sign(t, "es256 hmac", "ES256", "HS256"), "alg_refused: alg (RFC 9068 §4, RFC 8725 §3.1)"},
		{"Of a key that nobody publishes", sign(t, "es256", `"kid":"es256"`, `"kid":"2019-key"`), "key_unknown: kid (RFC 7515 §4.1.4, RFC 7517 §4.5)"},
		{"Changed on its way", parts[0] + "." + other[1] + "." + parts[2], "signature_invalid: signature (RFC 7515 §5.2)"},
		{"With Bearer pasted in front", "Bearer " + good, "credential_malformed: credential (RFC 6750 §2.1)"},
		{"In quotes", `"` + good + `",`, "credential_malformed: credential (RFC 6750 §2.1)"},
		{"A reference refresh token", "ogr_" + strings.Repeat("a", 64), "refresh_token: reference token (RFC 6749 §1.5)"},
		{"Without the scope", sign(t, "es256", "orders:read", "openid profile"), "missing_scope: require scope (RFC 6750 §3.1)"},
		{"An exp that is text", sign(t, "es256", "{now+300}", `"soon"`), "claim_type: claim types (RFC 7519 §4.1)"},
		{"Cut when it was copied", parts[0] + "." + parts[1], "not_jwt: form (RFC 7515 §3.1)"},
		{"Not valid yet", sign(t, "es256", `"sub"`, `"nbf":{now+120},"sub"`), "token_not_yet: nbf (RFC 7519 §4.1.5)"},
		{"alg none", sign(t, "es256", "ES256", "none"), "alg_refused: alg (RFC 9068 §4, RFC 8725 §3.1)"},
	}
}

func TestTheDecisiveLinesOfBadTokensAreThoseOfThePage(t *testing.T) {
	page, err := os.ReadFile("docs/explain.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "```caddyfile\n"+explainConfig+"```") {
		t.Error("docs/explain.md has another config than this test")
	}
	f := explainFlags{config: configFile(t, explainConfig), adapter: "caddyfile"}
	for _, bad := range badTokens(t) {
		status, out, err := explained(t, f, bad.token+"\n")
		if err != nil || status != statusRefused {
			t.Errorf("%s: status %d, %v\n%s", bad.name, status, err, out)
			continue
		}
		head, _, _ := strings.Cut(out, "\n\n")
		lines := strings.Split(head, "\n")
		if lines[0] != "REFUSED "+bad.line {
			t.Errorf("%s: %s", bad.name, lines[0])
		}
		row := "### " + bad.name + "\n\n```\n" + lines[0] + "\n"
		for _, line := range lines[1:] {
			for _, word := range []string{"answer", "because", "change"} {
				if strings.HasPrefix(line, "  "+word) {
					row += line + "\n"
				}
			}
		}
		if row += "```\n"; !strings.Contains(string(page), row) {
			t.Errorf("docs/explain.md does not have:\n\n%s", row)
		}
		for part := range strings.SplitSeq(bad.token, ".") {
			if len(part) >= 20 && strings.Contains(out, part[:20]) {
				t.Errorf("%s: a part of the token is shown:\n%s", bad.name, out)
			}
		}
	}
}

func TestExplainShowsAllThatIsWrongAtOnce(t *testing.T) {
	f := explainFlags{config: configFile(t, explainConfig), adapter: "caddyfile", asJSON: true}
	token := sign(t, "es256 broken", "{now+300}", "{now-3600}", `"aud":"api"`, `"aud":"b"`, "orders:read", "openid")
	status, out, err := explained(t, f, token)
	var e explain.Explanation
	if err != nil || status != statusRefused || json.Unmarshal([]byte(out), &e) != nil {
		t.Fatal(status, out, err)
	}
	if e.Verdict != "refused" || e.Reason != "token_expired" || e.Status != 401 || e.Error != "invalid_token" || e.Gateway != "api.example.com" {
		t.Errorf("%+v", e)
	}
	var failed []string
	for _, step := range e.Checks {
		if step.Result != "passed" {
			failed = append(failed, step.Check+" "+step.Result)
		}
	}
	want := "exp failed|aud failed|signature failed|require claim groups depends|require scope failed"
	if got := strings.Join(failed, "|"); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestAGoodTokenIsAcceptedOfflineAndTheClockIsAnArgument(t *testing.T) {
	good := sign(t, "es256")
	f := explainFlags{issuer: "https://issuer.example", audience: []string{"other", "api"}, jwks: "testdata/keys/issuer.jwks.json"}
	for _, text := range []string{good, good + "\r\n", "  " + good, "Authorization: Bearer " + good, `{"token":"` + good + `"}`} {
		if status, out, err := explained(t, f, text); status != statusAccepted || err != nil || !strings.HasPrefix(out, "ACCEPTED\n") {
			t.Errorf("%.30s: %d %v\n%s", text, status, err, out)
		}
	}
	f.at = "2027-01-15T08:05:29Z" // within the skew
	if status, out, _ := explained(t, f, good); status != statusAccepted {
		t.Error(out)
	}
	f.at = "2027-01-15T10:05:30+02:00" // at its end
	if status, out, _ := explained(t, f, good); status != statusRefused || !strings.Contains(out, "token_expired") {
		t.Error(out)
	}
}

func TestExplainFetchesTheKeysOfAnIssuerOrSaysThatItCouldNot(t *testing.T) {
	issuer := newTestIssuer(t, newES256(t))
	f := explainFlags{issuer: issuer.URL, audience: []string{"api"}, at: "2026-01-01T00:00:00Z"}
	token := issuer.token(t)
	if status, out, err := explained(t, f, token); status != statusAccepted || err != nil {
		t.Fatal(status, err, out)
	}
	issuer.Close()
	status, out, err := explained(t, f, token)
	if status != statusUnknown || err != nil || !strings.HasPrefix(out, "NOT JUDGED issuer_unavailable: keys\n") {
		t.Error(status, err, out)
	}
	// What is wrong with the token itself is a verdict without the issuer too.
	f.at = "2100-01-01T00:00:00Z"
	if status, out, _ = explained(t, f, token); status != statusRefused || !strings.HasPrefix(out, "REFUSED token_expired") {
		t.Error(status, out)
	}
}

func TestAReferenceAccessTokenIsNotJudgedAndWithoutGrantsIsOpaque(t *testing.T) {
	reference := "oga_" + strings.Repeat("a", 64)
	f := explainFlags{config: configFile(t, explainConfig), adapter: "caddyfile"}
	if status, out, _ := explained(t, f, reference); status != statusUnknown || !strings.Contains(out, "only the running gateway knows its grant") {
		t.Error(status, out)
	}
	if status, out, _ := explained(t, f, reference[:40]); status != statusRefused || !strings.HasPrefix(out, "REFUSED no_grant") {
		t.Error(status, out)
	}
	f = explainFlags{issuer: "https://issuer.example", audience: []string{"api"}, jwks: "testdata/keys/issuer.jwks.json"}
	if status, out, _ := explained(t, f, reference); status != statusRefused || !strings.HasPrefix(out, "REFUSED not_jwt") || !strings.Contains(out, "no grants are kept here") {
		t.Error(status, out)
	}
}

const twoSites = "a.example {\noauth https://a.issuer.example api\n}\n*.b.example {\noauth https://b.issuer.example api {\nissuer https://c.issuer.example {\naudience api\nclient gate {env.NO_SUCH_VARIABLE}\n}\n}\n}\n"

func TestAWrongCallOfExplainIsNoVerdict(t *testing.T) {
	good := sign(t, "es256")
	two := configFile(t, twoSites)
	for _, row := range []struct {
		flags explainFlags
		token string
		words string
	}{
		{explainFlags{config: two, adapter: "caddyfile"}, good, "choose one with --host or --index:\n  1  a.example: https://a.issuer.example\n  2  *.b.example: https://b.issuer.example https://c.issuer.example"},
		{explainFlags{config: two, adapter: "caddyfile", host: "d.example"}, good, "no oauth for the host d.example"},
		{explainFlags{config: two, adapter: "caddyfile", index: 3}, good, "--index 3: there are 2"},
		{explainFlags{config: "/nonexistent/Caddyfile"}, good, "no such file"},
		{explainFlags{config: configFile(t, "x.example {\nrespond hi\n}\n"), adapter: "caddyfile"}, good, "no oauth in this config"},
		{explainFlags{issuer: "https://issuer.example"}, good, "--issuer needs --audience"},
		{explainFlags{issuer: "https://issuer.example", audience: []string{"a"}, config: two}, good, "--issuer stands instead of --config"},
		{explainFlags{issuer: "http://issuer.example", audience: []string{"a"}}, good, "plain http"},
		{explainFlags{issuer: "https://issuer.example", audience: []string{"a"}, jwks: "/nonexistent.json"}, good, "no such file"},
		{explainFlags{issuer: "https://issuer.example", audience: []string{"a"}, jwks: "https://issuer.example/keys"}, good, "--jwks takes a file"},
		{explainFlags{jwks: "x"}, good, "go with --issuer"},
		{explainFlags{issuer: "https://issuer.example", audience: []string{"a"}, at: "noon"}, good, "--at"},
		{explainFlags{issuer: "https://issuer.example", audience: []string{"a"}}, " \n", "no token was given"},
		{explainFlags{issuer: "https://issuer.example", audience: []string{"a"}, file: "/nonexistent"}, good, "reading the token"},
	} {
		status, out, err := explained(t, row.flags, row.token)
		if status != statusUnknown || err == nil || !strings.Contains(err.Error(), row.words) || out != "" {
			t.Errorf("%+v: %d %v %s\nwant %s", row.flags, status, err, out, row.words)
		}
	}
	// A secret that only the running gateway has is not needed.
	status, out, err := explained(t, explainFlags{config: two, adapter: "caddyfile", host: "x.b.example"}, good)
	if status != statusRefused || err != nil || !strings.Contains(out, "configured: https://b.issuer.example https://c.issuer.example") {
		t.Error(status, err, out)
	}
}
