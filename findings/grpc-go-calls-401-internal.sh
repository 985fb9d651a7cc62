#!/usr/bin/env bash
# grpc-go 1.83.2: an answer with HTTP status 401 is UNAUTHENTICATED or INTERNAL,
# depending on how its body is cut into HTTP/2 frames.
#
# A proxy or gateway that refuses a call answers with HTTP's status and a small body.
# Where the last DATA frame has both the body and END_STREAM, or there is no body,
# grpc-go makes the status code of it that gRPC's mapping of HTTP statuses says. Where
# an empty DATA frame with END_STREAM comes behind the body, it forgets the status and
# says INTERNAL, "server closed the stream without sending trailers". nginx 1.22
# (grpc_pass) and every Go handler that flushes send it so: the same refusal changes
# its code with the proxy in between.
#
# Output seen:
#   no body: Unauthenticated
#   body: Unauthenticated
#   body, and an empty frame: Internal
#
# Needs Go.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat >"$dir/main.go" <<'GO'
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

func main() {
	for _, how := range []string{"no body", "body", "body, and an empty frame"} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		server := &http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			if how != "no body" {
				fmt.Fprintln(w, `{"error":"invalid_token"}`)
			}
			if how == "body, and an empty frame" {
				w.(http.Flusher).Flush()
			}
		})}
		server.Protocols.SetUnencryptedHTTP2(true)
		go server.Serve(listener)
		conn, err := grpc.NewClient("passthrough:///"+listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
		if err != nil {
			panic(err)
		}
		_, err = grpc_health_v1.NewHealthClient(conn).Check(context.Background(), &grpc_health_v1.HealthCheckRequest{})
		fmt.Println(how+":", status.Code(err))
		conn.Close()
		server.Close()
	}
}
GO
(cd "$dir" && go mod init finding && go get google.golang.org/grpc@v1.83.2) >"$dir/log" 2>&1 || { cat "$dir/log"; exit 1; }
(cd "$dir" && go run .) >"$dir/seen"
cat "$dir/seen"
diff - "$dir/seen" <<'SEEN' || { echo "changed: this is not what was seen before"; exit 1; }
no body: Unauthenticated
body: Unauthenticated
body, and an empty frame: Internal
SEEN
echo "as before"
