package token

import "slices"

// A Check is one thing that Parse and Verify look at. Operators see its name.
type Check string

// The checks, in the order in which they are made.
const (
	CheckSize         Check = "size"
	CheckForm         Check = "form"
	CheckHeaderText   Check = "header text"
	CheckPayloadText  Check = "payload text"
	CheckSignText     Check = "signature text"
	CheckHeaderJSON   Check = "header JSON"
	CheckHeaderTypes  Check = "header members"
	CheckPayloadJSON  Check = "payload JSON"
	CheckClaimTypes   Check = "claim types"
	CheckIssuer       Check = "iss"
	CheckAlgorithm    Check = "alg"
	CheckType         Check = "typ"
	CheckRequired     Check = "required claims"
	CheckKind         Check = "kind of token"
	CheckBound        Check = "cnf"
	CheckExpiry       Check = "exp is there"
	CheckExpired      Check = "exp"
	CheckNotBefore    Check = "nbf"
	CheckAudience     Check = "aud"
	CheckStatus       Check = "status"
	CheckKeys         Check = "keys"
	CheckKey          Check = "kid"
	CheckKeyAlgorithm Check = "key and alg"
	CheckSignature    Check = "signature"
)

// A Rule is a check with the clause it stands for, and with what must have
// passed for it to mean anything: other checks, and the JSON types of members.
type Rule struct {
	Check   Check
	Clause  string
	needs   []Check
	members []string
	ends    bool // nothing can be looked at without it
}

// Rules are the checks in their order.
var Rules = []Rule{
	{Check: CheckSize, Clause: "RFC 9110 §5.4", ends: true},
	{Check: CheckForm, Clause: "RFC 7515 §3.1", ends: true},
	{Check: CheckHeaderText, Clause: "RFC 7515 §2"},
	{Check: CheckPayloadText, Clause: "RFC 7515 §2"},
	{Check: CheckSignText, Clause: "RFC 7515 §2"},
	{Check: CheckHeaderJSON, Clause: "RFC 7515 §4", needs: []Check{CheckHeaderText}},
	{Check: CheckHeaderTypes, Clause: "RFC 7515 §4.1", needs: []Check{CheckHeaderJSON}},
	{Check: CheckPayloadJSON, Clause: "RFC 7519 §4", needs: []Check{CheckPayloadText}},
	{Check: CheckClaimTypes, Clause: "RFC 7519 §4.1", needs: []Check{CheckPayloadJSON}},
	{Check: CheckIssuer, Clause: "RFC 9068 §4, RFC 8725 §3.8", needs: []Check{CheckPayloadJSON}, members: []string{"iss"}},
	{Check: CheckAlgorithm, Clause: "RFC 9068 §4, RFC 8725 §3.1", needs: []Check{CheckHeaderJSON}, members: []string{"alg"}},
	{Check: CheckType, Clause: "RFC 9068 §4, RFC 8725 §3.11", needs: []Check{CheckHeaderJSON}, members: []string{"typ"}},
	{Check: CheckRequired, Clause: "RFC 9068 §2.2", needs: []Check{CheckPayloadJSON}},
	{Check: CheckKind, Clause: "RFC 8725 §3.12", needs: []Check{CheckPayloadJSON}},
	{Check: CheckBound, Clause: "RFC 8705 §3, RFC 9449 §7", needs: []Check{CheckPayloadJSON}},
	{Check: CheckExpiry, Clause: "RFC 9068 §2.2", needs: []Check{CheckPayloadJSON}, members: []string{"exp"}},
	{Check: CheckExpired, Clause: "RFC 7519 §4.1.4", needs: []Check{CheckExpiry}},
	{Check: CheckNotBefore, Clause: "RFC 7519 §4.1.5", needs: []Check{CheckPayloadJSON}, members: []string{"nbf"}},
	{Check: CheckAudience, Clause: "RFC 9068 §4, RFC 7519 §4.1.3", needs: []Check{CheckPayloadJSON}, members: []string{"aud"}},
	{Check: CheckStatus, Clause: "Token Status List §6.2", needs: []Check{CheckPayloadJSON}},
	{Check: CheckKeys, Clause: "RFC 9068 §4", needs: []Check{CheckHeaderJSON, CheckPayloadText, CheckSignText, CheckAlgorithm}, members: []string{"kid"}},
	{Check: CheckKey, Clause: "RFC 7515 §4.1.4, RFC 7517 §4.5", needs: []Check{CheckKeys}},
	{Check: CheckKeyAlgorithm, Clause: "RFC 8725 §3.1", needs: []Check{CheckKey}},
	{Check: CheckSignature, Clause: "RFC 7515 §5.2", needs: []Check{CheckKeyAlgorithm}},
}

// ruleOf is a var in all but name: Rules does not change.
func ruleOf(check Check) *Rule {
	i := slices.IndexFunc(Rules, func(r Rule) bool { return r.Check == check })
	return &Rules[i]
}
