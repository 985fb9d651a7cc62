// Package e2e tests the built gateway from outside: a real process, real
// authorization servers, real clients, and nothing but loopback between them.
// There is no code of the gateway in here; see README.md for how to run it.
package e2e
