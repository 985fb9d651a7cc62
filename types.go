package caddyoauth

import "github.com/caddyoauth/caddyoauth/internal/verdict"

// Rejection is a verdict: what a request that did not pass is told, in
// handle_errors or to a Go program.
type Rejection = verdict.Rejection
