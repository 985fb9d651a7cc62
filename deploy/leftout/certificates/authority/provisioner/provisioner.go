// Package provisioner has the types that callers of an authority name.
package provisioner

import "crypto/x509"

// SignOptions say nothing.
type SignOptions struct{}

// SignOption is any.
type SignOption any

// CertificateModifier changes a certificate before it is signed.
type CertificateModifier interface {
	Modify(cert *x509.Certificate, opts SignOptions) error
}
