package as

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/jwssign"
	"github.com/caddyoauth/caddyoauth/internal/secret"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

const listURL = "https://status.example.com/lists/1"

// listed is an answer with a list of these bytes, of one bit each, and with claims
// that are changed so; what is nil is left out.
func listed(key *jwssign.Key, packed []byte, changes map[string]any, header ...string) answer {
	return func(r *http.Request) (*http.Response, error) {
		if got := r.Header.Get("Accept"); got != "application/statuslist+jwt" {
			return nil, errors.New("asked for " + got)
		}
		var b bytes.Buffer
		z := zlib.NewWriter(&b)
		_, _ = z.Write(packed)
		_ = z.Close()
		typ, claims := "statuslist+jwt", map[string]any{
			"sub": listURL, "iat": time.Now().Unix(), "status_list": map[string]any{"bits": 1, "lst": base64.RawURLEncoding.EncodeToString(b.Bytes())},
		}
		maps.Copy(claims, changes)
		if name, ok := claims["typ"].(string); ok {
			typ = name
		}
		maps.DeleteFunc(claims, func(name string, v any) bool { return v == nil || name == "typ" })
		text, err := key.Token(typ, claims)
		if err != nil {
			return nil, err
		}
		return reply(200, text, header...)(r)
	}
}

func listing(t *testing.T, issuer *fakeIssuer, more ...func(*Config)) *Server {
	t.Helper()
	algs, err := token.ParseAlgorithms(nil)
	if err != nil {
		t.Fatal(err)
	}
	s, _ := ready(t, issuer, func(c *Config) {
		c.Statuses = &Statuses{Origins: []string{"https://status.example.com"}, Lists: token.ListProfile{Issuer: issuerURL, Algorithms: algs, Skew: time.Minute}}
		for _, change := range more {
			change(c)
		}
	})
	return s
}

// standing is what a request with the token of an index gets.
func standing(t *testing.T, s *Server, index uint64) string {
	t.Helper()
	return stands(s.Standing(t.Context(), token.StatusRef{List: listURL, Index: index}))
}

func stands(err error) string {
	if unknown, ok := errors.AsType[*StatusUnknown](err); ok {
		if unknown.Lasting {
			return "unknown, lasting"
		}
		return "unknown"
	}
	if reason := token.ReasonOf(err); reason != "" || err == nil {
		return string(reason)
	}
	return "another error: " + err.Error()
}

func wantStanding(t *testing.T, s *Server, index uint64, want string) {
	t.Helper()
	if got := standing(t, s, index); got != want {
		t.Errorf("the token %d: %q, want %q", index, got, want)
	}
}

func TestATokenThatTheListCallsInvalidIsRefusedAndTheOthersPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		issuer.set(listURL, listed(keyA, []byte{0b10}, nil))
		s := listing(t, issuer)
		wantStanding(t, s, 0, "")
		wantStanding(t, s, 1, "token_status")
		if err := s.Standing(t.Context(), token.StatusRef{}); err != nil {
			t.Error("a token that names no list: ", err)
		}
		if n := len(issuer.times(listURL)); n != 1 {
			t.Errorf("asked %d times", n)
		}
		// What is taken back is seen with the next fetch, which nobody waits for.
		issuer.set(listURL, listed(keyA, []byte{0b11}, nil))
		time.Sleep(Usual)
		synctest.Wait()
		wantStanding(t, s, 0, "token_status")
		if n := testing.AllocsPerRun(100, func() { _ = s.Standing(context.Background(), token.StatusRef{List: listURL, Index: 0}) }); n != 0 {
			t.Errorf("%v allocations for a list that is there", n)
		}
	})
}

func TestAListThatDoesNotPassIsNone(t *testing.T) {
	for name, changes := range map[string]map[string]any{
		"of another type": {"typ": "at+jwt"}, "of another address": {"sub": listURL + "x"}, "of another issuer": {"iss": "https://other.example"},
		"without iat": {"iat": nil}, "of tomorrow": {"iat": time.Now().Add(100 * 365 * 24 * time.Hour).Unix()}, "that is over": {"exp": 1000},
		"without a list": {"status_list": nil}, "that is no list": {"status_list": "eNo"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := newIssuer()
				issuer.set(listURL, listed(keyA, []byte{0}, changes))
				wantStanding(t, listing(t, issuer), 0, "unknown")
			})
		})
	}
	for name, does := range map[string]answer{
		"signed by another": listed(keyB, []byte{0}, nil), "not there": reply(404, "no"), "down": refuse, "text": reply(200, "hello"), "a redirect elsewhere": reply(302, "", "Location", "https://other.example/"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := newIssuer()
				issuer.set(listURL, does)
				wantStanding(t, listing(t, issuer), 0, "unknown")
			})
		})
	}
}

// A good list goes on saying what it said while the place fails, until it is over.
func TestAGoodListStaysInForceWhileItsPlaceFails(t *testing.T) {
	for name, c := range map[string]struct {
		changes map[string]any
		over    time.Duration
	}{
		"with exp": {map[string]any{"exp": nil, "ttl": 60}, 2 * time.Hour}, "without": {map[string]any{"ttl": 60}, keepStored},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := newIssuer()
				if _, ends := c.changes["exp"]; ends {
					c.changes["exp"] = time.Now().Add(c.over).Unix()
				}
				issuer.set(listURL, listed(keyA, []byte{0b10}, c.changes))
				s := listing(t, issuer)
				wantStanding(t, s, 1, "token_status")
				issuer.set(listURL, reply(503, "no"))
				for passed := time.Duration(0); passed < c.over-time.Hour; passed += 30 * time.Minute { // tokens name it all the time
					time.Sleep(30 * time.Minute)
					wantStanding(t, s, 0, "")
					wantStanding(t, s, 1, "token_status")
				}
				time.Sleep(90 * time.Minute)
				wantStanding(t, s, 0, "unknown")
				issuer.set(listURL, listed(keyA, []byte{0b10}, nil))
				time.Sleep(retryMost)
				synctest.Wait()
				wantStanding(t, s, 0, "")
			})
		})
	}
}

// A token may be younger than the list that is in memory.
func TestAnIndexBeyondTheListCausesOneFetchAndIsRefusedWhereThatDoesNotHelp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		issuer.set(listURL, listed(keyA, []byte{0}, nil))
		s := listing(t, issuer)
		wantStanding(t, s, 0, "")
		issuer.set(listURL, listed(keyA, []byte{0, 0b10}, nil))
		wantStanding(t, s, 8, "")
		wantStanding(t, s, 9, "token_status")
		for range 5 {
			wantStanding(t, s, 1000, "token_status")
		}
		if n := len(issuer.times(listURL)); n != 2 {
			t.Errorf("asked %d times", n)
		}
		time.Sleep(Floor)
		issuer.set(listURL, reply(503, "no"))
		wantStanding(t, s, 1000, "unknown")
		wantStanding(t, s, 0, "")
	})
}

func TestAListIsAskedForWhereTheOperatorSaysAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		s := listing(t, issuer)
		issuer.urls()
		for _, address := range []string{
			"https://other.example/lists/1", "http://status.example.com/lists/1", "https://status.example.com:8443/lists/1", "https://status.example.com.evil.example/",
			"https://status.example.com@evil.example/", "https://x@status.example.com/", "//status.example.com/", "file:///etc/passwd", "x",
		} {
			if got := stands(s.Standing(t.Context(), token.StatusRef{List: address})); got != "unknown, lasting" {
				t.Errorf("%s: %q", address, got)
			}
		}
		if asked := issuer.urls(); len(asked) > 0 {
			t.Errorf("asked %q", asked)
		}
	})
}

// The bearer token is for who has the metadata and the keys.
func TestABearerTokenGoesToNoPlaceThatHasListsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer, shown := newIssuer(), ""
		then := listed(keyA, []byte{0b10}, nil)
		issuer.set(listURL, func(r *http.Request) (*http.Response, error) {
			shown = r.Header.Get("Authorization")
			return then(r)
		})
		s := listing(t, issuer, func(c *Config) {
			c.Bearer = func() (secret.Text, error) { return secret.New("pod-token"), nil }
		})
		wantStanding(t, s, 1, "token_status")
		if shown != "" {
			t.Errorf("it was shown %q", shown)
		}
	})
}

func TestListsThatNoTokenNamesAnyMoreAreForgottenAndTheirNumberIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer()
		s := listing(t, issuer)
		name := func(n int) string { return "https://status.example.com/lists/" + strings.Repeat("x", n+1) }
		for n := range mostStatusLists {
			issuer.set(name(n), listed(keyA, []byte{0}, map[string]any{"sub": name(n)}))
			if err := s.Standing(t.Context(), token.StatusRef{List: name(n)}); err != nil {
				t.Fatal(err)
			}
		}
		if got := standing(t, s, 0); got != "unknown, lasting" {
			t.Errorf("one more: %q", got)
		}
		time.Sleep(2 * statusUnused)
		synctest.Wait()
		if left := len(*s.statuses.all.Load()); left != 0 || s.statuses.size.Load() != 0 {
			t.Errorf("%d lists of %d bytes are left", left, s.statuses.size.Load())
		}
		issuer.set(listURL, listed(keyA, []byte{0}, nil))
		wantStanding(t, s, 0, "")
	})
}

// A restart while the place of the lists is down forgets nobody who was taken back,
// and believes nothing that the issuer has not signed.
func TestStoredListsServeAfterARestartWithTheirPlaceDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := &memory{}
		begin := func(does answer) *Server {
			issuer := newIssuer()
			issuer.set(listURL, does)
			s := listing(t, issuer, stored)
			s.Attach(Env{Storage: storage})
			return s
		}
		s := begin(listed(keyA, []byte{0b10}, map[string]any{"ttl": 60}))
		wantStanding(t, s, 1, "token_status")
		synctest.Wait()
		s.Close()

		s = begin(refuse)
		wantStanding(t, s, 0, "")
		wantStanding(t, s, 1, "token_status")
		state := s.StatusLists()
		if len(state) != 1 || state[0].Address != listURL || state[0].Tokens != 8 || state[0].Err == nil || state[0].Fetched.IsZero() {
			t.Errorf("%+v", state)
		}
		s.Close()

		// What is fetched counts before what was stored, from the first request on.
		s = begin(listed(keyA, []byte{0b01}, nil))
		wantStanding(t, s, 1, "")
		synctest.Wait()
		s.Close()

		for name, data := range storage.values {
			if strings.HasSuffix(name, "status-lists.json") {
				var kept storedLists
				if err := json.Unmarshal(data, &kept); err != nil || len(kept.Lists) != 1 {
					t.Fatal(string(data), err)
				}
				answer, err := listed(keyB, []byte{0}, nil)(&http.Request{Header: http.Header{"Accept": {"application/statuslist+jwt"}}})
				if err != nil {
					t.Fatal(err)
				}
				text, _ := io.ReadAll(answer.Body)
				kept.Lists[0].JWT = string(text)
				data, _ = json.Marshal(kept)
				storage.values[name] = data
			}
		}
		s = begin(refuse)
		wantStanding(t, s, 0, "unknown")
		s.Close()
	})
}

// What was stored is as good as keys that were stored, and no longer.
func TestAStoredListThatIsTooOldIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage, issuer := &memory{}, newIssuer()
		issuer.set(listURL, listed(keyA, []byte{0b10}, nil))
		s := listing(t, issuer, stored)
		s.Attach(Env{Storage: storage})
		wantStanding(t, s, 1, "token_status")
		synctest.Wait()
		s.Close()
		time.Sleep(keepStored)
		issuer.set(listURL, refuse)
		s = listing(t, issuer, stored)
		s.Attach(Env{Storage: storage})
		wantStanding(t, s, 0, "unknown")
	})
}
