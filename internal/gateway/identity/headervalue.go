package identity

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

var errUnsafe = errors.New("has CR, LF or NUL in it")

// headerValue is a claim as the upstream gets it: strings as they are, numbers
// and booleans as JSON writes them, lists joined by commas, objects as JSON.
// Nothing is trimmed, cut or replaced: what a header cannot carry as it is
// goes encoded, so that it can be read back; an absent claim is "".
func headerValue(claim any) (string, error) {
	switch v := claim.(type) {
	case nil:
		return "", nil
	case string:
		return safe(v, "")
	case json.Number:
		return string(v), nil
	case bool:
		return fmt.Sprint(v), nil
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			part, err := elementValue(e)
			if err != nil {
				return "", err
			}
			parts[i] = part
		}
		return strings.Join(parts, ","), nil
	}
	return jsonValue(claim)
}

// listValue is a claim that is a list, also where it is one text: a comma in it is
// no second element.
func listValue(claim any) (string, error) {
	if claim != nil && claim != "" {
		claim = listOf(claim)
	}
	return headerValue(claim)
}

// elementValue is one element of a list. One with a comma in it goes encoded,
// or it would be two.
func elementValue(e any) (string, error) {
	switch v := e.(type) {
	case string:
		return safe(v, ",")
	case []any, map[string]any:
		text, err := jsonValue(v)
		if err != nil || !strings.Contains(text, ",") {
			return text, err
		}
		return encode(text), nil
	}
	return headerValue(e)
}

func jsonValue(claim any) (string, error) {
	text, err := json.Marshal(claim)
	if err != nil {
		return "", fmt.Errorf("encoding it: %w", err)
	}
	return safe(string(text), "")
}

const extended = "UTF-8''"

// safe passes visible ASCII with single inner spaces and encodes the rest as
// RFC 8187 has it. What looks encoded already is encoded again, so that
// no client can choose what the upstream decodes.
func safe(s, also string) (string, error) {
	if strings.ContainsAny(s, "\r\n\x00") {
		return "", errUnsafe
	}
	space := true // as if one stood before: none may stand at the edge
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c > '~' || (c == ' ' && space) || strings.IndexByte(also, c) >= 0 {
			return encode(s), nil
		}
		space = c == ' '
	}
	if (space && s != "") || looksExtended(s) {
		return encode(s), nil
	}
	return s, nil
}

// looksExtended reports whether a careless decoder could take s for an
// ext-value: charset'language'rest.
func looksExtended(s string) bool {
	charset, rest, _ := strings.Cut(s, "'")
	return charset != "" && !strings.Contains(charset, " ") && strings.Contains(rest, "'")
}

// encode is the ext-value of RFC 8187 §3.2.1.
func encode(s string) string {
	var b strings.Builder
	b.WriteString(extended)
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$&+-.^_`|~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
