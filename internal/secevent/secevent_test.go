package secevent

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/token"
)

func read(tb testing.TB, doc string) (*Set, error) {
	tb.Helper()
	members, err := token.ParseObject(doc)
	if err != nil {
		tb.Fatalf("%s: %v", doc, err)
	}
	return Read(token.Claims(members))
}

func set(subject, events string) string {
	return fmt.Sprintf(`{"iss": "https://transmitter.example.com", "jti": "set-1", "iat": 1700000000, "txn": "t-1", "aud": "receiver", "sub_id": %s, "events": {%s}}`, subject, events)
}

const (
	alice    = `{"format": "iss_sub", "iss": "https://login.example.com", "sub": "alice"}`
	disabled = `"https://schemas.openid.net/secevent/risc/event-type/account-disabled": {"reason": "hijacking"}`
)

func TestEachFormatOfSubjectIsRead(t *testing.T) {
	for format, row := range map[string]struct{ doc, issuer, value string }{
		Account:         {`{"format": "account", "uri": "acct:alice@service.example.com"}`, "", "acct:alice@service.example.com"},
		Email:           {`{"format": "email", "email": "alice@example.com"}`, "", "alice@example.com"},
		IssSub:          {alice, "https://login.example.com", "alice"},
		Opaque:          {`{"format": "opaque", "id": "11112222333344445555"}`, "", "11112222333344445555"},
		PhoneNumber:     {`{"format": "phone_number", "phone_number": "+12065550100"}`, "", "+12065550100"},
		DID:             {`{"format": "did", "url": "did:example:123456/did/url/path"}`, "", "did:example:123456/did/url/path"},
		URI:             {`{"format": "uri", "uri": "https://user.example.com/"}`, "", "https://user.example.com/"},
		JWTID:           {`{"format": "jwt_id", "iss": "https://login.example.com", "jti": "token-7"}`, "https://login.example.com", "token-7"},
		SAMLAssertionID: {`{"format": "saml_assertion_id", "issuer": "https://saml.example.com", "assertion_id": "_8e8d"}`, "https://saml.example.com", "_8e8d"},
		"catalog_item":  {`{"format": "catalog_item", "catalog_id": "c0384"}`, "", ""},
		"ip-addresses":  {`{"format": "ip-addresses", "ip-addresses": ["192.0.2.1"]}`, "", ""},
	} {
		s, err := read(t, set(row.doc, disabled))
		if err != nil || s.About.Format != format || s.About.Issuer != row.issuer || s.About.Value != row.value {
			t.Errorf("%s: %+v, %v", format, s, err)
		}
	}
}

func TestAliasesAreNamesOfOneSubject(t *testing.T) {
	s, err := read(t, set(`{"format": "aliases", "identifiers": [{"format": "email", "email": "alice@example.com"}, {"format": "phone_number", "phone_number": "+12065550100"}, `+alice+`]}`, disabled))
	if err != nil || len(s.About.Same) != 3 || s.About.Same[0].Value != "alice@example.com" || s.About.Same[2].Value != "alice" {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestTheMembersOfAComplexSubjectAreReadEach(t *testing.T) {
	doc := `{"format": "complex", "note": "more"`
	for _, name := range []string{User, Device, Session, Application, Tenant, OrgUnit, Group} {
		doc += fmt.Sprintf(`, %q: {"format": "opaque", "id": "of the %[1]s"}`, name)
	}
	s, err := read(t, set(doc+`}`, disabled))
	if err != nil || len(s.About.Members) != 7 || s.About.Members[OrgUnit].Value != "of the org_unit" || s.About.Members[Session].Value != "of the session" {
		t.Errorf("%+v, %v", s, err)
	}
	if got, want := s.About.String(), "complex(application device group org_unit session tenant user)"; got != want {
		t.Errorf("in logs: %s, want %s", got, want)
	}
}

func TestASubjectThatIsNotWholeIsMalformed(t *testing.T) {
	many := strings.Repeat(`{"format": "opaque", "id": "x"},`, 17)
	for name, doc := range map[string]string{
		"no format":               `{"email": "alice@example.com"}`,
		"a format that is a list": `{"format": ["email"], "email": "alice@example.com"}`,
		"no value":                `{"format": "email"}`,
		"an empty value":          `{"format": "opaque", "id": ""}`,
		"a value that is no text": `{"format": "opaque", "id": 7}`,
		"a value that is long":    `{"format": "opaque", "id": "` + strings.Repeat("x", 1025) + `"}`,
		"no issuer":               `{"format": "iss_sub", "sub": "alice"}`,
		"no aliases":              `{"format": "aliases", "identifiers": []}`,
		"aliases inside aliases":  `{"format": "aliases", "identifiers": [{"format": "aliases", "identifiers": [` + alice + `]}]}`,
		"an alias as text":        `{"format": "aliases", "identifiers": ["alice"]}`,
		"too many aliases":        `{"format": "aliases", "identifiers": [` + strings.TrimSuffix(many, ",") + `]}`,
		"an empty complex one":    `{"format": "complex"}`,
		"complex inside complex":  `{"format": "complex", "user": {"format": "complex", "user": ` + alice + `}}`,
		"a member without format": `{"format": "complex", "user": {"sub": "alice"}}`,
	} {
		s, err := read(t, set(doc, disabled))
		if token.ReasonOf(err) != token.Malformed {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
}

// The events of CAEP 1.0, RISC 1.0 and SSF 1.0, each with the members that it has.
func TestEachEventMeansWhatItsPageSays(t *testing.T) {
	const caepMembers = `"event_timestamp": 1699999990, "initiating_entity": "policy", "reason_admin": {"en": "Policy Violation: C076E82F"}, "reason_user": {"en": "Land speed violation."}`
	for _, row := range []struct {
		uri, members string
		want         Effect
	}{
		{caep + "session-revoked", caepMembers, Revoke},
		{caep + "token-claims-change", caepMembers + `, "claims": {"role": "ro-admin"}`, Renew},
		{caep + "credential-change", caepMembers + `, "credential_type": "fido2-roaming", "change_type": "create", "fido2_aaguid": "accced6a", "friendly_name": "Alice's key"`, Note},
		{caep + "credential-change", caepMembers + `, "credential_type": "password", "change_type": "update"`, Renew},
		{caep + "credential-change", caepMembers + `, "credential_type": "password", "change_type": "revoke"`, Renew},
		{caep + "credential-change", caepMembers + `, "credential_type": "pin", "change_type": "delete"`, Renew},
		{caep + "assurance-level-change", caepMembers + `, "namespace": "NIST-AAL", "current_level": "nist-aal2", "previous_level": "nist-aal1", "change_direction": "increase"`, Note},
		{caep + "assurance-level-change", caepMembers + `, "namespace": "NIST-AAL", "current_level": "nist-aal1", "previous_level": "nist-aal2", "change_direction": "decrease"`, Renew},
		{caep + "device-compliance-change", caepMembers + `, "current_status": "not-compliant", "previous_status": "compliant"`, Renew},
		{caep + "device-compliance-change", caepMembers + `, "current_status": "compliant", "previous_status": "not-compliant"`, Note},
		{caep + "risk-level-change", caepMembers + `, "principal": "USER", "current_level": "HIGH", "previous_level": "LOW", "risk_reason": "PASSWORD_FOUND_IN_DATA_BREACH"`, Renew},
		{caep + "risk-level-change", caepMembers + `, "principal": "USER", "current_level": "LOW", "previous_level": "HIGH"`, Note},
		{caep + "session-established", caepMembers + `, "fp_ua": "abb0b6e7", "acr": "AAL2", "amr": ["otp"]`, Note},
		{caep + "session-presented", caepMembers + `, "ips": ["192.0.2.12"], "fp_ua": "abb0b6e7"`, Note},
		{risc + "account-credential-change-required", ``, Revoke},
		{risc + "account-purged", ``, Revoke},
		{risc + "account-disabled", `"reason": "hijacking"`, Revoke},
		{risc + "account-disabled", `"reason": "bulk-account"`, Revoke},
		{risc + "account-enabled", ``, Note},
		{risc + "identifier-changed", `"new-value": "alice.adams@example.com"`, Renew},
		{risc + "identifier-recycled", ``, Revoke},
		{risc + "credential-compromise", `"credential_type": "password"`, Revoke},
		{risc + "opt-in", ``, Note},
		{risc + "opt-out-initiated", ``, Note},
		{risc + "opt-out-cancelled", ``, Note},
		{risc + "opt-out-effective", ``, Note},
		{risc + "recovery-activated", ``, Renew},
		{risc + "recovery-information-changed", ``, Note},
		{risc + "sessions-revoked", ``, Revoke},
		{Verification, `"state": "VGhpcyBpcyBhbiBleGFtcGxlIHN0YXRlIHZhbHVlLgo="`, Note},
		{StreamUpdated, `"status": "paused", "reason": "maintenance"`, Note},
		{"https://vendor.example.com/event/weather", `"status": "rain"`, Ignore},
	} {
		s, err := read(t, set(alice, fmt.Sprintf(`%q: {%s}`, row.uri, row.members)))
		if err != nil || len(s.Events) != 1 || s.Events[0].Effect() != row.want {
			t.Errorf("%s {%s}: %+v, %v; want %s", row.uri, row.members, s, err, row.want)
			continue
		}
		if e := &s.Events[0]; strings.Contains(row.members, "reason_admin") && (e.Why() != "Policy Violation: C076E82F" || s.Before(e).Unix() != 1699999990) {
			t.Errorf("%s: why %q, before %s", row.uri, e.Why(), s.Before(e))
		}
	}
}

func TestAnEventConcernsWhatWasGrantedBeforeItAndNothingThatIsToCome(t *testing.T) {
	issued := time.Unix(1700000000, 0)
	for members, want := range map[string]time.Time{
		``:                                     issued,
		`"event_timestamp": 1600975810`:        time.Unix(1600975810, 0),
		`"event_timestamp": 1700000001`:        issued, // not even a second later
		`"event_timestamp": 1600975810000`:     issued, // milliseconds
		`"event_timestamp": "1600975810"`:      issued,
		`"event_timestamp": -1`:                issued,
		`"event_timestamp": 1e400`:             issued,
		`"event_timestamp": 1600975810.5`:      time.Unix(1600975810, 5e8),
		`"event_timestamp": 99999999999999999`: issued,
	} {
		s, err := read(t, set(alice, fmt.Sprintf(`%q: {%s}`, caep+"session-revoked", members)))
		if err != nil || !s.Before(&s.Events[0]).Equal(want) {
			t.Errorf("%s: %v, %v; want %s", members, s, err, want)
		}
	}
}

func TestOfSeveralNamesOfOneEventTheStrongestCountsFirst(t *testing.T) {
	s, err := read(t, set(alice, `"urn:x:other": {}, "`+risc+`account-enabled": {}, `+disabled))
	if err != nil || len(s.Events) != 3 || Name(s.Events[0].Type) != "account-disabled" || s.Events[2].Type != "urn:x:other" {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestNoTwoTypesOfEventShareAName(t *testing.T) {
	names := Names()
	for i := 1; i < len(names); i++ {
		if names[i] == names[i-1] {
			t.Errorf("%s is the name of two", names[i])
		}
	}
}

func TestValuesAreComparedAsTheirFormatHasIt(t *testing.T) {
	for _, row := range []struct{ format, a, b string }{
		{Email, "Alice@Example.com", "alice@example.com"},
		{PhoneNumber, "+1 206 555 0123", "+1(206)555-0123"},
	} {
		if Canonical(row.format, row.a) != Canonical(row.format, row.b) {
			t.Errorf("%s: %s and %s", row.format, row.a, row.b)
		}
	}
	if Canonical(Opaque, "A") == Canonical(Opaque, "a") {
		t.Error("opaque: the case counts")
	}
}

// Whatever a transmitter signs is read or refused, within bounds, and what is read
// is the same the second time.
func FuzzRead(f *testing.F) {
	f.Add(set(alice, disabled))
	f.Add(set(`{"format": "aliases", "identifiers": [`+alice+`]}`, `"`+Verification+`": {"state": "x"}`))
	f.Add(set(`{"format": "complex", "user": `+alice+`, "session": {"format": "opaque", "id": "s"}}`, `"`+caep+`session-revoked": {"event_timestamp": 1, "reason_admin": {"de": "weg"}}`))
	f.Add(`{"sub_id": {"format": "complex", "user": []}, "events": {"": {}}}`)
	f.Fuzz(func(t *testing.T, doc string) {
		members, err := token.ParseObject(doc)
		if err != nil {
			return
		}
		s, err := Read(token.Claims(members))
		if err != nil {
			if token.ReasonOf(err) == "" {
				t.Fatalf("%s: a failure and no refusal: %v", doc, err)
			}
			return
		}
		again, err := Read(token.Claims(members))
		if err != nil || again.About.String() != s.About.String() || len(s.Events) == 0 || again.Events[0].Type != s.Events[0].Type {
			t.Fatalf("%s: read twice: %+v and %+v, %v", doc, s, again, err)
		}
		if len(s.About.Same) > mostAliases || len(s.About.Members) > mostMembers || len(s.About.Value) > mostText {
			t.Fatalf("%s: out of bounds: %+v", doc, s)
		}
		for i := range s.Events {
			e := &s.Events[i]
			if s.Before(e).After(s.Issued) || len(e.Why()) > 210 || len(e.Text("status")) > 210 {
				t.Fatalf("%s: %s at %s, issued %s", doc, e.Type, s.Before(e), s.Issued)
			}
		}
	})
}
