package login

import (
	"bytes"
	"compress/flate"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"sync"
)

// A log-in that has begun is written as one letter, when that was, its seed, and
// the rest as JSON, packed if that makes it much shorter: many tabs have one each,
// and a deep link may be long. The seed is not packed with it: part of the rest is
// a stranger's choice, and the length would tell what both have in common.
const (
	formPlain  = 'p'
	formPacked = 'z'
	headText   = 1 + 8 + len(pending{}.seed)
	leastText  = 128                    // or it would not be known by its form: see internal/credential
	mostText   = pendingBytes/4*3 - 128 // with its name, and sealed in base64
	longRest   = 256                    // is worth packing
	mostRest   = 4 * mostReturn
)

// derive makes of the seed what the issuer sees. None of it tells the others.
func (p *pending) derive() {
	p.State, p.Nonce, p.Verifier = p.derived("state"), p.derived("nonce"), p.derived("code verifier")
}

// derived has 256 bits that look random, as a state, nonce or verifier has them.
func (p *pending) derived(what string) string {
	sum := hmac.New(sha256.New, p.seed[:])
	_, _ = sum.Write([]byte(what)) // never fails
	return base64.RawURLEncoding.EncodeToString(sum.Sum(nil))
}

// text is the log-in, to be sealed.
func (p *pending) text() []byte {
	rest, _ := json.Marshal(p) // strings and numbers always encode
	form := byte(formPlain)
	if len(rest) > longRest {
		form, rest = formPacked, pack(rest)
	}
	text := binary.BigEndian.AppendUint64([]byte{form}, uint64(p.Began)) //nolint:gosec // and back
	text = append(append(text, p.seed[:]...), rest...)
	for len(text) < leastText {
		text = append(text, ' ') // behind the JSON, or the end of what is packed
	}
	return text
}

// beganAt is when a log-in began that is written so; 0: it is none.
func beganAt(text []byte) int64 {
	if len(text) < headText {
		return 0
	}
	return int64(binary.BigEndian.Uint64(text[1:])) //nolint:gosec // as it was written
}

// readPending is the way back; nil: it was not written here.
func readPending(text []byte) *pending {
	p := &pending{Began: beganAt(text)}
	if len(text) < headText {
		return nil
	}
	copy(p.seed[:], text[headText-len(p.seed):])
	rest := text[headText:]
	if text[0] == formPacked {
		rest, _ = io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(rest)), mostRest))
	}
	if json.Unmarshal(rest, p) != nil {
		return nil
	}
	p.derive()
	return p
}

// packers are kept, since each of them takes a megabyte.
var packers = sync.Pool{New: func() any {
	w, _ := flate.NewWriter(nil, flate.DefaultCompression) // fails for no level that there is
	return w
}}

func pack(plain []byte) []byte {
	var out bytes.Buffer
	w := packers.Get().(*flate.Writer)
	defer packers.Put(w)
	w.Reset(&out)
	_, _ = w.Write(plain)
	_ = w.Close() // a buffer takes everything
	return out.Bytes()
}
