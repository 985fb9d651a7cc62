package login

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

func newTestVault(tb testing.TB) *session.Vault {
	tb.Helper()
	ring, err := session.NewKeyring([]byte(strings.Repeat("k", 32)))
	if err != nil {
		tb.Fatal(err)
	}
	vault, err := session.New(session.NewMemory(time.Now), ring, session.Options{
		Now:   time.Now,
		Renew: func(context.Context, session.Grant) session.Outcome { return session.NotSent{} },
	})
	if err != nil {
		tb.Fatal(err)
	}
	return vault
}

// manyBegun is a request with a Cookie field as long as servers take them, full
// of what looks like log-ins that have begun.
func manyBegun(n int) *http.Request {
	var field strings.Builder
	for i := range n {
		fmt.Fprintf(&field, "__Host-oauth-login-%08d=A; ", i)
	}
	r := httptest.NewRequest(http.MethodGet, "https://api.example/_oauth/login", nil)
	r.Header.Set("Cookie", strings.TrimSuffix(field.String(), "; "))
	return r
}

// Each begun log-in was looked for among all of them: one request with a full
// header took a fifth of a second.
func TestBegunLogInsCostNoMoreHoweverManyARequestBrings(t *testing.T) {
	l, vault, allocated := new(Login), newTestVault(t), map[int]float64{}
	for _, n := range []int{mostLooked, 50 * mostLooked} {
		r := manyBegun(n)
		allocated[n] = testing.AllocsPerRun(5, func() { l.surplus(r, vault, 0) })
	}
	if few, many := allocated[mostLooked], allocated[50*mostLooked]; many > few {
		t.Errorf("%v allocations for %d, and %v for fifty times as many", few, mostLooked, many)
	}
}

func TestTheNameOfACookieIsNotThatOfABegunLogIn(t *testing.T) {
	if err := (&Login{Cookie: "__Host-oauth-login-Ab3_-xyZ"}).checkWords(); err == nil || !strings.Contains(err.Error(), "__Host-app") {
		t.Error(err)
	}
}

// BenchmarkBegunLogIns is a request that begins a log-in, with none before it
// and with as many as fit into a header. The second may cost what it takes to
// walk over the field.
func BenchmarkBegunLogIns(b *testing.B) {
	l, vault := new(Login), newTestVault(b)
	for _, n := range []int{0, mostLooked, 50 * mostLooked} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := manyBegun(n)
			b.ReportAllocs()
			for b.Loop() {
				l.surplus(r, vault, 0)
			}
		})
	}
}
