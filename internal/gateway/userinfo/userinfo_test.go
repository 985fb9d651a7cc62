package userinfo

import (
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// Reading what a grant remembers costs more than all the rest of it.
func TestWhomAGrantIsAboutIsReadOnceAndForEachOtherGrantAnew(t *testing.T) {
	said := &answer{claims: token.Claims{"email": "alice@example.com"}, subject: "alice", grant: "of alice"}
	read := 0
	ask := func(grant, subject string) error {
		q := Question{Trust: &issuers.Trust{}, Grant: grant, Subject: func() string { read++; return subject }}
		claims, err := said.about(&q)
		if (err == nil) != (claims != nil) {
			t.Errorf("%v and %v", claims, err)
		}
		return err
	}
	for range 3 {
		if err := ask("of alice", "alice"); err != nil || read != 0 {
			t.Errorf("the same grant: read %d times, %v", read, err)
		}
	}
	if err := ask("of mallory", "mallory"); err == nil || read != 1 {
		t.Errorf("another's grant with the same access token: read %d times, %v", read, err)
	}
	if err := ask("of alice's phone", "alice"); err != nil || read != 2 {
		t.Errorf("another grant of the same: read %d times, %v", read, err)
	}
	said.grant = ""
	if err := ask("", "mallory"); err == nil {
		t.Error("a grant without a word is taken for that of alice")
	}
}
