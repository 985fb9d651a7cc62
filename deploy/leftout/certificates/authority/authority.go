// Package authority stands in for an authority that issues certificates.
package authority

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"

	"github.com/smallstep/certificates/authority/provisioner"
	"github.com/smallstep/certificates/db"
)

var errLeftOut = errors.New("this build issues no certificates of its own (pki, tls internal)")

// Authority issues nothing.
type Authority struct{}

// Option, Config and AuthConfig configure nothing.
type (
	Option     struct{}
	AuthConfig struct{}
	Config     struct{ AuthorityConfig *AuthConfig }
)

// NewEmbedded makes none.
func NewEmbedded(...Option) (*Authority, error) { return nil, errLeftOut }

// SignWithContext signs nothing.
func (*Authority) SignWithContext(context.Context, *x509.CertificateRequest, provisioner.SignOptions, ...provisioner.SignOption) ([]*x509.Certificate, error) {
	return nil, errLeftOut
}

// WithConfig does nothing.
func WithConfig(*Config) Option { return Option{} }

// WithDatabase does nothing.
func WithDatabase(db.AuthDB) Option { return Option{} }

// WithX509RootCerts does nothing.
func WithX509RootCerts(...*x509.Certificate) Option { return Option{} }

// WithX509Signer does nothing.
func WithX509Signer(*x509.Certificate, crypto.Signer) Option { return Option{} }

// WithX509SignerFunc does nothing.
func WithX509SignerFunc(func() ([]*x509.Certificate, crypto.Signer, error)) Option { return Option{} }
