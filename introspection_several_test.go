package caddyoauth

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// several is a gateway with an issuer for each text, whose introspect block has
// that in it.
func several(t *testing.T, words ...string) (*gate, []*grantor) {
	t.Helper()
	var all []*grantor
	text := "oauth {\n"
	for n, word := range words {
		issuer := newGrantor(t, nil)
		issuer.answersAs(fmt.Sprint("user-of-", n), fmt.Sprint("t", n, "-"))
		text += fmt.Sprintf("issuer %s {\naudience api\nclient gateway the-gateways-own-secret\nintrospect {\n%s\n}\n}\n", issuer.URL, word)
		all = append(all, issuer)
	}
	return rawGate(t, text+"copy_claims sub>X-Sub iss>X-Iss\n}", &all[0].clock), all
}

// answersAs calls tokens active that begin with a text, as those of a user.
func (i *grantor) answersAs(sub, begin string) {
	i.reply(func(w http.ResponseWriter, q *asked) {
		if !strings.HasPrefix(q.Form.Get("token"), begin) {
			_, _ = io.WriteString(w, `{"active":false}`)
			return
		}
		fmt.Fprintf(w, `{"active":true,"aud":"api","sub":%q,"exp":%d}`, sub, time.Now().AddDate(2, 0, 0).Unix())
	})
}

// passesAs fails unless the upstream sees a token as one of this user's.
func (g *gate) passesAs(tok, sub string) {
	g.Helper()
	g.expects(tok, http.StatusOK)
	if len(g.saw) == 0 || g.saw[len(g.saw)-1].Header.Get("X-Sub") != sub {
		g.Errorf("%s: the upstream saw another than %s; log: %s", tok, sub, g.logged())
	}
}

// calls are how many each issuer got, and forgotten with that.
func calls(all []*grantor) (n []int) {
	for _, issuer := range all {
		n = append(n, len(issuer.take()))
	}
	return n
}

func expectCalls(t *testing.T, what string, all []*grantor, want ...int) {
	t.Helper()
	if got := calls(all); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: %v calls, want %v", what, got, want)
	}
}

func TestAnOpaqueTokenIsShownToTheIssuerOfItsPrefixAlone(t *testing.T) {
	g, all := several(t, "token_prefix t0- u", "token_prefix t1- t0-x", "")
	g.passesAs("t0-a", "user-of-0")
	expectCalls(t, "its own", all, 1, 0, 0)
	g.passesAs("t1-a", "user-of-1")
	expectCalls(t, "another's", all, 0, 1, 0)
	g.expects("t0-xyz", http.StatusUnauthorized) // the longest counts
	expectCalls(t, "a longer prefix", all, 0, 1, 0)
	g.passesAs("t2-a", "user-of-2")
	expectCalls(t, "no prefix", all, 0, 0, 1)
	g.passesAs(all[1].access("user-of-1"), "user-of-1") // a JWT is told by its iss
	expectCalls(t, "a JWT", all, 0, 0, 0)
}

func TestATokenWithNoPrefixThatIsNamedIsShownToNoIssuer(t *testing.T) {
	g, all := several(t, "token_prefix t0-", "token_prefix t1-")
	g.expects("t2-a", http.StatusUnauthorized)
	g.expects("T0-a", http.StatusUnauthorized)
	expectCalls(t, "strangers", all, 0, 0)
	if log := g.logged(); !strings.Contains(log, "not_jwt") || !strings.Contains(log, "token_prefix") {
		t.Error(log)
	}
}

func TestIssuersAreAskedInOrderAndTheOneThatKnewATokenIsRemembered(t *testing.T) {
	g, all := several(t, "in_order", "in_order\ncache 5s", "in_order")
	g.passesAs("t1-a", "user-of-1")
	expectCalls(t, "the first time", all, 1, 1, 0)
	g.passesAs("t1-a", "user-of-1")
	expectCalls(t, "remembered", all, 0, 0, 0)
	g.clock.ahead.Add(int64(11 * time.Second)) // longer than any of the answers counts
	g.passesAs("t1-a", "user-of-1")
	expectCalls(t, "of the one that knew it", all, 0, 1, 0)

	g.expects("t9-a", http.StatusUnauthorized)
	expectCalls(t, "that none knows", all, 1, 1, 1)
	g.expects("t9-a", http.StatusUnauthorized)
	expectCalls(t, "that none knew", all, 0, 0, 0)
	if log := g.logged(); !strings.Contains(log, "token_inactive") || !strings.Contains(log, "none of the 3 issuers") {
		t.Error(log)
	}
}

// What an issuer says of a token as its own stands, whoever comes behind it.
func TestATokenThatAnIssuerKnowsAndRefusesIsShownToNoOther(t *testing.T) {
	g, all := several(t, "in_order", "in_order")
	all[0].says(http.StatusOK, `{"active":true,"aud":"other"}`)
	g.expects("t1-a", http.StatusUnauthorized)
	all[0].says(http.StatusOK, `{"active":true,"aud":"api","token_type":"refresh_token"}`)
	g.expects("t1-b", http.StatusUnauthorized)
	expectCalls(t, "the second", all, 2, 0)
	all[0].says(http.StatusOK, `{"active":true,"aud":"api","iss":"https://other.test"}`) // it says that it is another's
	g.passesAs("t1-c", "user-of-1")
}

func TestAnOutageOfOneIssuerIsNoVerdictUnlessAnotherKnowsTheToken(t *testing.T) {
	for name, outage := range map[string]func(*grantor){
		"an error":      func(i *grantor) { i.says(http.StatusInternalServerError, "") },
		"no answer":     func(i *grantor) { i.says(http.StatusOK, "<html>") },
		"a closed door": func(i *grantor) { i.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			for down := range 2 {
				g, all := several(t, "in_order", "in_order")
				outage(all[down])
				g.passesAs(fmt.Sprint("t", 1-down, "-a"), fmt.Sprint("user-of-", 1-down))
				for n := range 8 { // past the breaker
					res := g.expects(fmt.Sprint("t9-", n), http.StatusServiceUnavailable)
					if res.Header().Get("Retry-After") == "" || res.Header().Get("WWW-Authenticate") != "" {
						t.Errorf("%v", res.Header())
					}
				}
				g.expects(fmt.Sprint("t", down, "-a"), http.StatusServiceUnavailable)
			}
		})
	}
}

// Strangers cost each of the issuers what its rate allows, and no more; and the
// tokens of the second still pass while the first is asked too often.
func TestAFloodOfInventedTokensIsBoundedAtEachOfTheIssuers(t *testing.T) {
	g, all := several(t, "in_order\nrate 20", "in_order\nrate 40")
	home := g.address
	g.passesAs("t1-known", "user-of-1")
	calls(all)
	began := time.Now()
	for n := range 1000 {
		g.address = fmt.Sprintf("198.51.100.%d", n%250)
		if res := g.send(http.MethodGet, "/orders", "", "Authorization", fmt.Sprint("Bearer t9-", n)); res.Code != http.StatusUnauthorized && res.Code != http.StatusServiceUnavailable {
			t.Fatal(res.Code, res.Body)
		}
	}
	spent := int(time.Since(began).Seconds()) + 1
	if n := calls(all); n[0] > 20+20*spent || n[1] > 40+40*spent {
		t.Errorf("%v calls in about %d seconds", n, spent)
	}
	g.address = home
	g.passesAs("t1-known", "user-of-1")
}

func TestExplainNamesTheIssuersThatWereAsked(t *testing.T) {
	g, all := several(t, "in_order", "in_order")
	_ = g
	block := func(a, b string) explainFlags {
		text := ":80 {\n\toauth {\n"
		for n, word := range []string{a, b} {
			text += fmt.Sprintf("\t\tissuer %s {\n\t\t\taudience api\n\t\t\tclient gateway secret\n\t\t\tintrospect {\n\t\t\t\t%s\n\t\t\t}\n\t\t}\n", all[n].URL, word)
		}
		return explainFlags{config: configFile(t, text+"\t}\n}\n"), adapter: "caddyfile"}
	}
	order, prefixes := block("in_order", "in_order"), block("token_prefix t0-", "token_prefix t1-")
	for _, c := range []struct {
		flags  explainFlags
		token  string
		status int
		want   []string
	}{
		{order, "t1-0123456789abcdefghijkl", statusAccepted, []string{all[0].URL + " does not know it", "as " + all[1].URL + " says"}},
		{order, "t9-0123456789abcdefghijkl", statusRefused, []string{"REFUSED token_inactive", all[0].URL + " does not know it", "as " + all[1].URL + " says"}},
		{prefixes, "t1-0123456789abcdefghijkl", statusAccepted, []string{"as " + all[1].URL + " says"}},
		{prefixes, "t9-0123456789abcdefghijkl", statusRefused, []string{"REFUSED not_jwt", "t0- (" + all[0].URL + ")", "token_prefix"}},
	} {
		status, out, err := explained(t, c.flags, c.token)
		if err != nil || status != c.status {
			t.Errorf("%s: %d, %v", c.token, status, err)
		}
		for _, want := range c.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in\n%s", c.token, want, out)
			}
		}
	}
	all[0].says(http.StatusInternalServerError, "")
	if status, out, err := explained(t, order, "t9-0123456789abcdefghijkl"); err != nil || status != statusUnknown || !strings.Contains(out, "introspection_unavailable") {
		t.Errorf("%d, %v\n%s", status, err, out)
	}
	if status, out, err := explained(t, order, "t1-0123456789abcdefghijkl"); err != nil || status != statusAccepted {
		t.Errorf("%d, %v\n%s", status, err, out)
	}
}
