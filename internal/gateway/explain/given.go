package explain

import (
	"bytes"
	"encoding/json"
	"errors"
)

var (
	errNoToken     = errors.New("no token was given")
	errNoAccess    = errors.New("the JSON that was given has no access_token and no token")
	errOnlyRefused = errors.New("a token endpoint's error was given, and no token: look at its error and error_description")
)

// givenToken takes a token as text, the one in {"token": "…"}, or the access
// token of a whole answer of a token endpoint (RFC 6749 §5.1). note says which it
// was. What is wrong with it is never repeated.
func givenToken(body []byte) (text, note string, err error) {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\ufeff")))
	if len(body) == 0 {
		return "", "", errNoToken
	}
	var members map[string]any
	// Anything else that begins so is a token too, and a bad one.
	if bytes.HasPrefix(body, []byte("{")) && json.Unmarshal(body, &members) == nil {
		return givenJSON(members)
	}
	return string(body), "", nil
}

func givenJSON(members map[string]any) (text, note string, err error) {
	for _, name := range []string{"token", "access_token"} {
		text, _ := members[name].(string)
		switch {
		case len(bytes.TrimSpace([]byte(text))) == 0:
		case name == "access_token":
			return text, "A whole answer of a token endpoint was given; its access_token is looked at.", nil
		default:
			return text, "", nil
		}
	}
	if _, is := members["error"].(string); is {
		return "", "", errOnlyRefused
	}
	return "", "", errNoAccess
}
