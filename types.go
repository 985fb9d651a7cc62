package caddyoauth

import (
	"github.com/caddyoauth/caddyoauth/internal/token"
	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// Principal is who a verified token speaks for, as [Validator.Validate] answers.
type Principal = token.Principal

// Rejection is a verdict: what a request that did not pass is told, in
// handle_errors or to a Go program.
type Rejection = verdict.Rejection
