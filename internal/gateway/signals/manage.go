package signals

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/secevent"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// Report is how it stands with a stream, as its transmitter says.
type Report struct {
	Transmitter string   `json:"transmitter"`
	Stream      string   `json:"stream_id,omitempty"`
	Status      string   `json:"status,omitempty"` // enabled, paused or disabled; absent: it cannot be asked
	Method      string   `json:"delivery"`         // push or poll
	Endpoint    string   `json:"endpoint_url,omitempty"`
	Audience    []string `json:"aud,omitempty"`
	Events      []string `json:"events_delivered,omitempty"`
	Subjects    string   `json:"default_subjects,omitempty"`
	Amiss       []string `json:"amiss,omitempty"` // what keeps events from being done
}

// Asks reports whether there is anything to show the transmitter, so that it can be
// asked about the stream.
func (r *Receiver) Asks() bool { return r.access.can() }

// Cure is what an operator does about an error of asking the transmitter.
func (r *Receiver) Cure(err error) string { return cureOf(err) }

// Describe looks at the stream. An error is that there is none, or that the
// transmitter cannot be asked.
func (r *Receiver) Describe(ctx context.Context) (*Report, error) {
	ends, err := r.server.Endpoints(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := r.server.Keys(ctx); err != nil {
		return nil, fmt.Errorf("no keys to prove its events by: %w", err)
	}
	stream, err := r.stream(ctx)
	if err != nil {
		return nil, err
	}
	report := r.report(stream, &ends)
	if ends.Signals.Status != "" {
		if report.Status, err = r.status(ctx, ends.Signals.Status, stream.ID); err != nil {
			return nil, err
		}
	}
	if report.Status == "paused" || report.Status == "disabled" {
		report.amiss("the stream is %s: \"caddy oauth signals enable\" goes on with it", report.Status)
	}
	return report, nil
}

func (r *Receiver) report(s *Stream, ends *as.Endpoints) *Report {
	report := &Report{
		Transmitter: r.proof.Issuer, Stream: s.ID, Method: "push", Endpoint: s.Endpoint, Audience: s.Audience, Events: short(s.Delivered), Subjects: s.Subjects,
	}
	if s.Polls() {
		report.Method = "poll"
	}
	if report.Subjects == "" {
		report.Subjects = ends.Signals.DefaultSubjects
	}
	switch {
	case s.Issuer != "" && s.Issuer != r.proof.Issuer: // SSF §4.1.6
		report.amiss("iss of the stream is %q, and the transmitter is %q: its events will be refused", s.Issuer, r.proof.Issuer)
	case s.Polls() != r.block.Poll:
		report.amiss("the stream delivers by %s, and the signals block says otherwise", report.Method)
	}
	if len(s.Audience) > 0 && !slices.ContainsFunc(s.Audience, func(aud string) bool { return slices.Contains(r.proof.Audience, aud) }) {
		report.amiss("aud of the stream is %q: write that as audience in signals, or its events will be refused", s.Audience)
	}
	if report.Subjects == "NONE" {
		report.amiss("the transmitter tells of no subjects unless they are added one by one: have it tell of all (Keycloak: Default subjects ALL, in the SSF tab of the client), or add them: \"caddy oauth signals add --subject <sub>\"")
	}
	for _, member := range ends.Signals.CriticalMembers {
		if !r.mapping.understands(member) {
			report.amiss("the transmitter calls the member %.40q of subjects critical: events with one are discarded, unless \"match %[1]s <claim>\" says which claim has it", member)
		}
	}
	if ends.Signals.Verification == "" && !r.block.Poll && r.block.Silent == refuse {
		report.amiss("silent refuse: the transmitter has no verification_endpoint, so that its silence cannot be told from peace")
	}
	if len(s.Delivered) > 0 && !slices.ContainsFunc(s.Delivered, func(uri string) bool { return slices.Contains(secevent.Requested(), uri) }) {
		report.amiss("the stream has no type of event that is known here: \"caddy oauth signals update\" asks for those that are")
	}
	return report
}

func (r *Report) amiss(text string, args ...any) {
	r.Amiss = append(r.Amiss, fmt.Sprintf(text, args...))
}

func short(types []string) (names []string) {
	for _, uri := range types {
		names = append(names, secevent.Name(uri))
	}
	slices.Sort(names)
	return names
}

func (r *Receiver) status(ctx context.Context, endpoint, id string) (string, error) {
	body, err := r.ask(ctx, as.SignalsCall{Method: http.MethodGet, Address: endpoint, Query: url.Values{"stream_id": {id}}})
	if err != nil {
		return "", fmt.Errorf("reading the stream's status: %w", err)
	}
	members, err := token.ParseObject(string(body))
	if err != nil {
		return "", fmt.Errorf("reading the stream's status: %w", err)
	}
	status, _ := members["status"].(string)
	return status, nil
}

// wanted is what the gateway asks of a stream (SSF §8.1.1.1). endpoint is where the
// transmitter is to post.
func (r *Receiver) wanted(endpoint string) map[string]any {
	delivery := map[string]string{"method": methodPoll}
	if !r.block.Poll {
		delivery = map[string]string{"method": methodPush, "endpoint_url": endpoint}
		if !r.set.Header.Empty() {
			delivery["authorization_header"] = r.set.Header.Reveal()
		}
	}
	return map[string]any{"delivery": delivery, "events_requested": secevent.Requested(), "description": "caddy-oauth for " + r.issuer}
}

// Pushes reports whether the transmitter posts, and to which path.
func (r *Receiver) Pushes() (path string, is bool) { return r.block.Push, !r.block.Poll }

func (r *Receiver) configuration(ctx context.Context) (string, error) {
	ends, err := r.server.Endpoints(ctx)
	if err != nil {
		return "", err
	}
	if ends.Signals.Configuration == "" {
		return "", fmt.Errorf("configuration_endpoint: %w; make the stream at the transmitter itself", errNoEndpoint)
	}
	return ends.Signals.Configuration, nil
}

// Create makes a stream, unless there is one.
func (r *Receiver) Create(ctx context.Context, endpoint string) error {
	address, err := r.configuration(ctx)
	if err != nil {
		return err
	}
	all, err := r.streams(ctx)
	if err != nil && !isStatus(err, http.StatusNotFound) { // as some say that there is none
		return err
	}
	if _, err := r.ours(all); err == nil {
		return errors.New("there is such a stream: \"caddy oauth signals update\" changes it")
	}
	_, err = r.ask(ctx, as.SignalsCall{Method: http.MethodPost, Address: address, Body: r.wanted(endpoint)})
	return wrap("making the stream", err)
}

// Update asks for the events that are known here, and for the delivery of the
// configuration.
func (r *Receiver) Update(ctx context.Context, endpoint string) error {
	return r.change(ctx, "changing the stream", func(address string, stream *Stream) as.SignalsCall {
		body := r.wanted(endpoint)
		body["stream_id"] = stream.ID
		if r.block.Poll && stream.Polls() {
			delete(body, "delivery") // Keycloak 26.7 forgets its own endpoint_url when it reads one without it
		}
		return as.SignalsCall{Method: http.MethodPatch, Address: address, Body: body}
	})
}

// Delete ends the stream.
func (r *Receiver) Delete(ctx context.Context) error {
	return r.change(ctx, "deleting the stream", func(address string, stream *Stream) as.SignalsCall {
		return as.SignalsCall{Method: http.MethodDelete, Address: address, Query: url.Values{"stream_id": {stream.ID}}}
	})
}

func (r *Receiver) change(ctx context.Context, doing string, call func(address string, stream *Stream) as.SignalsCall) error {
	address, err := r.configuration(ctx)
	if err != nil {
		return err
	}
	stream, err := r.stream(ctx)
	if err != nil {
		return err
	}
	_, err = r.ask(ctx, call(address, stream))
	return wrap(doing, err)
}

// SetStatus enables or pauses the stream (SSF §8.1.2).
func (r *Receiver) SetStatus(ctx context.Context, status string) error {
	return r.change(ctx, "changing the stream's status", func(_ string, stream *Stream) as.SignalsCall {
		ends, _ := r.server.KnownEndpoints()
		return as.SignalsCall{Method: http.MethodPost, Address: ends.Signals.Status, Body: map[string]string{"stream_id": stream.ID, "status": status}}
	})
}

// AddSubject has the transmitter tell of a subject in this stream (SSF §8.1.3.2).
func (r *Receiver) AddSubject(ctx context.Context, subject map[string]any) error {
	return r.subject(ctx, "adding the subject", "add_subject_endpoint", subject, func(s *as.Signals) string { return s.AddSubject })
}

// RemoveSubject undoes AddSubject (SSF §8.1.3.3).
func (r *Receiver) RemoveSubject(ctx context.Context, subject map[string]any) error {
	return r.subject(ctx, "removing the subject", "remove_subject_endpoint", subject, func(s *as.Signals) string { return s.RemoveSubject })
}

func (r *Receiver) subject(ctx context.Context, doing, named string, subject map[string]any, at func(*as.Signals) string) error {
	ends, err := r.server.Endpoints(ctx)
	if err != nil {
		return err
	}
	address := at(&ends.Signals)
	if address == "" {
		return fmt.Errorf("%s: %w", named, errNoEndpoint)
	}
	return r.change(ctx, doing, func(_ string, stream *Stream) as.SignalsCall {
		return as.SignalsCall{Method: http.MethodPost, Address: address, Body: map[string]any{"stream_id": stream.ID, "subject": subject}}
	})
}

// OfUser is how a subject of the issuer is written for its transmitter.
func (r *Receiver) OfUser(sub string) map[string]any {
	return map[string]any{"format": secevent.IssSub, "iss": r.issuer, "sub": sub}
}

// Verify asks for a verification event.
func (r *Receiver) Verify(ctx context.Context) error { return r.verifyStream(ctx) }

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}

func isStatus(err error, status int) bool {
	failed, is := errors.AsType[*as.CallError](err)
	return is && failed.Status == status
}
