package token

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// Rules 6 and 7: JSON of strangers.

func TestJSONIsRefusedThatTwoReadersMayReadDifferently(t *testing.T) {
	for name, doc := range map[string]string{
		"a name twice":                            `{"a":1,"a":2}`,
		"a name twice with the same value":        `{"a":1,"a":1}`,
		"a name twice, once escaped":              `{"iss":"x","\u0069ss":"y"}`,
		"a name twice, both escaped in two ways":  `{"\u0069ss":"x","i\u0073s":"y"}`,
		"a name twice, null first":                `{"a":null,"a":1}`,
		"an empty name twice":                     `{"":1,"":2}`,
		"a name twice in a nested object":         `{"a":{"b":1,"b":2}}`,
		"a name twice in an object of a list":     `{"a":[{"b":1,"b":2}]}`,
		"a name with a slash twice, once escaped": `{"a/b":1,"a\/b":2}`,
		"half a surrogate pair, the high one":     `{"a":"\ud800"}`,
		"half a surrogate pair, the low one":      `{"a":"\udc00"}`,
		"a surrogate pair the wrong way round":    `{"a":"\udc00\ud800"}`,
		"a high surrogate before another escape":  `{"a":"\ud800\n"}`,
		"a high surrogate before a plain letter":  `{"a":"\ud800x"}`,
		"two high surrogates":                     `{"a":"\ud800\ud800"}`,
		"half a surrogate pair in a name":         `{"\ud800":1}`,
		"a surrogate in UTF-8":                    "{\"a\":\"\xed\xa0\x80\"}",
		"a byte that is no UTF-8":                 "{\"a\":\"\xff\"}",
		"an overlong slash":                       "{\"a\":\"\xc0\xaf\"}",
		"UTF-8 cut short":                         "{\"a\":\"\xe2\x82\"}",
		"a byte order mark":                       "\ufeff{}",
		"UTF-16":                                  "\xff\xfe{\x00}\x00",
		"something behind the object":             `{}x`,
		"a second object behind the first":        `{}{}`,
		"a closing brace too many":                `{}}`,
		"NUL behind the object":                   "{}\x00",
		"a comma behind the object":               `{},`,
		"nothing":                                 ``,
		"white space alone":                       "  \n",
		"a list":                                  `[]`,
		"a string":                                `"a"`,
		"a number":                                `1`,
		"null":                                    `null`,
		"an object without an end":                `{"a":1`,
		"an opening brace alone":                  `{`,
		"a comma before the first member":         `{,"a":1}`,
		"a comma behind the last member":          `{"a":1,}`,
		"no comma between members":                `{"a":1 "b":2}`,
		"two commas":                              `{"a":1,,"b":2}`,
		"no colon":                                `{"a" 1}`,
		"no value":                                `{"a":}`,
		"a name without quotes":                   `{a:1}`,
		"single quotes":                           `{'a':1}`,
		"a number as name":                        `{1:1}`,
		"a list without an end":                   `{"a":[1`,
		"a comma at the end of a list":            `{"a":[1,]}`,
		"a comma at the start of a list":          `{"a":[,1]}`,
		"a list closed by a brace":                `{"a":[1}}`,
		"a string without an end":                 `{"a":"b`,
		"a string that ends in a backslash":       `{"a":"\`,
		"a raw line feed in a string":             "{\"a\":\"\n\"}",
		"a raw NUL in a string":                   "{\"a\":\"\x00\"}",
		"a raw tab behind an escape":              "{\"a\":\"\\n\t\"}",
		"an unknown escape":                       `{"a":"\x41"}`,
		"an escape of three digits":               `{"a":"\u123"}`,
		"an escape cut short by the end":          `{"a":"\u12`,
		"an escape with a sign":                   `{"a":"\u+123"}`,
		"an escape with an underscore":            `{"a":"\u1_23"}`,
		"an escape of other letters":              `{"a":"\u12g4"}`,
		"a capital U":                             `{"a":"\U0041"}`,
		"a leading zero":                          `{"a":01}`,
		"a plus sign":                             `{"a":+1}`,
		"a minus alone":                           `{"a":-}`,
		"two minuses":                             `{"a":--1}`,
		"a point without digits behind":           `{"a":1.}`,
		"a point without digits before":           `{"a":.5}`,
		"an exponent without digits":              `{"a":1e}`,
		"an exponent with two signs":              `{"a":1e+-1}`,
		"a hexadecimal number":                    `{"a":0x10}`,
		"NaN":                                     `{"a":NaN}`,
		"Infinity":                                `{"a":Infinity}`,
		"True":                                    `{"a":True}`,
		"a word that begins as true":              `{"a":trueish}`,
		"a cut word":                              `{"a":tru}`,
		"a comment":                               `{/* */"a":1}`,
		"a line comment":                          "{\"a\":1}//",
		"a space that is no JSON white space":     "{\u00a0\"a\":1}",
		"a form feed between members":             "{\f\"a\":1}",
		"sixteen lists in the object":             `{"a":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `}`,
		"seventeen objects":                       strings.Repeat(`{"a":`, 16) + `{}` + strings.Repeat(`}`, 16),
		"a thousand brackets":                     `{"a":` + strings.Repeat("[", 1000),
	} {
		t.Run(name, func(t *testing.T) {
			if v, err := ParseObject(doc); err == nil {
				t.Errorf("read as %v", v)
			}
			h, p, s := parts(mint(t, k1(), nil))
			if b64([]byte(doc)) == "" {
				return
			}
			_, err := Parse(b64([]byte(doc)) + "." + p + "." + s)
			wantReason(t, err, Malformed)
			_, err = Parse(h + "." + b64([]byte(doc)) + "." + s)
			wantReason(t, err, Malformed)
		})
	}
}

func TestJSONIsReadExactly(t *testing.T) {
	for name, row := range map[string]struct {
		doc  string
		want map[string]any
	}{
		"an empty object":                  {`{}`, map[string]any{}},
		"white space everywhere":           {" {\t\"a\"\r\n: [ 1 , 2 ] , \"b\" : { } } \n", map[string]any{"a": []any{json.Number("1"), json.Number("2")}, "b": map[string]any{}}},
		"the three words":                  {`{"a":true,"b":false,"c":[null]}`, map[string]any{"a": true, "b": false, "c": []any{nil}}},
		"a member that is null":            {`{"a":null,"b":1,"c":{"d":null}}`, map[string]any{"b": json.Number("1"), "c": map[string]any{"d": nil}}},
		"numbers keep every digit":         {`{"a":12345678901234567890.10,"b":-0,"c":1E+2}`, map[string]any{"a": json.Number("12345678901234567890.10"), "b": json.Number("-0"), "c": json.Number("1E+2")}},
		"each escape":                      {`{"a":"\"\\\/\b\f\n\r\t\u0041\u00e9\ud83d\ude00"}`, map[string]any{"a": "\"\\/\b\f\n\r\tAé😀"}},
		"an escaped NUL":                   {`{"a":"\u0000"}`, map[string]any{"a": "\x00"}},
		"names that differ in case":        {`{"exp":1,"EXP":2,"Exp":3}`, map[string]any{"exp": json.Number("1"), "EXP": json.Number("2"), "Exp": json.Number("3")}},
		"a long s is no s":                 {`{"iss":"x","i` + "ſ" + `s":"y"}`, map[string]any{"iss": "x", "iſs": "y"}},
		"a Kelvin sign is no k":            {`{"kid":"x","` + "K" + `id":"y"}`, map[string]any{"kid": "x", "Kid": "y"}},
		"composed and decomposed differ":   {"{\"\u00e9\":1,\"e\u0301\":2}", map[string]any{"\u00e9": json.Number("1"), "e\u0301": json.Number("2")}},
		"the replacement character itself": {`{"a":"` + "\ufffd" + `"}`, map[string]any{"a": "\ufffd"}},
		"the same name on two levels":      {`{"a":{"a":{"a":"b"}}}`, map[string]any{"a": map[string]any{"a": map[string]any{"a": "b"}}}},
		"an empty name":                    {`{"":"a"}`, map[string]any{"": "a"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseObject(row.doc)
			if err != nil || !reflect.DeepEqual(got, row.want) {
				t.Errorf("got %#v, %v", got, err)
			}
		})
	}
}

func TestSixteenLevelsOfJSONPass(t *testing.T) {
	for _, doc := range []string{
		`{"a":` + strings.Repeat("[", 15) + strings.Repeat("]", 15) + `}`,
		strings.Repeat(`{"a":`, 15) + `{}` + strings.Repeat(`}`, 15),
	} {
		if _, err := ParseObject(doc); err != nil {
			t.Error(err)
		}
	}
}

// Thousands of empty objects once cost milliseconds and megabytes before
// it was known who had sent them.
func TestAnObjectOfTooManyValuesIsRefused(t *testing.T) {
	list := func(n int) string { return `{"x":[` + strings.Repeat("{},", n-1) + `{}]}` }
	if _, err := ParseObject(list(maxValues - 1)); err != nil {
		t.Error(err)
	}
	if _, err := ParseObject(list(maxValues)); err == nil {
		t.Error("more values than the bound were read")
	}
}
