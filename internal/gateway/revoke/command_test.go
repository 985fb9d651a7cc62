package revoke

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/gateway/admin"
	"github.com/caddyoauth/caddyoauth/internal/jwssign"
)

var now = time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)

// runs makes a call, and answers what the admin endpoint was asked.
func runs(t *testing.T, f *call, answer string) (asked admin.Revocation, printed string, err error) {
	t.Helper()
	var out strings.Builder
	f.now, f.out = now, &out
	f.request = func(_ string, body []byte) ([]byte, error) {
		if body != nil {
			if err := json.Unmarshal(body, &asked); err != nil {
				t.Fatal(err)
			}
		}
		return []byte(answer), nil
	}
	err = f.run()
	return asked, out.String(), err
}

func TestOfATokenItsIssuerItsJTIAndItsEndAreSentAndNothingElse(t *testing.T) {
	key, err := jwssign.Generate("k", "ES256")
	if err != nil {
		t.Fatal(err)
	}
	sign := func(claims map[string]any) string {
		text, err := key.Token("at+jwt", claims)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(name, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	f := &call{file: sign(map[string]any{"iss": "https://login.example.com", "jti": "7", "sub": "ann", "exp": now.Add(time.Hour).Unix()})}
	asked, printed, err := runs(t, f, `{"lists":1,"ended":2}`)
	want := admin.Revocation{Issuer: "https://login.example.com", ID: "7", Until: now.Add(time.Hour + time.Minute)}
	if asked.Until = asked.Until.UTC(); err != nil || asked != want || !strings.Contains(printed, "2 grants ended") {
		t.Errorf("%+v, want %+v; %s %v", asked, want, printed, err)
	}
	for name, file := range map[string]string{"has no jti": sign(map[string]any{"iss": "i"}), "no such file": filepath.Join(t.TempDir(), "none")} {
		if _, _, err := runs(t, &call{file: file}, ""); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := runs(t, &call{file: "-", stdin: strings.NewReader("opaque")}, ""); err == nil || !strings.Contains(err.Error(), "is no JWT") {
		t.Error(err)
	}
}

func TestMomentsAreTimesOrSpans(t *testing.T) {
	f := &call{before: "10m", until: "24h", named: admin.Revocation{Issuer: "i", Subject: "ann", Reason: "r"}}
	asked, _, err := runs(t, f, `{}`)
	if err != nil || !asked.Before.Equal(now.Add(-10*time.Minute)) || !asked.Until.Equal(now.Add(24*time.Hour)) || asked.Subject != "ann" || asked.Reason != "r" {
		t.Errorf("%+v %v", asked, err)
	}
	f = &call{before: "2027-01-30T00:00:00Z", named: admin.Revocation{Issuer: "i"}}
	if asked, _, err = runs(t, f, `{}`); err != nil || asked.Before.Day() != 30 {
		t.Errorf("%+v %v", asked, err)
	}
	for want, f := range map[string]*call{
		"--before":            {before: "yesterday", named: admin.Revocation{Issuer: "i"}},
		"--until":             {until: "-1h", named: admin.Revocation{Issuer: "i"}},
		"--issuer is missing": {},
	} {
		if _, _, err := runs(t, f, `{}`); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestTheListIsPrintedALineForEach(t *testing.T) {
	_, printed, err := runs(t, &call{list: true}, `[{"issuer":"i","subject":"a\u001bnn","before":"2027-01-31T12:00:00Z","until":"2027-02-01T12:00:00Z","added":"2027-01-31T12:00:00Z","source":"operator","reason":"lost"}]`)
	if want := "issuer i, subject a\ufffdnn, issued until 2027-01-31T12:00:00Z; by operator at 2027-01-31T12:00:00Z, until 2027-02-01T12:00:00Z: lost\n"; err != nil || printed != want {
		t.Errorf("%q %v, want %q", printed, err, want)
	}
	if _, printed, err = runs(t, &call{list: true}, `[]`); err != nil || printed != "Nothing is taken back.\n" {
		t.Error(printed, err)
	}
}
