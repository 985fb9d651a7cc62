package token

import "testing"

// Words are separated by spaces and by nothing else (RFC 6749 §3.3): what some
// other white space holds together was granted as one word.
func TestNoWordOfScopeBecomesTwo(t *testing.T) {
	const odd = "x\u2003admin\tall"
	p := &Profile{Issuer: issuer}
	answer, err := ParseAnswer(`{"active":true,"scope":"x\u2003admin\tall read"}`)
	if err != nil {
		t.Fatal(err)
	}
	facts, err := p.Confirm(&Facts{Scope: odd + " read", Expiry: noon.Unix() + 60}, answer)
	if err != nil {
		t.Fatal(err)
	}
	who := &Principal{Scope: odd + " read write", claims: Claims{"scope": odd + " read write"}}
	who.Withdraw("write")
	within, _ := who.Claim("/scope")
	for what, scope := range map[string]string{"confirmed": facts.Scope, "left": who.Scope, "told": within.(string)} {
		if HasScope(scope, "admin") || HasScope(scope, "all") || !HasScope(scope, odd) || !HasScope(scope, "read") {
			t.Errorf("%s: %q", what, scope)
		}
	}
}
