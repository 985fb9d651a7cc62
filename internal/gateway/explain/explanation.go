package explain

import "time"

// Explanation is the answer to "why 401?": what one gateway would say of a
// token, and every check that leads there. It holds no part of the token as it
// was sent.
type Explanation struct {
	Gateway string    `json:"gateway,omitempty"` // where it stands in the config
	Verdict string    `json:"verdict"`           // accepted, refused or unknown
	Status  int       `json:"status,omitempty"`  // what the gateway answers; 0: the upstream does
	Error   string    `json:"error,omitempty"`   // of RFC 6750 §3.1
	Reason  string    `json:"reason,omitempty"`  // see docs/reasons.md
	Check   string    `json:"check,omitempty"`   // the one that decided
	Clause  string    `json:"clause,omitempty"`  // what it rests on
	Detail  string    `json:"detail,omitempty"`
	Change  string    `json:"change,omitempty"` // at the issuer, at the client or in the Caddyfile
	Issuer  string    `json:"issuer,omitempty"` // whose settings judged
	At      time.Time `json:"at"`
	Notes   []string  `json:"notes,omitempty"`
	Checks  []Step    `json:"checks"`

	// Upstream is what the upstream would see of who calls, where it is accepted.
	Upstream []string `json:"upstream,omitempty"`
}

// Step is how one check went.
type Step struct {
	Check    string `json:"check"`
	Result   string `json:"result"` // passed, failed, not_reached or depends
	Found    string `json:"found,omitempty"`
	Expected string `json:"expected,omitempty"`
	Reason   string `json:"reason,omitempty"`
	Clause   string `json:"clause"`
	Change   string `json:"change,omitempty"`
}

// The verdicts, and the results of a check.
const (
	accepted   = "accepted"
	refused    = "refused"
	unknown    = "unknown" // could not judge: nothing is known of the token
	passed     = "passed"
	failed     = "failed"
	notReached = "not_reached"
	depends    = "depends" // on the request, by way of a matcher
)
