package token

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"
)

// explained takes a token the whole way with a record.
func explained(p *Profile, raw string, now time.Time) (*Unverified, *Record) {
	u, rec := Inspect(raw)
	p.Explain(context.Background(), u, now, rec)
	return u, rec
}

// failed lists the checks that did not hold, in their order.
func failed(rec *Record) (names []Check) {
	for _, rule := range Rules {
		if len(rec.Errors(rule.Check)) > 0 {
			names = append(names, rule.Check)
		}
	}
	return names
}

func TestARecordShowsAllThatIsWrongAndTheFirstIsTheVerdict(t *testing.T) {
	forged := signer("k1", "ES256", "other P-256")
	late := noon.Add(time.Hour)
	for _, row := range []struct {
		name, raw string
		at        time.Time
		verdict   Reason
		failed    []Check
	}{
		{"a good one", mint(t, k1(), nil), noon, "", nil},
		{"a forged one that has expired", mint(t, forged, nil), late, Expired, []Check{CheckExpired, CheckSignature}},
		{"all at once", mint(t, forged, map[string]any{"iss": "https://other.example", "aud": "b", "nonce": "n", "at_hash": "h"}), late,
			IssuerUnknown, []Check{CheckIssuer, CheckKind, CheckExpired, CheckAudience, CheckSignature}},
		{"types", mint(t, k1(), map[string]any{"exp": "soon", "sub": 1}), late, ClaimType, []Check{CheckClaimTypes}},
		{"no exp", mint(t, k1(), map[string]any{"exp": absent{}}), noon, ClaimMissing, []Check{CheckExpiry}},
		{"an unknown kid", mint(t, signer("k2", "ES256", "P-256"), nil), late, Expired, []Check{CheckExpired, CheckKey}},
		{"alg none", mintRaw(t, k1(), `{"alg":"none","typ":"x"}`, ""), late, AlgRefused, []Check{CheckAlgorithm, CheckType, CheckExpired}},
		{"a broken header", "e30=." + strings.SplitN(mint(t, k1(), nil), ".", 2)[1], late, Malformed, []Check{CheckHeaderText, CheckExpired}},
		{"opaque", "abc", noon, NotJWT, []Check{CheckForm}},
		{"too large", strings.Repeat("a", MaxSize+1), noon, TooLarge, []Check{CheckSize}},
		{"odd header members", mintRaw(t, k1(), `{"alg":1,"crit":[],"kid":2}`, ""), late, HeaderRefused, []Check{CheckHeaderTypes, CheckExpired}},
	} {
		_, rec := explained(profile(t), row.raw, row.at)
		if got := ReasonOf(rec.Err()); got != row.verdict || !slices.Equal(failed(rec), row.failed) {
			t.Errorf("%s: %s, failed %q; want %s, %q", row.name, got, failed(rec), row.verdict, row.failed)
		}
		if _, err := proveAt(profile(t), row.raw, row.at); ReasonOf(err) != row.verdict {
			t.Errorf("%s: Verify says %v", row.name, err)
		}
	}
}

func TestAFailureToGetKeysIsTheVerdictOnlyWhereNothingElseIs(t *testing.T) {
	p := profile(t)
	p.Keys = &source{failKeys: context.DeadlineExceeded}
	if _, rec := explained(p, mint(t, k1(), nil), noon); rec.Err() != context.DeadlineExceeded || !slices.Equal(failed(rec), []Check{CheckKeys}) {
		t.Error(rec.Err(), failed(rec))
	}
	if _, rec := explained(p, mint(t, k1(), nil), noon.Add(time.Hour)); ReasonOf(rec.Err()) != Expired || !slices.Equal(failed(rec), []Check{CheckExpired, CheckKeys}) {
		t.Error(rec.Err(), failed(rec))
	}
}

func TestEachCheckHasWordsForWhatItFoundAndExpected(t *testing.T) {
	p := profile(t)
	raw := mint(t, k1(), nil)
	u, rec := explained(p, raw, noon)
	for _, rule := range Rules {
		found, expected := rec.Describe(rule.Check, raw, u, p, noon)
		if found == "" || expected == "" || rule.Clause == "" || !rec.Passed(rule.Check) {
			t.Errorf("%s (%s): found %q, expected %q", rule.Check, rule.Clause, found, expected)
		}
	}
}

// FuzzExplain: whatever is explained, the verdict is that of Parse and Verify,
// and there are words for every check.
func FuzzExplain(f *testing.F) {
	forged := signer("k1", "ES256", "other P-256")
	for _, raw := range []string{
		mint(f, k1(), nil), mint(f, forged, map[string]any{"exp": 1, "aud": []string{}}), "", "..", "a.b.c", "e30.e30.AA", "e30.W10.AA",
		mintRaw(f, k1(), `{"alg":1,"kid":"","typ":[],"crit":0}`, `{"iss":1,"exp":"x","aud":{},"scp":[1]}`),
		mintRaw(f, k1(), `{"alg":"ES256"}`, `{"exp":1e300,"nbf":-1e300,"typ":"ID","events":null}`),
		mintRaw(f, k1(), `{"alg":"none","kid":"\u001b[2J"}`, `{"iss":"\u001b[2J"}`),
	} {
		f.Add(raw, false)
		f.Add(raw, true)
	}
	p := profile(f)
	f.Fuzz(func(t *testing.T, raw string, strict bool) {
		own := *p
		own.Strict = strict
		_, err := prove(&own, raw)
		u, rec := explained(&own, raw, noon)
		if got, want := ReasonOf(rec.Err()), ReasonOf(err); got != want || (rec.Err() == nil) != (err == nil) {
			t.Fatalf("explained as %v, Verify says %v", rec.Err(), err)
		}
		for _, rule := range Rules {
			found, expected := rec.Describe(rule.Check, raw, u, &own, noon)
			made := rec.Passed(rule.Check) || len(rec.Errors(rule.Check)) > 0
			if made && (found == "" || expected == "") || !made && err == nil {
				t.Fatalf("%s: found %q, expected %q", rule.Check, found, expected)
			}
		}
	})
}
