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
	"github.com/zitadel/oidc/v3/pkg/op"
)

// The service user that the example's storage is born with.
const (
	ClientID     = "sid1"
	ClientSecret = "verysecret"
)

// Start serves the OP until stop is called and returns its issuer URL.
func Start() (issuer string, stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("listening for the zitadel example OP: %w", err)
	}
	issuer = fmt.Sprintf("http://%s/", listener.Addr())
	store := jwtStorage{storage.NewStorage(storage.NewUserStore(issuer))}
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

// jwtStorage makes the service user's access tokens JWTs; the example alone
// hands out opaque ones.
type jwtStorage struct{ *storage.Storage }

func (s jwtStorage) ClientCredentials(ctx context.Context, id, secret string) (op.Client, error) {
	client, err := s.Storage.ClientCredentials(ctx, id, secret)
	if err != nil {
		return nil, err
	}
	return jwtClient{client}, nil
}

type jwtClient struct{ op.Client }

func (jwtClient) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeJWT }
