package as

import (
	"context"
	"errors"
	"fmt"
)

// ErrNoEndpoint means that an issuer's metadata do not name the endpoint that
// is needed, or name one that may not be asked.
var ErrNoEndpoint = errors.New("the issuer's metadata name no usable endpoint for this")

var (
	errNoMetadata = errors.New("its keys are configured without metadata, so nobody can tell where its endpoints are")
	errUnread     = errors.New("its metadata have not been read yet")
)

// Endpoints are the addresses that an issuer's metadata name beside the keys
// (RFC 8414 §2). "" is one that is not there or may not be asked.
type Endpoints struct {
	Token               string
	Revocation          string
	DeviceAuthorization string
	Authorization       string // may have a query (RFC 6749 §3.1)
	EndSession          string // OpenID Connect RP-Initiated Logout §2.1
	UserInfo            string // OpenID Connect Core §5.3
	Introspection       string
	AuthMethods         []string // token_endpoint_auth_methods_supported
	AskMethods          []string // introspection_endpoint_auth_methods_supported, or else AuthMethods
	GrantTypes          []string // grant_types_supported
	Registration        string   // RFC 7591
	ClientDocuments     bool     // client_id_metadata_document_supported
	Resources           []string // protected_resources (RFC 9728 §4); none: nothing is said of them
	ChallengeMethods    []string // code_challenge_methods_supported
	ResponseTypes       []string // response_types_supported
	Signals             Signals  // of a transmitter of events
	NamesItself         bool     // authorization_response_iss_parameter_supported (RFC 9207 §3)
	Refused             []error  // addresses that are there and may not be asked

	from              zone     // where the metadata came from
	AccessTokenIssuer string   // access_token_issuer, of AD FS
	SigningAlgorithms []string // id_token_signing_alg_values_supported (OpenID Connect Discovery §3)
	Binds             []string // members that say that access tokens may be bound to keys
	BindsAll          bool     // dpop_bound_access_tokens: they are
}

// readEndpoints takes what the operator names first. It drops an address that may
// not be asked, and not the metadata with it: keys are needed by more than those
// who ask for tokens.
func (s *Server) readEndpoints(said documents) *Endpoints {
	var refused []error
	usable := func(name, own string) string {
		if own != "" {
			return own
		}
		address, err := s.usable(said, name)
		if err != nil && !errors.Is(err, errNotNamed) {
			refused = append(refused, err)
		}
		return address
	}
	ends := &Endpoints{
		from:                said.from(),
		Token:               usable("token_endpoint", s.cfg.Named.Token),
		Revocation:          usable("revocation_endpoint", ""),
		DeviceAuthorization: usable("device_authorization_endpoint", ""),
		Authorization:       usable("authorization_endpoint", s.cfg.Named.Authorization),
		EndSession:          usable("end_session_endpoint", s.cfg.Named.EndSession),
		UserInfo:            usable("userinfo_endpoint", s.cfg.Named.UserInfo),
		Introspection:       usable("introspection_endpoint", ""),
		Registration:        usable("registration_endpoint", ""),
		Resources:           said.allNames("protected_resources"),
	}
	ends.Signals = readSignals(said, usable)
	ends.AuthMethods = said.names("token_endpoint_auth_methods_supported")
	if ends.AskMethods = said.names("introspection_endpoint_auth_methods_supported"); ends.AskMethods == nil {
		ends.AskMethods = ends.AuthMethods
	}
	ends.GrantTypes = said.allNames("grant_types_supported")
	ends.ChallengeMethods = said.allNames("code_challenge_methods_supported")
	ends.ResponseTypes = said.allNames("response_types_supported")
	ends.ClientDocuments = said.is("client_id_metadata_document_supported")
	ends.NamesItself = said.is("authorization_response_iss_parameter_supported")
	ends.AccessTokenIssuer, _ = said.value("access_token_issuer").(string)
	ends.SigningAlgorithms = said.names("id_token_signing_alg_values_supported")
	ends.BindsAll = said.is("dpop_bound_access_tokens")
	if len(said.names("dpop_signing_alg_values_supported")) > 0 { // RFC 9449 §5.1
		ends.Binds = append(ends.Binds, "dpop_signing_alg_values_supported")
	}
	if said.is("tls_client_certificate_bound_access_tokens") { // RFC 8705 §3.3
		ends.Binds = append(ends.Binds, "tls_client_certificate_bound_access_tokens")
	}
	ends.Refused = refused
	return ends
}

// Endpoints are those of the metadata that were read last. Before there are
// any it waits for a fetch, as Keys does. After a failed one it fails at once
// while the loop tries each second; with keys from the storage the loop is in no
// hurry, and a call causes a fetch.
func (s *Server) Endpoints(ctx context.Context) (Endpoints, error) {
	if ends := s.endpoints.Load(); ends != nil {
		return *ends, nil
	}
	if !s.cfg.hasMetadata() {
		return Endpoints{}, s.unknown(errNoMetadata)
	}
	s.Start()
	// The flight that ends may be the look into the storage. The one after it
	// is a fetch.
	for range 3 {
		if ends := s.endpoints.Load(); ends != nil {
			return *ends, nil
		}
		flight, err := s.nextFlight()
		if err != nil {
			return Endpoints{}, s.unknown(err)
		}
		if err := s.wait(ctx, flight); err != nil {
			return Endpoints{}, s.unknown(errors.Unwrap(err))
		}
	}
	return Endpoints{}, s.unknown(errUnread)
}

// nextFlight is the fetch under way, or one that is made to begin, or the
// reason why none will.
func (s *Server) nextFlight() (<-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.status.Err != nil && s.current.Load() == nil {
		return nil, s.status.Err
	}
	if now := s.cfg.Now(); s.flight == nil && now.Sub(s.kidFetch) >= Floor {
		s.kidFetch = now
		s.flight = make(chan struct{})
		s.wake <- struct{}{} // never full: flights are one at a time
	}
	switch {
	case s.flight != nil:
		return s.flight, nil
	case s.status.Err != nil:
		return nil, s.status.Err
	}
	return nil, errUnread
}

func (s *Server) unknown(why error) error {
	return fmt.Errorf("the endpoints of %s are not known: %w", s.cfg.Issuer, why)
}

// KnownEndpoints are those of the metadata read last. It causes no request.
func (s *Server) KnownEndpoints() (ends Endpoints, known bool) {
	if read := s.endpoints.Load(); read != nil {
		return *read, true
	}
	return ends, false
}
