package as

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"github.com/caddyoauth/caddyoauth/internal/secret"
)

// maxNesting bounds what is read of an answer, as the strict parser does.
const maxNesting = 16

// salvage reads the refresh token out of an answer that is no good, mostly
// because it broke off: the old token is used up then, and this is the only
// trace of the new one. It takes one only if the answer is the beginning of a
// JSON object, with the whole string in it, once and at the top.
func salvage(doc []byte) secret.Text {
	decoder := json.NewDecoder(bytes.NewReader(doc))
	if first, err := decoder.Token(); err != nil || first != json.Delim('{') {
		return secret.Text{}
	}
	found, seen := "", false
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return kept(found, err)
		}
		value, err := shallow(decoder)
		if err != nil {
			return kept(found, err)
		}
		if name != "refresh_token" {
			continue
		}
		s, ok := text(value, maxToken)
		if !ok || seen {
			return secret.Text{} // not a token, or two of them
		}
		found, seen = s, true
	}
	_, err := decoder.Token()
	return kept(found, err)
}

// shallow reads one value; of an object or a list it answers only that it was
// one.
func shallow(decoder *json.Decoder) (any, error) {
	var first any
	for depth, begun := 0, false; !begun || depth > 0; begun = true {
		piece, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		if !begun {
			first = piece
		}
		switch piece {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth > maxNesting {
			return nil, errors.New("nested too deeply")
		}
	}
	return first, nil
}

// kept is what was found before the answer ended. One that goes on with
// something else than JSON is not an answer that broke off.
func kept(found string, end error) secret.Text {
	if found == "" || end != nil && !errors.Is(end, io.EOF) && !errors.Is(end, io.ErrUnexpectedEOF) {
		return secret.Text{}
	}
	return secret.New(found)
}
