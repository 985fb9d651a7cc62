package revoked

import (
	"encoding/binary"
	"errors"
	"hash/fnv"
	"time"
)

// record is what is written of an entry. Two records of the same can be made one
// in any order and as often as one likes, so that it does not matter which node
// writes first, what a store has lost, or who slept.
type record struct {
	Entry
	// turn counts how often it was taken out and in again: it is in the list where
	// this is even.
	turn uint64
}

func (r *record) out() bool { return r.turn%2 == 1 }

// merge is what two records of the same say together. Who took it out has seen
// what was in; what came in anew counts by itself.
func merge(a, b record) record {
	switch {
	case a.turn > b.turn:
		return a
	case a.turn < b.turn:
		return b
	case a.out():
		if b.Until.After(a.Until) {
			a.Until = b.Until
		}
		return a
	}
	a.Entry, _ = widened(a.Entry, b.Entry)
	return a
}

// same reports whether two records say the same.
func (r *record) same(other *record) bool {
	return r.turn == other.turn && r.Before.Equal(other.Before) && r.Until.Equal(other.Until)
}

// parts are the documents that records are kept in. A change writes one of them,
// and a reader takes those that changed.
const parts = 256

// part is where the record of an entry is kept, on every node.
func (w *what) part() int {
	h := fnv.New32a()
	for _, text := range []string{w.issuer, w.subject, w.client, w.id, w.session} {
		_, _ = h.Write(append([]byte(text), 0))
	}
	return int(h.Sum32() % parts)
}

var errMalformed = errors.New("the record of what was taken back cannot be read")

// codec is the version of what is written.
const codec = 1

// encodePart writes the records of one part. tag tells one writing from another.
func encodePart(tag uint64, all map[what]record) []byte {
	out := binary.BigEndian.AppendUint64([]byte{codec}, tag)
	text := func(s string) {
		out = binary.AppendUvarint(out, uint64(len(s)))
		out = append(out, s...)
	}
	at := func(t time.Time) {
		if t.IsZero() {
			out = binary.AppendVarint(out, 0)
			return
		}
		out = binary.AppendVarint(out, t.UnixMilli())
	}
	for _, r := range all {
		out = binary.AppendUvarint(out, r.turn)
		out = binary.AppendUvarint(out, flags(&r.Entry))
		for _, s := range []string{r.Issuer, r.Subject, r.Client, r.ID, r.Session, r.Source, r.Reason} {
			text(s)
		}
		at(r.Before)
		at(r.Until)
		at(r.Added)
	}
	return out
}

const flagTokensOnly = 1

func flags(e *Entry) (bits uint64) {
	if e.TokensOnly {
		bits |= flagTokensOnly
	}
	return bits
}

// decodePart reads what encodePart wrote.
func decodePart(in []byte) (tag uint64, all map[what]record, err error) {
	if len(in) < 9 || in[0] != codec {
		return 0, nil, errMalformed
	}
	tag, all = binary.BigEndian.Uint64(in[1:]), map[what]record{}
	d := reader{in: in[9:]}
	for len(d.in) > 0 && !d.bad {
		r := record{turn: d.number()}
		r.TokensOnly = d.number()&flagTokensOnly != 0
		for _, s := range []*string{&r.Issuer, &r.Subject, &r.Client, &r.ID, &r.Session, &r.Source, &r.Reason} {
			*s = d.text()
		}
		for _, t := range []*time.Time{&r.Before, &r.Until, &r.Added} {
			*t = d.time()
		}
		all[r.what()] = r
	}
	if d.bad {
		return 0, nil, errMalformed
	}
	return tag, all, nil
}

// encodeHead writes which writing of each part counts, and until when one is
// needed.
func encodeHead(tags *[parts]uint64, until time.Time) []byte {
	out := binary.AppendVarint([]byte{codec}, until.UnixMilli())
	for part, tag := range tags {
		if tag != 0 {
			out = append(out, byte(part))
			out = binary.BigEndian.AppendUint64(out, tag)
		}
	}
	return out
}

func decodeHead(in []byte) (tags [parts]uint64, until time.Time, err error) {
	if len(in) < 2 || in[0] != codec {
		return tags, until, errMalformed
	}
	d := reader{in: in[1:]}
	for until = d.time(); len(d.in) >= 9; d.in = d.in[9:] {
		tags[d.in[0]] = binary.BigEndian.Uint64(d.in[1:])
	}
	if d.bad || len(d.in) > 0 {
		return tags, until, errMalformed
	}
	return tags, until, nil
}

// reader reads fields one after the other, and remembers that something was wrong.
type reader struct {
	in  []byte
	bad bool
}

func (d *reader) number() uint64 {
	n, size := binary.Uvarint(d.in)
	d.skip(size)
	return n
}

func (d *reader) skip(size int) {
	if size <= 0 || size > len(d.in) {
		d.bad, d.in = true, nil
		return
	}
	d.in = d.in[size:]
}

func (d *reader) text() string {
	n := d.number()
	if n == 0 {
		return ""
	}
	if n > uint64(len(d.in)) {
		d.bad, d.in = true, nil
		return ""
	}
	s := string(d.in[:n])
	d.skip(int(n)) //nolint:gosec // no longer than the input
	return s
}

func (d *reader) time() time.Time {
	n, size := binary.Varint(d.in)
	if d.skip(size); n == 0 {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}
