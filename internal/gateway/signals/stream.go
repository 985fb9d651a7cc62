package signals

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// Delivery methods (SSF §6.1), and what they were called before.
const (
	methodPush    = "urn:ietf:rfc:8935"
	methodPoll    = "urn:ietf:rfc:8936"
	riscPush      = "https://schemas.openid.net/secevent/risc/delivery-method/push"
	riscPoll      = "https://schemas.openid.net/secevent/risc/delivery-method/poll"
	askWithin     = 10e9 // nanoseconds: one call about a stream
	streamMembers = 4096 // bytes: what is taken of one text that a transmitter sends
)

// Stream is a stream's configuration, as the transmitter has it (SSF §8.1.1).
type Stream struct {
	ID        string
	Issuer    string
	Audience  []string
	Method    string
	Endpoint  string
	Delivered []string // types of event
	Subjects  string   // default_subjects: ALL or NONE, where the stream says it
}

// Polls reports whether events are fetched.
func (s *Stream) Polls() bool { return s.Method == methodPoll || s.Method == riscPoll }

// Pushes reports whether the transmitter posts events.
func (s *Stream) Pushes() bool { return s.Method == methodPush || s.Method == riscPush }

func readStream(members map[string]any) Stream {
	text := func(from map[string]any, name string) string {
		value, _ := from[name].(string)
		return value[:min(len(value), streamMembers)]
	}
	delivery, _ := members["delivery"].(map[string]any)
	return Stream{
		ID: text(members, "stream_id"), Issuer: text(members, "iss"), Audience: token.Claims(members).Audience(),
		Method: text(delivery, "method"), Endpoint: text(delivery, "endpoint_url"), Delivered: texts(members["events_delivered"]),
		Subjects: text(members, "default_subjects"),
	}
}

func texts(value any) (all []string) {
	list, _ := value.([]any)
	for _, one := range list {
		if text, is := one.(string); is {
			all = append(all, text)
		}
	}
	return all
}

var errNoEndpoint = errors.New("the transmitter's metadata name no such endpoint")

// streams are those that the transmitter has for the gateway.
func (r *Receiver) streams(ctx context.Context) ([]Stream, error) {
	ends, err := r.server.Endpoints(ctx)
	if err != nil {
		return nil, err
	}
	if ends.Signals.Configuration == "" {
		return nil, fmt.Errorf("configuration_endpoint: %w", errNoEndpoint)
	}
	call := as.SignalsCall{Method: http.MethodGet, Address: ends.Signals.Configuration}
	if r.set.Stream != "" {
		call.Query = url.Values{"stream_id": {r.set.Stream}}
	}
	body, err := r.ask(ctx, call)
	if err != nil {
		return nil, fmt.Errorf("reading the stream: %w", err)
	}
	return readStreams(string(body))
}

// readStreams reads a list of streams, or one.
func readStreams(doc string) (all []Stream, err error) {
	if doc == "" || doc == "null" {
		return nil, nil
	}
	if strings.HasPrefix(doc, "[") { // the strict reader takes objects
		doc = `{"streams":` + doc + `}`
	}
	members, err := token.ParseObject(doc)
	if err != nil {
		return nil, fmt.Errorf("reading the stream: %w", err)
	}
	list, several := members["streams"].([]any)
	if !several {
		list = []any{members}
	}
	for _, one := range list {
		if members, is := one.(map[string]any); is {
			if stream := readStream(members); stream.ID != "" {
				all = append(all, stream)
			}
		}
	}
	return all, nil
}

var errNoStream = errors.New("the transmitter has no such stream for the gateway: \"caddy oauth signals create\" makes one")

// ours is the stream that is meant: the one that is named, or the only one of our
// method.
func (r *Receiver) ours(all []Stream) (*Stream, error) {
	var found []Stream
	for _, s := range all {
		if s.ID == r.set.Stream || r.set.Stream == "" && (s.Polls() && r.block.Poll || s.Pushes() && !r.block.Poll) {
			found = append(found, s)
		}
	}
	switch len(found) {
	case 1:
		return &found[0], nil
	case 0:
		return nil, errNoStream
	}
	return nil, fmt.Errorf("the transmitter has %d such streams for the gateway: write \"stream <id>\" in signals", len(found))
}

// stream is the one that is meant.
func (r *Receiver) stream(ctx context.Context) (*Stream, error) {
	all, err := r.streams(ctx)
	if err != nil {
		return nil, err
	}
	return r.ours(all)
}
