package as

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/jwssign"
	"github.com/caddyoauth/caddyoauth/internal/secret"
)

// opaqueAT is a token that no error may show.
const opaqueAT = "opaque+at/4f9d=="

var resource = Client{ID: "orders:gateway", Secret: secret.New("s3 cret")}

// inquire asks a rawServer about the token.
func inquire(t *testing.T, l *rawServer, client Client, methods ...string) error {
	t.Helper()
	_, _, err := asking(t, l.url, methods...).Introspect(t.Context(), Introspection{Client: client}, secret.New(opaqueAT))
	if err != nil && strings.Contains(fmt.Sprintf("%v %+v", err, err), "opaque") {
		t.Errorf("the token is shown by %v", err)
	}
	return err
}

const activeAnswer = `{"active":true,"sub":"alice","aud":["a","b"]}`

func TestAnIntrospectionIsAPostWithTheTokenOnceAndTheClientsProof(t *testing.T) {
	key, err := jwssign.Generate("k", "ES256")
	if err != nil {
		t.Fatal(err)
	}
	const asked = "token=opaque%2Bat%2F4f9d%3D%3D&token_type_hint=access_token"
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("orders%3Agateway:s3+cret"))
	for name, c := range map[string]struct {
		client       Client
		methods      []string
		header, form string
	}{
		"the metadata say nothing": {resource, nil, basic, asked},
		"they list basic":          {resource, []string{AuthPost, AuthBasic}, basic, asked},
		"they list post alone":     {resource, []string{AuthPost}, "", "client_id=orders%3Agateway&client_secret=s3+cret&" + asked},
		"a key":                    {Client{ID: "orders", Key: key}, nil, "", "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_id=orders&" + asked},
	} {
		t.Run(name, func(t *testing.T) {
			l := serveRaw(t, say(whole(200, activeAnswer)))
			if err := inquire(t, l, c.client, c.methods...); err != nil {
				t.Fatal(err)
			}
			req, form := l.asked[0], l.forms[0]
			if (form.Get("client_assertion") != "") != (c.client.Key != nil) {
				t.Errorf("client_assertion is %q", form.Get("client_assertion"))
			}
			form.Del("client_assertion")
			if req.Method != http.MethodPost || req.Header.Get("Authorization") != c.header || form.Encode() != c.form ||
				req.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || req.Header.Get("Accept") != "application/json" {
				t.Errorf("asked %s %v %s", req.Method, req.Header, form.Encode())
			}
		})
	}
}

func TestAnAnswerAboutATokenIsWholeOrNone(t *testing.T) {
	l := serveRaw(t, say(whole(200, activeAnswer)))
	answer, doc, err := asking(t, l.url).Introspect(t.Context(), Introspection{Client: resource}, secret.New(opaqueAT))
	if err != nil || !answer.Active || answer.Claims.String("sub") != "alice" || doc != activeAnswer {
		t.Fatalf("%+v %s %v", answer, doc, err)
	}
	for name, do := range map[string]func(net.Conn){
		"a byte is missing":      say(announced(200, len(activeAnswer)+1, activeAnswer)),
		"cut in the middle":      say(announced(200, len(activeAnswer), activeAnswer[:20])),
		"no body":                say(whole(200, "")),
		"an error that says 200": say(whole(200, `{"error":"invalid_client"}`)),
		"a page of 64 KB":        say(whole(200, "<html>"+strings.Repeat("a", maxAnswer))),
		"a page":                 say(whole(200, "<html>")),
		"more than it announced": say(announced(200, 13, activeAnswer)),
		"no HTTP":                say("SSH-2.0-OpenSSH_9.6\r\n\r\n"),
		"reset":                  reset,
		"closed":                 func(net.Conn) {},
		"reset within the body": func(conn net.Conn) {
			_, _ = io.WriteString(conn, announced(200, 500, activeAnswer))
			reset(conn)
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := serveRaw(t, do)
			err := inquire(t, l, resource)
			if _, asked := errors.AsType[*CallError](err); !asked || Blameless(err) {
				t.Errorf("error %v, want a *CallError that counts against the endpoint", err)
			}
			if l.times() != 1 {
				t.Errorf("asked %d times", l.times())
			}
		})
	}
}

// Its sender may have chosen the token for just that answer.
func TestAnOddAnswerAboutOneTokenSaysNothingAgainstTheEndpoint(t *testing.T) {
	for name, body := range map[string]string{
		"more than 64 KB":         `{"active":true,"x":"` + strings.Repeat("a", maxAnswer) + `"}`,
		"a claim of another type": `{"active":true,"sub":{}}`,
		"too many values":         ` {"active":true,"groups":[` + strings.Repeat(`"a",`, 2000) + `"a"]}`,
		"a name twice":            `{"active":true,"active":true}`,
	} {
		err := inquire(t, serveRaw(t, say(whole(200, body))), resource)
		if _, asked := errors.AsType[*CallError](err); !asked || !Blameless(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNoErrorQuotesTheTokenThatWasAskedAbout(t *testing.T) {
	for _, body := range []string{
		`{"error":"no such token: ` + opaqueAT + `"}`, `{"error":"invalid_token","error_description":"` + opaqueAT + `"}`,
		`{"error":"invalid_token","error_uri":"https://login.example/` + opaqueAT + `"}`,
	} {
		err := inquire(t, serveRaw(t, say(whole(400, body))), resource) // which looks at the text
		failed, _ := errors.AsType[*CallError](err)
		if failed == nil || strings.Contains(failed.Code+failed.Description+failed.URI, opaqueAT) {
			t.Errorf("%s: %+v", body, failed)
		}
	}
}

func TestStatus200AloneIsAnAnswerAboutAToken(t *testing.T) {
	for status, blameless := range map[int]bool{
		201: false, 202: false, 301: false, 302: false, 307: false, 308: false, 500: false, 502: false, 503: false,
		400: true, 404: true, 413: true, 401: false, 403: false, 429: false,
	} {
		l := serveRaw(t, say(whole(status, activeAnswer, "Location: /token", "Retry-After: 7")))
		err := inquire(t, l, resource)
		failed, asked := errors.AsType[*CallError](err)
		if !asked || failed.Status != status || failed.RetryAfter != 7*time.Second || l.times() != 1 {
			t.Errorf("%d: %v, asked %d times", status, err, l.times())
		}
		if Blameless(err) != blameless {
			t.Errorf("%d counts against the endpoint: %t", status, blameless)
		}
	}
}

func TestAnEndpointThatHangsIsLeftWithTheContext(t *testing.T) {
	for name, do := range map[string]func(net.Conn){
		"before the answer": func(conn net.Conn) { _, _ = conn.Read(make([]byte, 1)) },
		"within it": func(conn net.Conn) {
			_, _ = io.WriteString(conn, announced(200, 500, activeAnswer))
			_, _ = conn.Read(make([]byte, 1))
		},
	} {
		l := serveRaw(t, do)
		s := asking(t, l.url)
		if _, err := s.Endpoints(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		_, _, err := s.Introspect(ctx, Introspection{Client: resource}, secret.New(opaqueAT))
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || Blameless(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhereAServerIsAskedAboutTokens(t *testing.T) {
	l := serveRaw(t, say(whole(200, activeAnswer)))
	at := Introspection{Client: resource, Endpoint: l.url}
	down := servePlain(t, nil)
	down.Close()
	if _, _, err := dial(t, down).Introspect(t.Context(), at, secret.New(opaqueAT)); err != nil {
		t.Errorf("a configured endpoint needs no metadata: %v", err)
	}
	bare := dial(t, servePlain(t, nil)) // whose metadata name none
	if _, _, err := bare.Introspect(t.Context(), Introspection{Client: resource}, secret.New(opaqueAT)); !errors.Is(err, ErrNoEndpoint) || !Blameless(err) {
		t.Errorf("no endpoint: %v", err)
	}
	var w *wire
	w = servePlain(t, map[string]http.HandlerFunc{"/.well-known/oauth-authorization-server": func(rw http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(rw, `{"issuer":%q,"introspection_endpoint":%q}`, w.URL, l.url)
	}})
	keyless := dial(t, w)
	firstError(t, keyless)
	if _, _, err := keyless.Introspect(t.Context(), Introspection{Client: resource}, secret.New(opaqueAT)); err != nil {
		t.Errorf("an issuer without keys can be asked: %v", err)
	}
	if l.times() != 2 {
		t.Errorf("asked %d times", l.times())
	}
}
