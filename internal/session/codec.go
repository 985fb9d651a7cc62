package session

import (
	"encoding/binary"
	"errors"
	"time"
)

var errMalformed = errors.New("malformed record")

// encoder writes fields one after the other; decoder reads them in the same
// order and remembers the first thing that was wrong.
type encoder struct{ out []byte }

func (e *encoder) number(n uint64)      { e.out = binary.AppendUvarint(e.out, n) }
func (e *encoder) raw(b []byte)         { e.out = append(e.out, b...) }
func (e *encoder) bytes(b []byte)       { e.number(uint64(len(b))); e.raw(b) }
func (e *encoder) text(s string)        { e.number(uint64(len(s))); e.out = append(e.out, s...) }
func (e *encoder) secret(s Secret)      { e.text(s.Reveal()) }
func (e *encoder) span(d time.Duration) { e.out = binary.AppendVarint(e.out, int64(d)) }

// Times are kept to the nanosecond, without zone and without monotonic part.
// The zero time is kept as such.
func (e *encoder) time(t time.Time) {
	if t.IsZero() {
		e.out = binary.AppendVarint(e.out, 0)
		return
	}
	e.out = binary.AppendVarint(e.out, t.UnixNano())
}

func (e *encoder) flag(b bool) {
	if b {
		e.number(1)
	} else {
		e.number(0)
	}
}

type decoder struct {
	in  []byte
	bad bool
}

func (d *decoder) number() uint64 {
	n, size := binary.Uvarint(d.in)
	if size <= 0 {
		d.fail()
		return 0
	}
	d.in = d.in[size:]
	return n
}

func (d *decoder) signed() int64 {
	n, size := binary.Varint(d.in)
	if size <= 0 {
		d.fail()
		return 0
	}
	d.in = d.in[size:]
	return n
}

func (d *decoder) fail() { d.bad, d.in = true, nil }

func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.in)) {
		d.fail()
		return nil
	}
	b := d.in[:n:n]
	d.in = d.in[n:]
	return b
}

func (d *decoder) raw(into []byte)     { copy(into, d.take(uint64(len(into)))) }
func (d *decoder) text() string        { return string(d.take(d.number())) }
func (d *decoder) secret() Secret      { return NewSecret(d.text()) }
func (d *decoder) span() time.Duration { return time.Duration(d.signed()) }
func (d *decoder) flag() bool          { return d.number() == 1 }

// bytes copies, so that a store may lend what it has mapped.
func (d *decoder) bytes() []byte {
	b := d.take(d.number())
	if len(b) == 0 {
		return nil
	}
	return append([]byte(nil), b...)
}

func (d *decoder) time() time.Time {
	n := d.signed()
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// end is an error unless everything was read and nothing was wrong.
func (d *decoder) end() error {
	if d.bad || len(d.in) > 0 {
		return errMalformed
	}
	return nil
}
