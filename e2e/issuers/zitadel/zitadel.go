// Package zitadel runs the example OP of zitadel/oidc on a loopback port: an odd
// issuer, with a slash at the end of its name, no RFC 8414 document, access
// tokens of typ JWT and the client's id as their audience.
package zitadel

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// The service user that the example's storage is born with.
const (
	ClientID     = "sid1"
	ClientSecret = "verysecret"
)

// Start serves the OP until stop is called and returns its issuer URL. Its
// access tokens are JWTs.
func Start() (issuer string, stop func(), err error) {
	return start(func(s accountStorage) exampleop.Storage { return jwtStorage{s} })
}

// StartOpaque serves it with opaque access tokens, which look like a JWE.
func StartOpaque() (issuer string, stop func(), err error) {
	return start(func(s accountStorage) exampleop.Storage { return s })
}

func start(with func(accountStorage) exampleop.Storage) (issuer string, stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("listening for the zitadel example OP: %w", err)
	}
	issuer = fmt.Sprintf("http://%s/", listener.Addr())
	store := with(accountStorage{storage.NewStorage(storage.NewUserStore(issuer))})
	server := &http.Server{
		Handler: exampleop.SetupServer(issuer, store, slog.New(slog.DiscardHandler), false),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // ends with ErrServerClosed
	}()
	return issuer, func() { _ = server.Close(); <-done }, nil
}

// accountStorage lets the service user ask about tokens, too: the example alone
// lets other clients do so, whom its tokens are not for.
type accountStorage struct{ *storage.Storage }

func (s accountStorage) AuthorizeClientIDSecret(ctx context.Context, id, secret string) error {
	_, err := s.ClientCredentials(ctx, id, secret)
	return err
}

// SetIntrospectionFromToken answers about the service user too. The example
// looks for a person behind each token, last of all, and finds none behind this.
func (s accountStorage) SetIntrospectionFromToken(ctx context.Context, answer *oidc.IntrospectionResponse, tokenID, subject, client string) error {
	err := s.Storage.SetIntrospectionFromToken(ctx, answer, tokenID, subject, client)
	if err == nil || err.Error() != "user not found" {
		return err
	}
	answer.Subject, answer.ClientID, answer.Audience = subject, client, oidc.Audience{client}
	return nil
}

// RevokeToken revokes the service user's: the example writes no client's name on
// them, and so takes them back from no client.
func (s accountStorage) RevokeToken(ctx context.Context, token, user, client string) *oidc.Error {
	if client == ClientID {
		client = ""
	}
	return s.Storage.RevokeToken(ctx, token, user, client)
}

// jwtStorage makes the service user's access tokens JWTs; the example alone
// hands out opaque ones.
type jwtStorage struct{ accountStorage }

func (s jwtStorage) ClientCredentials(ctx context.Context, id, secret string) (op.Client, error) {
	client, err := s.Storage.ClientCredentials(ctx, id, secret)
	if err != nil {
		return nil, err
	}
	return jwtClient{client}, nil
}

type jwtClient struct{ op.Client }

func (jwtClient) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeJWT }
