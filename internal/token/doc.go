// Package token proves JWT access tokens: the strict front door, the JOSE
// header, the signature and the claims (RFC 7515, 7517, 7519, 8725, 9068).
//
// It has no network and no clock: keys come through a [KeySource], the time is
// an argument. It is the one package that imports jwx, and of jwx it uses two
// things only: parsing a single key and checking a single signature. Every
// byte reaches jwx only after the checks made here.
package token
