package caddyoauth

import (
	"encoding/json"
	"net/url"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyoauth/caddyoauth/internal/token"
)

// Whatever stands in the block, adapting it does not panic, and what adapts
// provisions, or says why not, without a network.
func FuzzCaddyfile(f *testing.F) {
	for _, body := range []string{
		"", "strip_token", "realm \"a b\"\ncache 0", "issuer https://b.example {\naudience x y\nskew 5s\ntoken_type at+jwt\n}",
		"issuer https://b.example {\njwks testdata/keys/issuer.jwks.json\naudience x\n}", "issuer {env.X} {\naudience {$Y}\n}",
		"issuer http://b.example https://b.example {\ninsecure_http\ninsecure_any_audience\nalgorithms ES256 Ed25519\n}",
		"require scope a b\nrequire /x/* claim a.b c d\nrequire @m scope x", "credentials header X-A\ncredentials cookie c\ncredentials query q",
		"copy_claims sub>X-A b.c\nlist_claims a b\nallow_anonymous", "issuer https://b.example {\naudience a\ntrust_pool file testdata/keys/ca.crt\n}",
		"require {\n}", "issuer {", "}", "realm a {\nb\n}", "issuer https://b.example/%zz { audience \"\" }",
	} {
		f.Add(body)
	}
	ctx := testContext(f)
	f.Fuzz(func(t *testing.T, body string) {
		// These reach beyond what is tested here: other files, and Caddy's own
		// modules that may dial.
		if regexp.MustCompile(`import|trust_pool\s+(\S*[^f\s]\S*|f)\b|/dev/|/proc/`).MatchString(strings.ReplaceAll(body, "trust_pool file ", "")) {
			t.Skip()
		}
		config, err := adapt(":80 {\n@m method POST\noauth https://issuer.example api {\n" + body + "\n}\n}\n")
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without a text")
			}
			return
		}
		var doc any
		if err := json.Unmarshal(config, &doc); err != nil {
			t.Fatal("it adapts to what is no JSON: ", err)
		}
		for _, raw := range findOauth(doc) {
			g := new(Gateway)
			if err := caddy.StrictUnmarshalJSON(raw, g); err != nil {
				t.Fatal("it adapts to what is no gateway: ", err)
			}
			inner, cancel := caddy.NewContext(ctx)
			_ = g.Provision(inner)
			for _, require := range g.Require {
				if len(require.Scope) == 0 && require.Claim == "" {
					t.Error("a requirement of nothing")
				}
			}
			_ = g.Cleanup()
			cancel()
		}
	})
}

func findOauth(doc any) (found []json.RawMessage) {
	switch doc := doc.(type) {
	case map[string]any:
		if doc["handler"] == "oauth" {
			delete(doc, "handler")
			raw, _ := json.Marshal(doc)
			return []json.RawMessage{raw}
		}
		for _, v := range doc {
			found = append(found, findOauth(v)...)
		}
	case []any:
		for _, v := range doc {
			found = append(found, findOauth(v)...)
		}
	}
	return found
}

// Any claim is refused or becomes visible ASCII with single inner spaces, from
// which the upstream can read the claim back.
func FuzzHeaderValue(f *testing.F) {
	for _, claim := range []string{
		`"alice"`, `"Zoë"`, `" a "`, `"a  b"`, `"UTF-8''x"`, `"utf-8''%41"`, `["a","b,c","é",1,true,null]`, `{"a":"b c","é":[1]}`,
		`12345678901234567890.5e-7`, `null`, `[]`, `""`, `[""]`, `[["a,b"],{"x":1}]`, `"a\nb"`, `"%2C"`, `["UTF-8''x"]`, `{"a\n":"<é>"}`, `[{"x":1e999,"y":-0}]`,
	} {
		f.Add(claim)
	}
	f.Fuzz(func(t *testing.T, text string) {
		members, err := token.ParseObject(`{"c":` + text + `}`)
		if err != nil {
			t.Skip()
		}
		claim := members["c"]
		value, err := headerValue(claim)
		if err != nil {
			return
		}
		space := true
		for i := range len(value) {
			if c := value[i]; c < ' ' || c > '~' || c == ' ' && (space || i == len(value)-1) {
				t.Fatalf("%q becomes %q", text, value)
			}
			space = value[i] == ' '
		}
		list, ok := claim.([]any)
		if !ok {
			list = []any{claim}
		}
		parts := []string{value}
		if ok && len(list) != 1 {
			parts = strings.Split(value, ",")
		}
		if len(list) == 0 && value == "" {
			return
		}
		if len(parts) != len(list) {
			t.Fatalf("%q becomes %q: %d elements, not %d", text, value, len(parts), len(list))
		}
		for i, part := range parts {
			if !sameClaim(list[i], decodeExtended(part)) {
				t.Errorf("%q becomes %q: %q does not give %v back", text, value, part, list[i])
			}
		}
	})
}

// sameClaim compares what an upstream reads with the claim that was copied.
func sameClaim(claim any, read string) bool {
	switch claim := claim.(type) {
	case nil:
		return read == ""
	case string:
		return read == claim
	case json.Number:
		return read == string(claim)
	case bool:
		return read == map[bool]string{true: "true", false: "false"}[claim]
	}
	original, _ := json.Marshal(claim)
	got, err := decodeJSON(read)
	want, _ := decodeJSON(string(original))
	return err == nil && reflect.DeepEqual(got, want)
}

// decodeJSON keeps numbers as they are written: some are too large for floats.
func decodeJSON(text string) (v any, err error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

// decodeExtended reads a value as RFC 8187 §3.2.1 has it, as an upstream would.
func decodeExtended(part string) string {
	if encoded, ok := strings.CutPrefix(part, "UTF-8''"); ok {
		if text, err := url.PathUnescape(encoded); err == nil {
			return text
		}
	}
	return part
}

// No path passes that some server reads as another one: with dot segments,
// backslashes or NUL, once decoded; where rules look at paths, also with empty
// segments or parameters.
func FuzzPath(f *testing.F) {
	for _, p := range []string{
		"/", "/a/b", "/a/../b", "/a/%2e%2E/b", "/a/..%2fb", "/a%5cb", "/a%00", "//a", "/a//b", "/a;x/b", "/..;/a", "/a/.", "/a..b/...", "*", "/%2f", "/a%2fb", "/.%3bx/",
	} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			t.Skip()
		}
		usual, strict := checkPath(u, false), checkPath(u, true)
		if usual != nil && strict == nil {
			t.Errorf("%q is refused, but not where rules look at paths", target)
		}
		if usual == nil {
			if strings.ContainsAny(u.Path, "\\\x00") {
				t.Errorf("%q passes", target)
			}
			// Dots count between slashes, and also before a parameter.
			segments := regexp.MustCompile(`;[^/]*`).ReplaceAllString(u.Path, "")
			for segment := range strings.SplitSeq(segments, "/") {
				if slices.Contains([]string{".", ".."}, segment) {
					t.Errorf("%q passes", target)
				}
			}
		}
		if strict == nil && strings.HasPrefix(u.Path, "/") {
			if twice, err := url.PathUnescape(u.Path); err == nil && twice != u.Path {
				t.Errorf("%q passes, and is %q to who decodes once more", target, twice)
			}
			if clean := path.Clean(u.Path); clean != u.Path && clean+"/" != u.Path {
				t.Errorf("%q passes, and is %q to others", target, clean)
			}
		}
	})
}
