// Package revoked is the list of what was taken back before it ran out: access
// tokens, sessions at an issuer, everything of a subject or a client that was
// issued until a moment. A JWT is good by itself until its exp; with the list it
// stops counting at once, and nobody is asked about it.
//
// A [Token] is what is known of a token, or of whom a grant or an open connection
// belongs to. It has marks instead of texts, so that it is small, compared
// quickly, and says nothing to who reads it. An [Entry] is what was taken back,
// in words. A [List] finds the entry that covers a token.
//
// The package knows no Caddy and no clock.
package revoked
