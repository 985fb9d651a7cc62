package streams

import (
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// frames follows the frames of a WebSocket (RFC 6455 §5.2) that go by, to know where
// another one may stand: between two of them, be they parts of one message.
type frames struct {
	head       [14]byte
	have, need uint8
	closing    bool   // one that closes has gone by
	left       uint64 // of the payload
}

func (f *frames) between() bool { return f.have == 0 && f.left == 0 }

// pass follows p to its end, or to the end of a frame where whole is set, and answers
// how much of it that is.
func (f *frames) pass(p []byte, whole bool) (n int) {
	for n < len(p) {
		if f.left > 0 {
			skip := min(f.left, uint64(len(p)-n)) //nolint:gosec // n is within p
			f.left -= skip
			n += int(skip) //nolint:gosec // no more than p is long
		} else if f.header(p[n]) {
			n++
		} else {
			n++
			continue
		}
		if whole && f.left == 0 {
			return n
		}
	}
	return n
}

// header takes a byte of a header, and reports whether it was the last one.
func (f *frames) header(b byte) (complete bool) {
	f.head[f.have] = b
	f.have++
	if f.have < 2 {
		return false
	}
	length := f.head[1] & 0x7f
	if f.have == 2 {
		f.need = 2
		switch length {
		case 126:
			f.need += 2
		case 127:
			f.need += 8
		}
		if f.head[1]&0x80 != 0 {
			f.need += 4 // masked
		}
	}
	if f.have < f.need {
		return false
	}
	switch length {
	case 126:
		f.left = uint64(binary.BigEndian.Uint16(f.head[2:]))
	case 127:
		f.left = binary.BigEndian.Uint64(f.head[2:])
	default:
		f.left = uint64(length)
	}
	f.have = 0
	f.closing = f.closing || f.head[0]&0x0f == 0x8
	return true
}

// closeFrame closes a WebSocket from the server's side (RFC 6455 §5.5.1).
func closeFrame(code uint16, said *verdict.Rejection) []byte {
	text := said.Description
	if text == "" {
		text = "the session has ended"
	}
	const most = 123
	text = text[:min(len(text), most)]
	frame := append(make([]byte, 0, 4+len(text)), 0x88, byte(2+len(text)))
	frame = binary.BigEndian.AppendUint16(frame, code)
	return append(frame, text...)
}

// errEnded is what the proxy gets that goes on writing.
var errEnded = errors.New("what let this connection in counts no more")

// framed is what goes to the client through a tunnel. With frames, its end is said in
// one, as soon as that tears none.
type framed struct {
	raw    bool                   // there are no frames
	write  func([]byte) error     // of the last one; it does not wait for long
	wake   func()                 // ends the reading, and thereby the tunnel
	cut    func()                 // ends everything at once
	ending atomic.Pointer[[]byte] // the last one, once it is time
	open   atomic.Bool            // the client knows that it is a tunnel

	mu   sync.Mutex
	at   frames
	done bool // nothing passes any more
	said bool // the client was told
}

func (f *framed) isOpen() bool { return f.open.Load() }

// pass writes what comes from the upstream.
func (f *framed) pass(p []byte, to io.Writer) (n int, err error) {
	n, err = f.passLocked(p, to)
	if f.ending.Load() != nil { // perhaps since then
		f.finish()
	}
	return n, err
}

func (f *framed) passLocked(p []byte, to io.Writer) (n int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done {
		return 0, errEnded
	}
	if f.ending.Load() == nil || f.raw {
		if !f.raw {
			f.at.pass(p, false)
		}
		return to.Write(p)
	}
	n = f.at.pass(p, true)
	if n, err = to.Write(p[:n]); err == nil && n < len(p) {
		err = errEnded
	}
	return n, err
}

// end says the last word now, or leaves that to whoever is writing.
func (f *framed) end(frame []byte) {
	f.ending.Store(&frame)
	f.finish()
}

// finish says the last word between two frames.
func (f *framed) finish() {
	if !f.mu.TryLock() {
		return // whoever writes will see to it
	}
	defer f.mu.Unlock()
	if f.done || !f.raw && !f.at.between() {
		return
	}
	f.done = true
	if !f.raw && !f.at.closing {
		f.said = f.write(*f.ending.Load()) == nil
	}
	f.wake()
}

// told reports whether the client was sent the last word.
func (f *framed) told() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.said
}
