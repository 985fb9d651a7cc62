package token

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// What a header, a payload or a key may hold: all of it is read before it
// is known who wrote it.
const (
	maxDepth  = 16
	maxValues = 2000
)

var errJSON = errors.New("not strict JSON")

// ParseObject reads one JSON object, strictly: valid UTF-8, nothing behind
// it, bounded depth, names exact and each name once, no lone surrogates.
// Numbers stay text ([json.Number]), so that none loses digits. A member that is
// null is not there: serializers write so what is not set, and it is for who
// needs a member to say that it is missing.
//
// encoding/json is not used for bytes of strangers: it folds the case of names
// into struct fields, takes duplicate names and repairs broken UTF-8, and each
// of these has let one reader see other claims than the next.
func ParseObject(doc string) (map[string]any, error) {
	if !utf8.ValidString(doc) {
		return nil, fmt.Errorf("%w: invalid UTF-8", errJSON)
	}
	p := parser{s: doc}
	p.space()
	object, err := p.object(1)
	if err != nil {
		return nil, err
	}
	if p.space(); p.i != len(p.s) {
		return nil, p.fail("something behind the object")
	}
	if p.nulls {
		maps.DeleteFunc(object, func(_ string, v any) bool { return v == nil })
	}
	return object, nil
}

type parser struct {
	s      string
	i      int
	values int
	nulls  bool // there was one
}

func (p *parser) fail(what string) error {
	return fmt.Errorf("%w: %s at byte %d", errJSON, what, p.i)
}

func (p *parser) space() {
	for p.i < len(p.s) && (p.s[p.i] == ' ' || p.s[p.i] == '\t' || p.s[p.i] == '\n' || p.s[p.i] == '\r') {
		p.i++
	}
}

// take consumes c if it is next.
func (p *parser) take(c byte) bool {
	if p.i < len(p.s) && p.s[p.i] == c {
		p.i++
		return true
	}
	return false
}

func (p *parser) object(depth int) (map[string]any, error) {
	if !p.take('{') {
		return nil, p.fail("no object")
	}
	hint := 0
	if depth == 1 {
		hint = 12 // what a token usually has; nested objects may be many and empty
	}
	object := make(map[string]any, hint)
	for p.space(); !p.take('}'); p.space() {
		if len(object) > 0 && !p.take(',') {
			return nil, p.fail("no comma")
		}
		p.space()
		name, err := p.str()
		if err != nil {
			return nil, err
		}
		if _, twice := object[name]; twice {
			return nil, p.fail("a name twice")
		}
		if p.space(); !p.take(':') {
			return nil, p.fail("no colon")
		}
		if object[name], err = p.value(depth + 1); err != nil {
			return nil, err
		}
	}
	return object, nil
}

func (p *parser) array(depth int) ([]any, error) {
	p.i++ // the bracket
	list := []any{}
	for p.space(); !p.take(']'); p.space() {
		if len(list) > 0 && !p.take(',') {
			return nil, p.fail("no comma")
		}
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

func (p *parser) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, p.fail("nested too deeply")
	}
	if p.values++; p.values > maxValues {
		return nil, p.fail("too many values")
	}
	p.space()
	if p.i == len(p.s) {
		return nil, p.fail("cut short")
	}
	switch p.s[p.i] {
	case '{':
		return p.object(depth)
	case '[':
		return p.array(depth)
	case '"':
		return p.str()
	}
	switch {
	case p.word("true"):
		return true, nil
	case p.word("false"):
		return false, nil
	case p.word("null"):
		p.nulls = true
		return nil, nil
	}
	return p.number()
}

// word consumes a literal if it is next.
func (p *parser) word(literal string) bool {
	if !strings.HasPrefix(p.s[p.i:], literal) {
		return false
	}
	p.i += len(literal)
	return true
}

// number takes the grammar of RFC 8259 §6 and keeps the text.
func (p *parser) number() (any, error) {
	start := p.i
	p.take('-')
	if !p.take('0') && !p.digits() {
		return nil, p.fail("no value")
	}
	if p.take('.') && !p.digits() {
		return nil, p.fail("no digit after the point")
	}
	if p.take('e') || p.take('E') {
		if !p.take('+') {
			p.take('-')
		}
		if !p.digits() {
			return nil, p.fail("no exponent")
		}
	}
	return json.Number(p.s[start:p.i]), nil
}

func (p *parser) digits() bool {
	start := p.i
	for p.i < len(p.s) && p.s[p.i] >= '0' && p.s[p.i] <= '9' {
		p.i++
	}
	return p.i > start
}

// str returns a part of the document where nothing is escaped, a copy else.
func (p *parser) str() (string, error) {
	if !p.take('"') {
		return "", p.fail("no string")
	}
	start := p.i
	for ; p.i < len(p.s); p.i++ {
		switch c := p.s[p.i]; {
		case c == '"':
			p.i++
			return p.s[start : p.i-1], nil
		case c == '\\':
			return p.escaped(start)
		case c < ' ':
			return "", p.fail("a control character in a string")
		}
	}
	return "", p.fail("a string without an end")
}

var escapes = map[byte]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

func (p *parser) escaped(start int) (string, error) {
	var b strings.Builder
	b.WriteString(p.s[start:p.i])
	for p.i < len(p.s) {
		c := p.s[p.i]
		p.i++
		switch {
		case c == '"':
			return b.String(), nil
		case c < ' ':
			return "", p.fail("a control character in a string")
		case c != '\\':
			b.WriteByte(c)
		case p.take('u'):
			r, err := p.unicode()
			if err != nil {
				return "", err
			}
			b.WriteRune(r)
		default:
			if p.i == len(p.s) || escapes[p.s[p.i]] == 0 {
				return "", p.fail("an unknown escape")
			}
			b.WriteByte(escapes[p.s[p.i]])
			p.i++
		}
	}
	return "", p.fail("a string without an end")
}

// unicode reads the digits of \uXXXX, and of a second one for a surrogate
// pair. Half a pair is refused: decoders disagree on what it becomes.
func (p *parser) unicode() (rune, error) {
	r, err := p.hex4()
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	if !p.take('\\') || !p.take('u') {
		return 0, p.fail("half a surrogate pair")
	}
	low, err := p.hex4()
	if err != nil {
		return 0, err
	}
	if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
		return 0, p.fail("half a surrogate pair")
	}
	return r, nil
}

func (p *parser) hex4() (rune, error) {
	if len(p.s)-p.i < 4 {
		return 0, p.fail("a short escape")
	}
	n, err := strconv.ParseUint(p.s[p.i:p.i+4], 16, 16)
	if err != nil {
		return 0, p.fail("a bad escape")
	}
	p.i += 4
	return rune(n), nil
}
