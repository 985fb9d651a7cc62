package boltstore

import (
	"bytes"
	"encoding/binary"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

// state says how far the indexes have come.
type state struct {
	// commit is the transaction that wrote it. If another one was the last, it was
	// a build without indexes, or a tool.
	commit   uint64
	whole    bool   // all rows are indexed and counted
	filedAll bool   // all are indexed
	filed    []byte // else: all entries up to this one are there
	cursor   []byte // the rows up to this one are counted
	stand    [session.Ended + 1]int
}

const stateVersion = 2

// Flags of the encoding.
const (
	flagWhole = 1 << iota
	flagFiledAll
)

// passed reports whether the row of a key is counted.
func (st *state) passed(key []byte) bool {
	return st.whole || len(st.cursor) > 0 && bytes.Compare(key, st.cursor) <= 0
}

func (st *state) append(to []byte) []byte {
	to = binary.AppendUvarint(append(to, stateVersion), st.commit)
	flags := uint64(0)
	if st.whole {
		flags |= flagWhole
	}
	if st.filedAll {
		flags |= flagFiledAll
	}
	to = binary.AppendUvarint(to, flags)
	for _, n := range st.stand {
		to = binary.AppendVarint(to, int64(n))
	}
	to = append(binary.AppendUvarint(to, uint64(len(st.filed))), st.filed...)
	return append(to, st.cursor...)
}

// read takes what append wrote; anything else changes nothing.
func (st *state) read(from []byte) {
	if len(from) == 0 || from[0] != stateVersion {
		return
	}
	from = from[1:]
	ok := true
	number := func() uint64 {
		n, size := binary.Uvarint(from)
		if ok = ok && size > 0; !ok {
			return 0
		}
		from = from[size:]
		return n
	}
	var read state
	read.commit = number()
	flags := number()
	read.whole, read.filedAll = flags&flagWhole > 0, flags&flagFiledAll > 0
	for i := range read.stand {
		n, size := binary.Varint(from)
		if ok = ok && size > 0; !ok {
			return
		}
		from, read.stand[i] = from[size:], int(n)
	}
	size := number()
	if !ok || size > uint64(len(from)) {
		return
	}
	read.filed, read.cursor = append([]byte(nil), from[:size]...), append([]byte(nil), from[size:]...)
	*st = read
}
