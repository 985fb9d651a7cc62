package as

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyoauth/caddyoauth/internal/secret"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// Signals are what the metadata of a transmitter name (OpenID Shared Signals
// Framework 1.0 §7.1). "" is an endpoint that is not there or may not be asked.
type Signals struct {
	Configuration   string
	Status          string
	Verification    string
	AddSubject      string
	RemoveSubject   string
	DeliveryMethods []string
	CriticalMembers []string // of complex subjects: who does not know one discards the event
	DefaultSubjects string   // ALL or NONE
}

func readSignals(said documents, usable func(name, own string) string) Signals {
	subjects, _ := said.value("default_subjects").(string)
	return Signals{
		Configuration:   usable("configuration_endpoint", ""),
		Status:          usable("status_endpoint", ""),
		Verification:    usable("verification_endpoint", ""),
		AddSubject:      usable("add_subject_endpoint", ""),
		RemoveSubject:   usable("remove_subject_endpoint", ""),
		DeliveryMethods: said.names("delivery_methods_supported"),
		CriticalMembers: said.names("critical_subject_members"),
		DefaultSubjects: subjects,
	}
}

// wellKnownSignals lists where a transmitter's metadata may be: SSF §7.2, and with
// the path in front, as Keycloak behind a path of its own has it.
func wellKnownSignals(issuer string) ([]string, error) {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("the transmitter %q is not a URL", issuer)
	}
	root, path := u.Scheme+"://"+u.Host, strings.TrimSuffix(u.EscapedPath(), "/")
	forms := []string{root + "/.well-known/ssf-configuration" + path}
	if path != "" {
		forms = append(forms, root+path+"/.well-known/ssf-configuration")
	}
	return forms, nil
}

// SignalsCall is one request about streams of events: to an endpoint of SSF §8.1, or
// for events (RFC 8936 §2).
type SignalsCall struct {
	Method  string
	Address string
	Query   url.Values  // added to the address; nil: nothing is
	Body    any         // as JSON; nil: none
	Access  secret.Text // shown as Bearer; empty: nothing is
	Named   bool        // the address is the operator's own words; else the transmitter named it
}

// Signals asks a transmitter once: no redirect. It answers the body of a good answer
// (2xx). An error is a [*CallError], or a failure to ask.
func (s *Server) Signals(ctx context.Context, call SignalsCall) ([]byte, error) {
	const endpoint = "transmitter"
	if err := s.checkDiscovered(call.Address); err != nil && !call.Named {
		return nil, fmt.Errorf("the transmitter's endpoint: %w", err)
	}
	req, err := s.signalsRequest(ctx, &call)
	if err != nil {
		return nil, err
	}
	res, err := s.caller.RoundTrip(req)
	if err != nil {
		return nil, &CallError{Err: fmt.Errorf("the %s did not answer: %w", endpoint, tame(err))}
	}
	defer res.Body.Close()
	r := s.readResponse(endpoint, res)
	switch {
	case r.status < 200 || r.status > 299:
		return nil, r.signalsRefused(call.Access)
	case r.broken != nil:
		return nil, &CallError{Status: r.status, Err: fmt.Errorf("the %s broke off: %w", endpoint, r.broken)}
	}
	return bytes.TrimSpace(r.body), nil
}

func (s *Server) signalsRequest(ctx context.Context, call *SignalsCall) (*http.Request, error) {
	address, err := url.Parse(call.Address)
	if err != nil {
		return nil, errors.New("the transmitter's endpoint is not a URL")
	}
	if len(call.Query) > 0 {
		query := address.Query()
		for name, values := range call.Query {
			query[name] = values
		}
		address.RawQuery = query.Encode()
	}
	var body []byte
	if call.Body != nil {
		if body, err = json.Marshal(call.Body); err != nil {
			return nil, fmt.Errorf("asking the transmitter: %w", err)
		}
	}
	if call.Named {
		ctx, _ = allowAnyAddress(ctx, s.cfg.dialing().zone)
	} else {
		from := routableZone
		if ends := s.endpoints.Load(); ends != nil {
			from = ends.from
		}
		ctx = restrictAddress(ctx, from)
	}
	req, err := http.NewRequestWithContext(ctx, call.Method, address.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = http.Header{"Accept": {"application/json"}, "User-Agent": {"caddy-oauth"}}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if !call.Access.Empty() {
		req.Header.Set("Authorization", "Bearer "+call.Access.Reveal())
	}
	return req, nil
}

// signalsRefused is an answer that is none. What the transmitter says of it may
// stand in its members under one of several names.
func (r *response) signalsRefused(access secret.Text) *CallError {
	e := &CallError{Status: r.status, RetryAfter: r.after, Err: fmt.Errorf("the %s answered with status %d", r.endpoint, r.status)}
	if members, err := token.ParseObject(string(r.body)); err == nil {
		text := func(name string) string { text, _ := members[name].(string); return text }
		sent := []string{access.Reveal()}
		if access.Empty() {
			sent = nil
		}
		code := cmp.Or(text("err"), text("error"))
		more := cmp.Or(text("description"), text("error_description"), text("errorMessage"), text("message"))
		e.Said = said(strings.TrimPrefix(code+": "+more, ": "), sent)
	}
	return e
}
