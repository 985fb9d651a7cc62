package e2e

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestAccept23_ASessionEndsAtItsMaximumHoweverMuchItIsUsed(t *testing.T) {
	forAllKinds(t, settings{session: "max 30s"}, func(r *rig, k kind) {
		s := k.begin(r)
		began := r.tap.all().at("/token")
		start := began[len(began)-1].Begin
		for second := 1; second < 30; second++ {
			awaitClock(r.t, start.Add(time.Duration(second)*time.Second))
			// What is answered later than that says nothing.
			if a := r.get(s); a.status != http.StatusOK && time.Since(start) < 30*time.Second {
				r.t.Fatalf("after %d s: %d", second, a.status)
			}
		}
		awaitClock(r.t, start.Add(31*time.Second))
		r.wantOver(s)
	})
}

func TestAccept23_AnIdleSessionDiesAndCausesNoCall(t *testing.T) {
	forAllKinds(t, settings{session: "idle 5s"}, func(r *rig, k kind) {
		s := k.begin(r)
		// Use keeps it alive, until it has just been renewed for the second
		// time: then no renewal is under way.
		for len(r.tap.allIssued()) < 3 {
			r.get(s).seen(r.t)
			awaitClock(r.t, time.Now().Add(200*time.Millisecond))
		}
		r.get(s).seen(r.t)
		calls := len(r.tap.all())
		awaitClock(r.t, time.Now().Add(7*time.Second))
		if more := len(r.tap.all()) - calls; more != 0 {
			r.t.Errorf("an idle session made %d calls", more)
		}
		r.wantOver(s)
		if more := len(r.tap.all()) - calls; more != 0 {
			r.t.Errorf("a session that died of idleness made %d calls", more)
		}
	})
}

// endLate ends a session while its renewal hangs between the server's answer
// and the gateway, and checks that it is dead at once and remains so.
func (r *rig) endLate(k kind, end func(s session)) {
	r.t.Helper()
	s, _, before := r.beginExpired(k)
	release := make(chan struct{})
	r.tap.once(treatment{hold: release})
	waiting := r.begin(r.t.Context(), 5, s)
	r.awaitAnswered(k, before+1)
	end(s)
	r.get(s).wantOut(r.t, s)
	close(release)
	wantAll(r.t, waiting.wait(), http.StatusUnauthorized)
	if k.presents() {
		r.awaitRevoked(r.tap.all().of(k.renewal)[before].NewRT)
	}
	r.wantOver(s)
	r.g.stop()
	r.start()
	r.wantOver(s) // the late pair was never stored
	r.wantRenewals(k, before, 1)
}

func TestAccept24_ARevocationDuringARenewalEndsTheSessionAndTheLatePairIsRevoked(t *testing.T) {
	t.Parallel()
	for name, which := range map[string]func(s session) string{
		"by access token":  func(s session) string { return s.access },
		"by refresh token": func(s session) string { return s.refresh },
	} {
		t.Run(name, func(t *testing.T) {
			forBothKinds(t, patient, func(r *rig, k kind) {
				r.endLate(k, func(s session) {
					if a := r.revoke(s, which(s)); a.status != http.StatusOK {
						r.t.Errorf("the revocation endpoint answers %d %s", a.status, a.body)
					}
				})
			})
		})
	}
}

func TestAccept24_ALogOutDuringARenewalEndsTheSessionAndTheLatePairIsRevoked(t *testing.T) {
	forKinds(t, patient, []kind{browser}, func(r *rig, k kind) { r.endLate(k, r.end) })
}

// grants are what the admin API lists.
func (r *rig) grants() (srefs []string) {
	r.t.Helper()
	var list []struct{ Sref string }
	if err := json.Unmarshal([]byte(r.g.adminGet("/oauth/grants")), &list); err != nil {
		r.t.Fatalf("the admin API's list: %v", err)
	}
	for _, one := range list {
		srefs = append(srefs, one.Sref)
	}
	return srefs
}

func (r *rig) adminDelete(path string) {
	r.t.Helper()
	req, err := http.NewRequest(http.MethodDelete, "http://"+r.g.admin+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	if a, err := send(plainClient, req); err != nil || a.status/100 != 2 {
		r.t.Fatalf("DELETE %s: %d %s %v", path, a.status, a.body, err)
	}
}

func TestAccept24_AnOperatorEndsASessionDuringItsRenewal(t *testing.T) {
	forAllKinds(t, patient, func(r *rig, k kind) {
		r.endLate(k, func(session) {
			srefs := r.grants()
			if len(srefs) != 1 {
				r.t.Fatalf("the admin API lists %q, want one", srefs)
			}
			r.adminDelete("/oauth/grants/" + srefs[0])
		})
	})
}

func TestAccept24_AnOperatorEndsAllSessionsOfOneSubject(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{life: 60})
	mine, hers, other := r.loginAs("alice"), r.loginAs("alice"), r.loginAs("bob")
	if n := len(r.grants()); n != 3 {
		t.Errorf("%d grants listed, want 3", n)
	}
	r.adminDelete("/oauth/grants?" + url.Values{"issuer": {r.tap.url}, "subject": {"alice"}}.Encode())
	r.wantOver(mine)
	r.wantOver(hers)
	r.get(other).wantPass(t, "bob")
	for _, s := range []session{mine, other} {
		if a := r.revoke(s, s.refresh); a.status != http.StatusOK {
			t.Errorf("revoking a token, dead or alive, is a success (RFC 7009); got %d", a.status)
		}
	}
	r.wantOver(other)
}

func TestAccept25_ADumpOfTheStoreHasNoTokenAndNoUsableHandle(t *testing.T) {
	forAllKinds(t, settings{}, func(r *rig, k kind) {
		s, _, before := r.beginExpired(k)
		r.get(s).seen(r.t)
		r.wantRenewals(k, before, 1)
		r.g.stop()
		dump := r.dump()
		if len(dump) == 0 {
			r.t.Fatal("the store has no file")
		}
		wanted := s.bytes()
		if len(wanted) < 3 { // more, where the letters are those of plain base64 too
			r.t.Errorf("the handles have %d binary forms: nothing is looked for", len(wanted))
		}
		r.wantClean("the store", dump)
		for _, raw := range wanted {
			if strings.Contains(dump, raw) {
				r.t.Error("the store holds a part of a handle")
			}
		}
		if len(r.secrets.find(dump+s.access+s.cookie)) == 0 {
			r.t.Error("a planted handle is not found")
		}
		r.start()
		r.get(s).seen(r.t)
	})
}

func TestAccept25_KeyRotationLogsNoUserOut(t *testing.T) {
	forAllKinds(t, settings{}, func(r *rig, k kind) {
		sessions := []session{k.begin(r), k.begin(r)}
		for n := range 2 {
			next := fmt.Sprintf("k%d-%s", n+2, rand.Text()+rand.Text())
			r.secrets.add(kindKey, next)
			r.keys = append([]string{next}, r.keys...)
			r.reload()
			for _, s := range sessions {
				r.get(s).seen(r.t)
			}
			r.awaitDeath(r.tap.lastIssued(r.t))
			for _, s := range sessions {
				r.get(s).seen(r.t)
			}
			sessions = append(sessions, k.begin(r))
		}
		r.g.stop()
		r.start()
		for _, s := range sessions {
			r.get(s).seen(r.t)
			if s.cookie != "" {
				continue
			}
			if a := r.refreshAt(s); a.status != http.StatusOK {
				r.t.Errorf("a reference refresh token from before is refused: %d %s", a.status, a.body)
			} else {
				r.secrets.add(kindReference, a.reply(r.t).RefreshToken)
			}
		}
	})
}
