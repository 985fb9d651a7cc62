package streams

import (
	"errors"
	"fmt"
	"path"
	"strings"

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

	// A path at the upstream that is told when the gateway renews the access token
	// of an open connection: by a POST without a body, with the new token and the
	// identity headers, as requests have them, and with the Oauth-Stream-Id that the
	// request had which opened the connection. It passes what stands behind oauth, so
	// that it comes to the same upstream. Any answer of 200 to 299 will do; what
	// fails is logged and counted, and ends nothing. Default: the upstream is told
	// nothing, and no request has that header.
	OnRenewal string `json:"on_renewal,omitempty"`
}

// Words are those of the block, for error texts.
const Words = "close_code, on_expiry, on_renewal"

// policyViolation is what RFC 6455 §7.4.1 has for this.
const policyViolation = 1008

// Parse reads:
//
//	streams {
//		close_code <code>
//		on_expiry  end|keep
//		on_renewal <path>
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
	case "on_renewal":
		if err := seen.Text(d, &s.OnRenewal); err != nil {
			return err
		}
		return grammar.Wrap(d, s.checkRenewal())
	}
	return grammar.Unknown(d, "streams", Words)
}

// Check finds what is wrong with the block itself.
func (s *Streams) Check() error {
	if s == nil {
		return nil
	}
	if err := errors.Join(s.checkCode(), s.checkExpiry(), s.checkRenewal()); err != nil {
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

func (s *Streams) checkRenewal() error {
	p := s.OnRenewal
	plain := !strings.ContainsFunc(p, func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(`?#%{}\`, c) })
	if p != "" && (!strings.HasPrefix(p, "/") || path.Clean(p) != p || !plain) {
		return fmt.Errorf("on_renewal is %q; it takes a path such as /streams/renewed: plain, and with no slash at the end", p)
	}
	return nil
}

// CheckKept finds what is wrong with the block where grants are kept or not, or where
// another proxy holds the connections.
func (s *Streams) CheckKept(kept, elsewhere bool) error {
	switch {
	case s == nil || s.OnRenewal == "":
		return nil
	case elsewhere:
		return errors.New("streams: on_renewal has no use with forward_auth: the other proxy holds the connections")
	case !kept:
		return errors.New("streams: on_renewal has no use without grants: write login, token_endpoint or session")
	}
	return nil
}

// Code is that of the frame that closes a WebSocket. s may be nil.
func (s *Streams) Code() uint16 {
	if s == nil || s.CloseCode == 0 {
		return policyViolation
	}
	return uint16(s.CloseCode) //nolint:gosec // checked
}

func (s *Streams) keeps() bool { return s != nil && s.OnExpiry == "keep" }
