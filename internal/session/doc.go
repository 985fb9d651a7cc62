// Package session keeps what an authorization server granted, and keeps it
// fresh: once for all who wait, through crashes, outages and lost answers.
//
// AT is an access token, RT a refresh token, AS the authorization server. Two
// invariants hold the package together:
//
//   - I1: an RT that may have been consumed is never presented again, except
//     deliberately: once after an unknown outcome, and where the outcome of
//     that is unknown too, with growing pauses until there is one.
//   - I2: a new pair is durable before anything uses it.
//
// A [Row] is what a [Store] holds. Its head is in the clear, so that nodes can
// agree without opening it; the [Grant] in it is sealed under a key that takes
// both the [Keyring] and the caller's [Handle]. A [Vault] coordinates: it
// writes an intent before it asks the AS, and replaces a row only where
// generation and intent are those it knew (compare-and-swap). A node that finds an
// intent whose lease has lapsed knows that the RT may have been consumed.
//
// An intent keeps its id after it was closed, and ids are never used twice, so
// that no state comes back which another node may still believe to know. While an
// intent is open, only its owner, the node that takes over after the lease, and the
// end of the grant change the row.
//
// Beside a grant there may be the row of a family of reference refresh tokens,
// which rotate at use and are computed, not stored ([Vault.Rotate]). What is in
// use stays opened in memory for some minutes; over a store that is [Exclusive]
// a request with a live token reads nothing at all.
//
// The package knows neither Caddy nor HTTP: the time and the call to the AS
// come in as [Options].
package session
