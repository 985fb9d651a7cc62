package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// The lines that ingress-nginx makes of auth-url and auth-response-headers (its
// template nginx.tmpl), for one path.
const ingressNginx = `
events {
}
http {
	access_log off;
	client_body_temp_path body;
	proxy_temp_path proxy;
	fastcgi_temp_path fastcgi;
	uwsgi_temp_path uwsgi;
	scgi_temp_path scgi;
	server {
		listen 127.0.0.1:%[1]d;
		location = /_external-auth {
			internal;
			proxy_pass_request_body off;
			proxy_set_header Content-Length "";
			proxy_set_header X-Forwarded-Proto "";
			proxy_set_header X-Request-ID $request_id;
			proxy_set_header Host 127.0.0.1;
			proxy_set_header X-Original-URL $scheme://$http_host$request_uri;
			proxy_set_header X-Original-Method $request_method;
			proxy_set_header X-Sent-From "nginx-ingress-controller";
			proxy_set_header X-Real-IP $remote_addr;
			proxy_set_header X-Forwarded-For $remote_addr;
			proxy_set_header X-Auth-Request-Redirect $request_uri;
			proxy_http_version 1.1;
			proxy_pass http://%[2]s/;
		}
		location / {
			auth_request /_external-auth;
			auth_request_set $authHeader0 $upstream_http_authorization;
			proxy_set_header Authorization $authHeader0;
			auth_request_set $authHeader1 $upstream_http_x_user_id;
			proxy_set_header X-User-Id $authHeader1;
			proxy_set_header Host $http_host;
			proxy_pass http://%[3]s;
		}
	}
}
`

func TestIngressNginxAsksWithItsOwnHeaders(t *testing.T) {
	t.Parallel()
	issuer, up, g := startFakeIssuer(t), startUpstream(t), newGateway(t)
	g.serve(fmt.Sprintf(":%d {\n\toauth %s %s {\n\t\tforward_auth {\n\t\t\tfrom 127.0.0.1\n\t\t\tmethod X-Original-Method\n\t\t\turi X-Original-URL\n\t\t\tstatuses 401 403\n\t\t}\n"+
		"\t\trequire /admin/* scope admin\n\t\tcopy_claims sub>X-User-Id\n\t}\n}\n", g.port, issuer.url, audience))
	a := &asker{T: t, issuer: issuer, up: up}
	a.front = front{name: "nginx", run: func(t *testing.T, port int, judge, upstream string) {
		t.Helper()
		dir := t.TempDir()
		text := "pid nginx.pid;\ndaemon off;\nmaster_process off;\nerror_log stderr info;\n" + fmt.Sprintf(ingressNginx, port, judge, upstream)
		startProcess(t, dir, nil, installed(t, "nginx", "nginx-light"), "-p", dir, "-e", "stderr", "-c", writeFile(t, dir, "nginx.conf", text))
	}}
	a.url = a.start(t, strings.TrimPrefix(g.url(""), "http://"), up.address())
	token := issuer.token(nil)
	saw := a.do(http.MethodGet, "/orders?x=1", token, "X-User-Id", "mallory").seen(t)
	if got := saw.Header.Values("X-User-Id"); saw.Path != "/orders" || len(got) != 1 || got[0] != "alice" {
		t.Errorf("the upstream saw %+v", saw)
	}
	for path, want := range map[string]int{"/admin/x": http.StatusForbidden, "/orders": http.StatusOK} {
		got := a.do(http.MethodGet, path, token, "X-Original-Method", "GET", "X-Original-Url", "http://a/orders", "X-Forwarded-Uri", "/orders", "X-Forwarded-Method", "GET")
		if got.status != want {
			t.Errorf("%s with a client's own headers: %d, want %d", path, got.status, want)
		}
	}
	if got := a.do(http.MethodGet, "/orders", ""); got.status != http.StatusUnauthorized || got.header.Get("Www-Authenticate") != "Bearer" {
		t.Errorf("without a token: %d %v", got.status, got.header)
	}
}
