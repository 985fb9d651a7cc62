package as

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/token"
)

func TestALifetimeIsANumberHoweverItIsWritten(t *testing.T) {
	const none = time.Duration(-1 << 63)
	for said, want := range map[string]time.Duration{
		`300`: 5 * time.Minute, `"300"`: 5 * time.Minute, `299.9`: 299 * time.Second, `3e2`: 5 * time.Minute,
		`0`: 0, `-5`: -5 * time.Second, `"-5"`: -5 * time.Second, `0.5`: 0,
		`1e999`: mostLife, `"99999999999999999999999"`: mostLife, `9223372036854775807`: mostLife, `-1e999`: -mostLife,
		`null`: none, `""`: none, `"soon"`: none, `"NaN"`: none, `"Inf"`: none, `"0x10"`: none, `"1_0"`: none, `" 300"`: none,
		`true`: none, `[300]`: none, `{}`: none,
	} {
		members, err := token.ParseObject(`{"x":` + said + `}`)
		if err != nil {
			t.Fatal(said, err)
		}
		got := readLife(members["x"])
		if (got == nil) != (want == none) || got != nil && *got != want {
			t.Errorf("%s: %v, want %s", said, got, want)
		}
	}
	if readLife(nil) != nil {
		t.Error("a lifetime of nothing")
	}
}

func TestAnswersThatAreOddAndGood(t *testing.T) {
	for name, doc := range map[string]string{
		"no type":                bearer(rtMember),
		"type null":              bearer(`"token_type":null,` + rtMember),
		"type in capitals":       bearer(`"token_type":"BEARER",` + rtMember),
		"an empty error":         bearer(`"error":"",` + rtMember),
		"error null":             bearer(`"error":null,` + rtMember),
		"a bad id token":         bearer(`"id_token":7,` + rtMember),
		"an id token over lines": bearer(`"id_token":"a\nb",` + rtMember),
		"a scope in a list":      bearer(`"scope":["a","b"],` + rtMember),
	} {
		r := &response{status: 200, body: []byte(doc)}
		got, failed := r.tokens(grantRefreshToken)
		if failed != nil {
			t.Errorf("%s: %v", name, failed)
			continue
		}
		if got.AccessToken.Reveal() != newAT || got.RefreshToken.Reveal() != newRT || !got.IDToken.Empty() || got.TokenType != "Bearer" {
			t.Errorf("%s: %+v", name, got)
		}
		if strings.Contains(doc, "scope") != (got.Scope != nil) || got.Scope != nil && *got.Scope != "a b" {
			t.Errorf("%s: scope %v", name, got.Scope)
		}
	}
	for _, none := range []string{bearer(`"refresh_token":null`), bearer(`"refresh_token":""`)} {
		if got, failed := (&response{status: 200, body: []byte(none)}).tokens(grantRefreshToken); failed != nil || !got.RefreshToken.Empty() {
			t.Errorf("%s: %v", none, failed)
		}
	}
	whole := &response{status: 200, body: []byte(bearer(rtMember)), broken: errSealed}
	if got, failed := whole.tokens(grantRefreshToken); failed != nil || got.RefreshToken.Reveal() != newRT {
		t.Errorf("whole, though more was announced: %v", failed)
	}
}

func TestOnlyTheLettersOfTheRFCArePassedOn(t *testing.T) {
	long := strings.Repeat("x", maxDescription)
	for given, want := range map[string]string{
		"a description.": "a description.", long: long, long + "x": "", `a "word"`: "", `a\b`: "",
		"über": "", "two\nlines": "", "\x7f": "", "": "",
	} {
		doc, err := json.Marshal(map[string]string{"error": "invalid_scope", "error_description": given, "error_uri": given})
		if err != nil {
			t.Fatal(err)
		}
		_, failed := (&response{status: 400, body: doc}).tokens("authorization_code")
		if failed.Code != "invalid_scope" || failed.Description != want || failed.URI != strings.ReplaceAll(want, " ", "%20") {
			t.Errorf("%q: %+v", given, failed)
		}
	}
	if _, failed := (&response{status: 400, body: []byte(`{"error":"` + long + `"}`)}).tokens("authorization_code"); failed.Code != "" {
		t.Errorf("a code of %d letters", len(failed.Code))
	}
}

func TestARefreshTokenIsSalvagedWholeOrNotAtAll(t *testing.T) {
	before := `{"a":{"refresh_token":"inner","l":[{"refresh_token":"deep"}]},"n":-1.5e3,"t":true,`
	member := `"refresh_token" : "` + newRT + `"`
	after := `,"scope":"a b"}`
	doc := before + member + after
	for cut := range len(doc) + 1 {
		want := ""
		if cut >= len(before+member) {
			want = newRT
		}
		if got := salvage([]byte(doc[:cut])).Reveal(); got != want {
			t.Errorf("%s: %q, want %q", doc[:cut], got, want)
		}
	}
	for doc, want := range map[string]string{
		`{"refresh_token":"a\u002db"`:                                  "a-b",
		`{"refresh\u005ftoken":"ab"`:                                   "ab",
		`{"Refresh_Token":"ab","x`:                                     "",
		`{"refresh_token":"a","refresh_token":"b"`:                     "",
		`{"refresh_token":null,"refresh_token":"b"`:                    "",
		`{"refresh_token":"a\nb"`:                                      "",
		`{"refresh_token":"ä"`:                                         "",
		`{"refresh_token":"` + strings.Repeat("x", maxToken+1) + `",`:  "",
		`[{"refresh_token":"ab"}`:                                      "",
		`"refresh_token":"ab"`:                                         "",
		`{"refresh_token":"ab" garbage`:                                "",
		`{"refresh_token":"ab",,`:                                      "",
		`{"refresh_token":"ab"]`:                                       "",
		`{"x":[}],"refresh_token":"ab"`:                                "",
		`{"refresh_token":"ab","x":` + strings.Repeat("[", 1<<16):      "",
		`{"x":"{\"refresh_token\":\"no\"","y":1`:                       "",
		`{"refresh_token":"ab","half":"\ud8`:                           "ab",
		"{\"refresh_token\":\"ab\",\"broken\":\"\xff\xfe\",\"scope\":": "ab",
	} {
		if got := salvage([]byte(doc)).Reveal(); got != want {
			t.Errorf("%.80s: %q, want %q", doc, got, want)
		}
	}
}
