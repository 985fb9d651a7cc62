package as

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/token"
)

func FuzzTokenAnswer(f *testing.F) {
	for _, doc := range []string{
		goodAnswer, bearer(`"expires_in":"1e400","scope":["a",7]`), bearer(`"error":"invalid_grant"`),
		`{"error":"invalid_grant","error_description":"\u0007","error_uri":"a b"}`, `{"error":{}}`,
		`{"access_token":"a","Access_Token":"b"}`, `{"access_token":"a","access_token":"b"}`,
		goodAnswer[:40], `<html>`, `[]`, `null`, "",
	} {
		for _, status := range []int{200, 302, 400, 503} {
			f.Add([]byte(doc), status, true)
		}
	}
	f.Fuzz(func(t *testing.T, doc []byte, status int, refresh bool) {
		r := &response{endpoint: "token endpoint", status: status, body: doc}
		grant := map[bool]string{true: grantRefreshToken, false: "authorization_code"}[refresh]
		tokens, failed := r.tokens(grant)
		if (tokens == nil) == (failed == nil) {
			t.Fatalf("tokens %v and error %v", tokens, failed)
		}
		if failed != nil {
			checkFailure(t, failed, status, refresh)
			return
		}
		// What another reader of JSON sees must be the same.
		var members map[string]any
		if err := json.Unmarshal(doc, &members); err != nil {
			t.Fatalf("tokens of what is no JSON: %v", err)
		}
		refreshToken, _ := members["refresh_token"].(string)
		access := tokens.AccessToken.Reveal()
		if status < 200 || status > 299 || access == "" || access != members["access_token"] || refreshToken != tokens.RefreshToken.Reveal() {
			t.Fatalf("status %d, %q and %q", status, access, tokens.RefreshToken.Reveal())
		}
		if strings.ContainsFunc(access, func(c rune) bool { return c <= ' ' || c > '~' }) {
			t.Fatalf("access token %q", access)
		}
		if tokens.ExpiresIn != nil && (*tokens.ExpiresIn > mostLife || *tokens.ExpiresIn < -mostLife) {
			t.Fatalf("expires in %s", *tokens.ExpiresIn)
		}
	})
}

func checkFailure(t *testing.T, e *CallError, status int, refresh bool) {
	t.Helper()
	over := e.Code == "invalid_grant" || refresh && (e.Code == "unauthorized_client" || slices.Contains(definiteRefusals, e.Code))
	client := e.Code == "invalid_client" || e.Code == "unauthorized_client"
	judged := status >= 400 && status < 500 && status != 429 || status >= 200 && status < 300
	good := status >= 200 && status < 300
	switch {
	case e.Fate == NotSent,
		e.Fate == Refused && !(over && judged),
		e.Fate == BadClient && !(client && judged),
		e.Fate == Unconsumed && (status < 200 || status > 599 || good && e.Code == ""),
		!e.Salvaged.Empty() && (e.Fate != Unknown || !good):
		t.Fatalf("status %d: %s, %+v", status, e.Fate, e)
	}
	if strings.ContainsFunc(e.Code+e.Description+e.URI, func(c rune) bool { return c < ' ' || c > '~' || c == '"' || c == '\\' }) ||
		len(e.Code) > maxCode || len(e.Description) > maxDescription {
		t.Fatalf("passes on %q, %q, %q", e.Code, e.Description, e.URI)
	}
}

func FuzzSalvage(f *testing.F) {
	for _, doc := range []string{
		goodAnswer, `{"refresh_token":"a\u002d\/b","x":[{"refresh_token":"no"}]}`, `{"refresh_token":"a","refresh_token":"b"}`,
		`{"refresh_token":null,"x":"\ud83d\ude00"}`, `[{"refresh_token":"a"}]`, "{\"\xff\":1,\"refresh_token\":\"a\"}",
	} {
		f.Add([]byte(doc), len(doc)-1)
		f.Add([]byte(doc), len(doc)/2)
	}
	f.Fuzz(func(t *testing.T, doc []byte, cut int) {
		found := salvage(doc).Reveal()
		if s, ok := text(found, maxToken); !ok || s != found {
			t.Fatalf("salvaged %q", found)
		}
		// Nothing is found in the beginning that is not in the whole.
		cut = max(0, min(cut, len(doc)))
		if early := salvage(doc[:cut]).Reveal(); early != "" && found != "" && early != found {
			t.Fatalf("%q, of the whole %q", early, found)
		}
		members, err := token.ParseObject(string(doc))
		if err != nil {
			return
		}
		whole, ok := text(members["refresh_token"], maxToken)
		if !ok {
			whole = ""
		}
		if early := salvage(doc[:cut]).Reveal(); found != whole || early != "" && early != whole {
			t.Fatalf("%q and of %d bytes %q, want %q", found, cut, early, whole)
		}
	})
}
