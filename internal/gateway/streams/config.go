package streams

import (
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
)

// Streams is what is said of connections that stay open: WebSockets, events, calls
// of gRPC, long polls and bodies. They end with what let them in.
type Streams struct {
	// The code in the frame that closes a WebSocket (RFC 6455 §7.4): 1008, or one
	// of 3000 to 4999 that the application at the other end knows, such as 4401.
	// Default: 1008.
	CloseCode int `json:"close_code,omitempty"`

	// What becomes of an open connection when the access token runs out that
	// let it in and that nothing here can renew: "end", or "keep". Kept, it lives
	// for as long as client and upstream like. Where the gateway has the grant the
	// token is renewed, and the connection goes on. Default: end.
	OnExpiry string `json:"on_expiry,omitempty"`
}

// Words are those of the block, for error texts.
const Words = "close_code, on_expiry"

// policyViolation is what RFC 6455 §7.4.1 has for this.
const policyViolation = 1008

// Parse reads:
//
//	streams {
//		close_code <code>
//		on_expiry  end|keep
//	}
func Parse(d *caddyfile.Dispenser, seen grammar.Once) (*Streams, error) {
	if err := seen.First(d); err != nil {
		return nil, err
	}
	line, s := d.Token(), new(Streams)
	if len(d.RemainingArgs()) > 0 {
		return nil, d.Errf("streams takes a block: streams { ... }")
	}
	if err := grammar.Block(d, s.parseWord); err != nil {
		return nil, err
	}
	return s, grammar.At(line, s.Check())
}

func (s *Streams) parseWord(d *caddyfile.Dispenser, seen grammar.Once) error {
	switch d.Val() {
	case "close_code":
		if err := seen.Number(d, &s.CloseCode, "the code of a close frame", mostCode); err != nil {
			return err
		}
		return grammar.Wrap(d, s.checkCode())
	case "on_expiry":
		if err := seen.Text(d, &s.OnExpiry); err != nil {
			return err
		}
		return grammar.Wrap(d, s.checkExpiry())
	}
	return grammar.Unknown(d, "streams", Words)
}

// Check finds what is wrong with the block itself.
func (s *Streams) Check() error {
	if s == nil {
		return nil
	}
	if err := errors.Join(s.checkCode(), s.checkExpiry()); err != nil {
		return fmt.Errorf("streams: %w", err)
	}
	return nil
}

const leastCode, mostCode = 3000, 4999

func (s *Streams) checkCode() error {
	if c := s.CloseCode; c != 0 && c != policyViolation && (c < leastCode || c > mostCode) {
		return fmt.Errorf("close_code is %d; it takes %d, or a code of the application's own, %d to %d", c, policyViolation, leastCode, mostCode)
	}
	return nil
}

func (s *Streams) checkExpiry() error {
	switch s.OnExpiry {
	case "", "end", "keep":
		return nil
	}
	return fmt.Errorf("on_expiry is %q; it takes end or keep", s.OnExpiry)
}

func (s *Streams) code() uint16 {
	if s == nil || s.CloseCode == 0 {
		return policyViolation
	}
	return uint16(s.CloseCode) //nolint:gosec // checked
}

func (s *Streams) keeps() bool { return s != nil && s.OnExpiry == "keep" }
