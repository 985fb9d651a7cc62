package as

import (
	"net/http"
	"testing"
)

// docs/refresh.md has this table in words.
func TestADefiniteNoIsToldFromAnOutageByItsCode(t *testing.T) {
	const codeGrant = "authorization_code"
	for code, want := range map[string]struct{ refreshing, runAgain, first Fate }{
		// RFC 6749 §5.2
		"invalid_request":        {Refused, Refused, Unconsumed},
		"invalid_client":         {BadClient, BadClient, BadClient},
		"invalid_grant":          {Refused, Refused, Refused},
		"unauthorized_client":    {Refused, BadClient, BadClient},
		"unsupported_grant_type": {Refused, Refused, Unconsumed},
		"invalid_scope":          {Refused, Refused, Unconsumed},
		// RFC 6749 §4.1.2.1
		"access_denied":             {Refused, Refused, Unconsumed},
		"unsupported_response_type": {Unconsumed, Unconsumed, Unconsumed},
		"server_error":              {Unconsumed, Unconsumed, Unconsumed},
		"temporarily_unavailable":   {Unconsumed, Unconsumed, Unconsumed},
		// OpenID Connect Core §3.1.2.6
		"interaction_required":       {Refused, Refused, Unconsumed},
		"login_required":             {Refused, Refused, Unconsumed},
		"account_selection_required": {Refused, Refused, Unconsumed},
		"consent_required":           {Refused, Refused, Unconsumed},
		"invalid_request_uri":        {Unconsumed, Unconsumed, Unconsumed},
		"invalid_request_object":     {Unconsumed, Unconsumed, Unconsumed},
		"request_not_supported":      {Unconsumed, Unconsumed, Unconsumed},
		"request_uri_not_supported":  {Unconsumed, Unconsumed, Unconsumed},
		"registration_not_supported": {Unconsumed, Unconsumed, Unconsumed},
		// RFC 8707, RFC 9396, RFC 9470
		"invalid_target":                   {Refused, Refused, Unconsumed},
		"invalid_authorization_details":    {Refused, Refused, Unconsumed},
		"insufficient_user_authentication": {Refused, Refused, Unconsumed},
		// RFC 8628
		"authorization_pending": {Unconsumed, Unconsumed, Unconsumed},
		"slow_down":             {Unconsumed, Unconsumed, Unconsumed},
		// what cannot be read
		"":                 {Unconsumed, Unconsumed, Unconsumed},
		"INVALID_SCOPE":    {Unconsumed, Unconsumed, Unconsumed},
		"something_of_its": {Unconsumed, Unconsumed, Unconsumed},
	} {
		for _, status := range []int{400, 401, 403, 404} {
			for grant, fated := range map[string]Fate{grantRefreshToken: want.refreshing, grantClientCredentials: want.runAgain, codeGrant: want.first} {
				if got := fate(status, code, grant); got != fated {
					t.Errorf("%s, %d %q: %v, want %v", grant, status, code, got, fated)
				}
			}
		}
		for _, status := range []int{http.StatusTooManyRequests, 302, 500, 503} {
			if got := fate(status, code, grantRefreshToken); got != Unconsumed {
				t.Errorf("%d %q: %v", status, code, got)
			}
		}
	}
}

func TestABusyServerIsToldFromOneThatRefuses(t *testing.T) {
	for _, busy := range []*CallError{{Status: 503}, {Status: 429, Code: "invalid_grant"}, {Status: 400, Code: "server_error"},
		{Status: 400, Code: "temporarily_unavailable"}, {Status: 400, Code: "slow_down"}} {
		if !busy.Busy() {
			t.Errorf("%d %q is no outage", busy.Status, busy.Code)
		}
	}
	for _, no := range []*CallError{{Status: 400, Code: "authorization_pending"}, {Status: 404}, {Status: 200, Code: "invalid_grant"}} {
		if no.Busy() {
			t.Errorf("%d %q is an outage", no.Status, no.Code)
		}
	}
}

func TestARefusalOfACodeIsAGuessUnlessItIsTheServersAffairOrTheUsers(t *testing.T) {
	for _, c := range []struct {
		status int
		code   string
		want   bool
	}{
		{400, "invalid_grant", true},
		{403, "invalid_grant", true},
		{400, "invalid_request", true}, // several servers' name for a code that was made up
		{404, "code_not_found", true},
		{429, "too_many_requests", true},
		{400, "", false}, // a page of something in between
		{500, "invalid_grant", false},
		{400, "temporarily_unavailable", false},
		{401, "invalid_client", false},
		{400, "unauthorized_client", false},
		{400, "authorization_pending", false},
		{400, "slow_down", false},
		{200, "", false},
	} {
		e := &CallError{Status: c.status, Code: c.code, Fate: fate(c.status, c.code, "authorization_code")}
		if got := e.Guess(); got != c.want {
			t.Errorf("status %d, code %q: %t, want %t", c.status, c.code, got, c.want)
		}
	}
}
