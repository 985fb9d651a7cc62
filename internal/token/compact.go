package token

import (
	"encoding/base64"
	"strings"
	"unsafe"
)

// MaxSize is the longest token looked at, in bytes.
const MaxSize = 32 << 10

// Unverified is a token that passed the front door: its form is right and
// nothing else is known. Its issuer may select among configured issuers, and
// that is all it may be used for before [Profile.Verify].
type Unverified struct {
	Claims Claims

	alg, kid, typ string
	typed         bool   // the header has a typ
	signed        string // header "." payload, as sent
	signature     []byte
}

// HMAC reports whether the header says that it is signed with one.
func (u *Unverified) HMAC() bool { return strings.HasPrefix(u.alg, "HS") }

var strict = base64.RawURLEncoding.Strict()

// Parse is the front door (RFC 7515 §3.1, 7519 §7.2): a size cap, exactly
// three non-empty parts, strict base64url, one strict JSON object each in
// header and payload. Errors are refusals.
func Parse(raw string) (*Unverified, error) { return parse(raw, MaxSize, nil) }

func parse(raw string, most int, rec *Record) (*Unverified, error) {
	if err := rec.note(CheckSize, checkSize(raw, most)); err != nil {
		return nil, err
	}
	header, rest, _ := strings.Cut(raw, ".")
	payload, signature, two := strings.Cut(rest, ".")
	var err error
	if !two || header == "" || payload == "" || signature == "" || strings.IndexByte(signature, '.') >= 0 {
		err = refuse(NotJWT, shapeOf(raw))
	}
	if err := rec.note(CheckForm, err); err != nil {
		return nil, err
	}
	u := &Unverified{signed: raw[:len(header)+1+len(payload)]}
	h, err := decode(header)
	if err := rec.note(CheckHeaderText, malformed("header: ", err)); err != nil {
		return nil, err
	}
	p, err := decode(payload)
	if err := rec.note(CheckPayloadText, malformed("payload: ", err)); err != nil {
		return nil, err
	}
	u.signature, err = decode(signature)
	if err := rec.note(CheckSignText, malformed("signature: ", err)); err != nil {
		return nil, err
	}
	members, err := ParseObject(text(h))
	if err := rec.note(CheckHeaderJSON, malformed("header: ", err)); err != nil {
		return nil, err
	}
	if err := u.readHeader(members, rec); err != nil {
		return nil, err
	}
	if u.Claims, err = parseClaims(text(p), rec); err != nil {
		return nil, err
	}
	return u, nil
}

func checkSize(raw string, most int) error {
	if len(raw) > most {
		return refuse(TooLarge, "")
	}
	return nil
}

func malformed(part string, err error) error {
	if err == nil {
		return nil
	}
	return refuse(Malformed, part+err.Error())
}

// PayloadClaims decodes the claims of a token that was verified before: the
// same bytes, known by their digest, need no second proof.
func PayloadClaims(raw string) (Claims, error) {
	_, rest, _ := strings.Cut(raw, ".")
	payload, _, _ := strings.Cut(rest, ".")
	p, err := decode(payload)
	if err != nil {
		return nil, refuse(Malformed, "payload: "+err.Error())
	}
	return parseClaims(text(p), nil)
}

// shapeOf helps an operator to see what arrived instead of a JWT.
func shapeOf(raw string) string {
	dots := strings.Count(raw, ".")
	switch {
	case dots == 0:
		return "no dots: an opaque token"
	case LooksOpaque(raw):
		return "no header of a JWT in front of the first dot: an opaque token"
	case dots == 4:
		return "five parts: an encrypted token (JWE)"
	}
	return "not three non-empty parts"
}

type decodeError string

func (e decodeError) Error() string { return string(e) }

func decode(part string) ([]byte, error) {
	// Go's decoder drops CR and LF, which would give one token many spellings.
	if strings.ContainsAny(part, "\r\n") {
		return nil, decodeError("white space in base64url")
	}
	out, err := strict.DecodeString(part)
	if err != nil {
		return nil, decodeError("not strict base64url")
	}
	return out, nil
}

// text is b as a string without a copy: b is not written to again.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// readHeader takes what verifying needs from the JOSE header. jwk, jku, x5u,
// x5c and x5t are not read at all: they never choose a key and are never
// fetched (RFC 8725 §3.10).
func (u *Unverified) readHeader(members map[string]any, rec *Record) error {
	for _, name := range []string{"crit", "b64"} {
		if _, has := members[name]; has {
			if err := rec.wrong(CheckHeaderTypes, name, refuse(HeaderRefused, name+" is not supported")); err != nil {
				return err
			}
		}
	}
	if cty, has := members["cty"]; has {
		if err := checkContent(cty); err != nil {
			if err := rec.wrong(CheckHeaderTypes, "cty", err); err != nil {
				return err
			}
		}
	}
	var ok bool
	if u.alg, ok = members["alg"].(string); !ok {
		if err := rec.wrong(CheckHeaderTypes, "alg", refuse(HeaderRefused, "alg is not a string")); err != nil {
			return err
		}
	}
	if kid, has := members["kid"]; has { // one that is empty names no key
		if u.kid, ok = kid.(string); !ok {
			if err := rec.wrong(CheckHeaderTypes, "kid", refuse(HeaderRefused, "kid is not a string")); err != nil {
				return err
			}
		}
	}
	if typ, has := members["typ"]; has {
		if u.typ, u.typed = typ.(string); !u.typed {
			if err := rec.wrong(CheckHeaderTypes, "typ", refuse(HeaderRefused, "typ is not a string")); err != nil {
				return err
			}
		}
	}
	return rec.note(CheckHeaderTypes, nil)
}

// checkContent keeps a token in a token out (RFC 7519 §5.2): nobody unpacks it.
// What else cty says is for those who know what they get (RFC 7515 §4.1.10).
func checkContent(cty any) error {
	text, ok := cty.(string)
	switch {
	case !ok:
		return refuse(HeaderRefused, "cty is not a string")
	case isType(text, "jwt"):
		return refuse(HeaderRefused, "cty is "+clip(text)+": a token within the token, which is not unpacked")
	}
	return nil
}
