// Package x509util stands in for making an authority's certificates.
package x509util

import (
	"crypto"
	"crypto/x509"
	"errors"
)

var errLeftOut = errors.New("this build issues no certificates of its own (pki, tls internal)")

// The names of templates that are not there.
const (
	DefaultRootTemplate         = ""
	DefaultIntermediateTemplate = ""
)

// Certificate, Option and TemplateData say nothing.
type (
	Certificate  struct{}
	Option       struct{}
	TemplateData struct{}
)

// NewCertificate makes none.
func NewCertificate(*x509.CertificateRequest, ...Option) (*Certificate, error) {
	return nil, errLeftOut
}

// GetCertificate is none.
func (*Certificate) GetCertificate() *x509.Certificate { return nil }

// CreateCertificate makes none.
func CreateCertificate(*x509.Certificate, *x509.Certificate, crypto.PublicKey, crypto.Signer) (*x509.Certificate, error) {
	return nil, errLeftOut
}

// CreateCertificateRequest makes none.
func CreateCertificateRequest(string, []string, crypto.Signer) (*x509.CertificateRequest, error) {
	return nil, errLeftOut
}

// CreateTemplateData is empty.
func CreateTemplateData(string, []string) TemplateData { return TemplateData{} }

// WithTemplate does nothing.
func WithTemplate(string, TemplateData) Option { return Option{} }
