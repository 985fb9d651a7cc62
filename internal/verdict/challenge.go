package verdict

import (
	"fmt"
	"strings"
)

// Challenge is the value of WWW-Authenticate for a rejection (RFC 6750 §3, RFC
// 9470 §3, RFC 9728 §5.1), with the address of the resource's metadata if there
// are any. This is the one place that writes it.
func (r *Rejection) Challenge(realm, metadata string) string {
	var params []string
	maxAge := ""
	if r.MaxAge > 0 {
		maxAge = Seconds(r.MaxAge)
	}
	for _, p := range [][2]string{
		{"realm", realm},
		{"error", r.Code},
		{"error_description", r.Description},
		{"scope", strings.Join(r.Scope, " ")},
		{"acr_values", strings.Join(r.ACR, " ")},
		{"max_age", maxAge},
		{"resource_metadata", metadata},
	} {
		if p[1] != "" {
			params = append(params, p[0]+`="`+quote.Replace(p[1])+`"`)
		}
	}
	return strings.TrimSuffix("Bearer "+strings.Join(params, ", "), " ")
}

var quote = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// CheckRealm keeps out what a quoted string cannot hold (RFC 9110 §5.6.4).
func CheckRealm(realm string) error {
	for _, c := range realm {
		if c < ' ' || c > '~' {
			return fmt.Errorf("realm %q: only visible ASCII and spaces can stand in a challenge", realm)
		}
	}
	return nil
}
