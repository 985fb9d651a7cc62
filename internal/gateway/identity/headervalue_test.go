package identity

import (
	"encoding/json"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/token"
)

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
