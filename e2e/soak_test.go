package e2e

import "os"

// soaking reports whether this is "make soak", which takes as long as it takes.
// "make test" proves each sentence too, and leaves out what costs minutes and is
// rarely red: more attempts at a server that hangs, longer outages, each case
// with each kind of session.
var soaking = os.Getenv("SOAK") == "1"

// long is whole in "make soak", and reduced otherwise.
func long[T any](whole, reduced T) T {
	if soaking {
		return whole
	}
	return reduced
}

// inTurn is which kinds the nth case of a table runs with: all of them in "make
// soak", one otherwise, so that the table as a whole has all of them.
func inTurn(n int, kinds ...kind) []kind {
	return long(kinds, []kind{kinds[n%len(kinds)]})
}
