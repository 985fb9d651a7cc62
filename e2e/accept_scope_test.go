package e2e

import "testing"

func TestAccept22_LessScopeInTheAnswerCountsEvenIfTheTokenSaysMore(t *testing.T) {
	forAllKinds(t, needsWrite, func(r *rig, k kind) {
		s := k.begin(r)
		r.tap.once(treatment{change: with("scope", "orders:read")})
		r.wantOnlyRead(s)
	})
}
