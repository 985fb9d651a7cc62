package token

import (
	"encoding/base64"
	"strings"
	"testing"
)

// Rules 3 to 5: the form of a token, before anything in it is read.

func TestTheFrontDoorRefusesEveryOtherForm(t *testing.T) {
	good := mint(t, k1(), nil)
	h, p, s := parts(good)
	for name, row := range map[string]struct {
		raw  string
		want Reason
	}{
		"nothing at all":                        {"", NotJWT},
		"an opaque token":                       {"2YotnFZFEjr1zCsicMWpAA", NotJWT},
		"one dot":                               {h + "." + p, NotJWT},
		"four parts":                            {good + ".AAAA", NotJWT},
		"a dot at the end":                      {good + ".", NotJWT},
		"a dot at the start":                    {"." + good, NotJWT},
		"an encrypted token of five parts":      {strings.Join([]string{h, p, s, "AAAA", "AAAA"}, "."), NotJWT},
		"no header":                             {"." + p + "." + s, NotJWT},
		"no payload":                            {h + ".." + s, NotJWT},
		"no signature":                          {h + "." + p + ".", NotJWT},
		"three empty parts":                     {"..", NotJWT},
		"the JSON serialization":                {`{"protected":"` + h + `","payload":"` + p + `","signature":"` + s + `"}`, NotJWT},
		"the JSON serialization with two dots":  {`{"protected":"` + h + `.","payload":"` + p + `.","signature":"` + s + `"}`, Malformed},
		"dots alone, as many as fit":            {strings.Repeat(".", MaxSize), NotJWT},
		"a token over 32 KB":                    {good + strings.Repeat("A", MaxSize), TooLarge},
		"dots alone, over 32 KB":                {strings.Repeat(".", MaxSize+1), TooLarge},
		"a nested token as payload":             {h + "." + b64([]byte(good)) + "." + s, Malformed},
		"a header of one letter":                {"e." + p + "." + s, Malformed},
		"a header that is no JSON":              {b64([]byte("alg=ES256")) + "." + p + "." + s, Malformed},
		"a payload that is a JSON list":         {h + "." + b64([]byte("[]")) + "." + s, Malformed},
		"a payload that is a JSON string":       {h + "." + b64([]byte(`"x"`)) + "." + s, Malformed},
		"a payload that is null":                {h + "." + b64([]byte("null")) + "." + s, Malformed},
		"letters of two bytes, as Unicode dots": {h + "。" + p + "。" + s, NotJWT},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(row.raw)
			wantReason(t, err, row.want)
		})
	}
}

func TestATokenOfExactly32KBPasses(t *testing.T) {
	h := b64([]byte(`{"alg":"ES256"}`))
	for spaces := range 3 {
		raw := h + "." + b64([]byte("{}"+strings.Repeat(" ", spaces))) + "."
		n := MaxSize - len(raw)
		if n%4 == 1 {
			continue // no base64 text has that length
		}
		if _, err := Parse(raw + strings.Repeat("A", n)); err != nil {
			t.Error(err)
		}
		_, err := Parse(raw + strings.Repeat("A", n+4))
		wantReason(t, err, TooLarge)
	}
}

func TestEachPartIsStrictBase64URL(t *testing.T) {
	// 16 bytes leave a last letter with four unused bits, and no part of this
	// token is so short that a change could mean something else.
	h := b64([]byte(`{"alg":"ES256"} `))
	p := b64([]byte(`{"iss":"issuer"}`))
	s := b64([]byte("0123456789abcdef"))
	if _, err := Parse(h + "." + p + "." + s); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(string) string{
		"padding":                        func(s string) string { return s + "==" },
		"one letter of padding":          func(s string) string { return s + "=" },
		"a plus of the standard letters": func(s string) string { return s[:4] + "+" + s[5:] },
		"a slash":                        func(s string) string { return s[:4] + "/" + s[5:] },
		"CR":                             func(s string) string { return s[:8] + "\r" + s[8:] },
		"LF":                             func(s string) string { return s[:8] + "\n" + s[8:] },
		"CR and LF at the end":           func(s string) string { return s + "\r\n" },
		"LF at the start":                func(s string) string { return "\n" + s },
		"a space":                        func(s string) string { return s[:8] + " " + s[8:] },
		"a tab":                          func(s string) string { return s[:8] + "\t" + s[8:] },
		"NUL":                            func(s string) string { return s[:8] + "\x00" + s[8:] },
		"a percent escape":               func(s string) string { return s[:4] + "%41" + s[5:] },
		"a letter outside ASCII":         func(s string) string { return s[:4] + "é" + s[5:] },
		"a letter too many":              func(s string) string { return s + "AAA" },
		"a last letter with unused bits": lastCharNotCanonical,
	} {
		for part, raw := range map[string]string{
			"header":    spoil(h) + "." + p + "." + s,
			"payload":   h + "." + spoil(p) + "." + s,
			"signature": h + "." + p + "." + spoil(s),
		} {
			t.Run(name+" in the "+part, func(t *testing.T) {
				_, err := Parse(raw)
				wantReason(t, err, Malformed)
				if err != nil && !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say that it was the %s", err, part)
				}
			})
		}
	}
}

func TestALastLetterHasOneSpelling(t *testing.T) {
	// Two bytes over: two unused bits; one byte over: four.
	for _, text := range []string{"ab", "abcd", "a", "abcde"} {
		part := b64([]byte(text))
		off := lastCharNotCanonical(part)
		if loose, _ := base64.RawURLEncoding.DecodeString(off); string(loose) != text {
			t.Fatalf("%q is no second spelling of %q", off, text)
		}
		if _, err := decode(off); err == nil {
			t.Errorf("%q passes as a second spelling of %q", off, part)
		}
	}
}

// lastCharNotCanonical sets the lowest unused bit of the last letter.
func lastCharNotCanonical(s string) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return s[:len(s)-1] + string(letters[strings.IndexByte(letters, s[len(s)-1])|1])
}

func TestARefusalDoesNotRepeatTheToken(t *testing.T) {
	raw := mint(t, k1(), nil)
	h, p, s := parts(raw)
	for _, bad := range []string{raw + "=", h + "." + p, h + "." + s + "." + p, raw + strings.Repeat("A", MaxSize)} {
		_, err := Parse(bad)
		if err == nil || strings.Contains(err.Error(), p) || strings.Contains(err.Error(), s) {
			t.Errorf("%v", err)
		}
	}
}

func TestPayloadClaimsAreTheClaimsThatWereParsed(t *testing.T) {
	raw := mint(t, k1(), map[string]any{"groups": []string{"admin"}})
	c, err := PayloadClaims(raw)
	if err != nil || c.String("sub") != "alice" || len(c) != len(claims(nil))+1 {
		t.Error(c, err)
	}
	for _, bad := range []string{"", "a", "..", "a.b.c", "e30.e30=.e30"} {
		if _, err := PayloadClaims(bad); ReasonOf(err) != Malformed {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
