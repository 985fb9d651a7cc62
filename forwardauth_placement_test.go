package caddyoauth

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
)

const placedJudge = `oauth {
	issuer https://issuer.example {
		audience api
		jwks testdata/keys/issuer.jwks.json
	}
	allow_anonymous
	forward_auth {
		from 127.0.0.1
	}
}`

// judgeSites are sites on one port with the words of their error; "": every
// question gets to the gateway.
func judgeSites(port int) map[string]string {
	const matcher = "behind a matcher"
	at := fmt.Sprint(":", port)
	return map[string]string{
		at + " {\n" + placedJudge + "\n}":                                                  "",
		"http://" + at + " {\nbind 127.0.0.1\n" + placedJudge + "\n}":                      "",
		at + " {\nroute {\n" + placedJudge + "\n}\n}":                                      "",
		at + " {\nhandle_path /b/* {\nrespond 204\n}\nhandle {\n" + placedJudge + "\n}\n}": "",
		at + " {\n@host host a.example\nheader @host X-Seen a\n" + placedJudge + "\n}":     "",

		"http://127.0.0.1" + at + " {\n" + placedJudge + "\n}":                                                       matcher,
		"http://localhost" + at + " {\n" + placedJudge + "\n}":                                                       matcher,
		"http://*.example.com" + at + " {\n" + placedJudge + "\n}":                                                   matcher,
		"http://a.example" + at + ", http://b.example" + at + " {\n" + placedJudge + "\n}":                           matcher,
		at + " {\nhandle /a* {\n" + placedJudge + "\n}\n}":                                                           matcher,
		at + " {\n" + placedJudge + "\n}\nhttp://status.example" + at + " {\nrespond ok\n}":                          matcher,
		at + " {\n@host host a.example\nhandle @host {\nrespond ok\n}\nhandle {\n" + placedJudge + "\n}\n}":          matcher,
		at + " {\n@get method GET\nroute @get {\nroute {\n" + placedJudge + "\n}\n}\n}":                              matcher,
		at + " {\n@get method GET\nroute {\nroute @get {\nrespond ok\n}\n}\nroute @get {\n" + placedJudge + "\n}\n}": matcher,
		"&(judge) {\n" + placedJudge + "\n}\n" + at + " {\ninvoke judge\n}":                                          "named route",
		at + " {\nrespond 204\nhandle_errors {\n" + placedJudge + "\n}\n}":                                           "handle_errors",
		at + " {\nreverse_proxy 127.0.0.1:1 {\nhandle_response {\n" + placedJudge + "\n}\n}\n}":                      "inside the handler http.handlers.reverse_proxy",
	}
}

const judgeOptions = "{\nadmin off\npersist_config off\nauto_https off\ngrace_period 1s\nstorage file_system %s\nlog {\noutput discard\n}\n}\n"

func adaptWhole(t *testing.T, text string) []byte {
	t.Helper()
	doc, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return doc
}

// To a request that no handler takes Caddy answers 200, and the proxy that asks
// takes it for a yes: a client that chose another Host would pass.
func TestAJudgeThatDoesNotGetEveryQuestionIsAnErrorOfTheConfiguration(t *testing.T) {
	t.Cleanup(func() { _ = caddy.Stop() })
	port := freePort(t)
	options := fmt.Sprintf(judgeOptions, storageDir(t))
	for site, want := range judgeSites(port) {
		doc := adaptWhole(t, options+site)
		cfg := new(caddy.Config)
		if err := caddy.StrictUnmarshalJSON(doc, cfg); err != nil {
			t.Fatal(err)
		}
		for how, err := range map[string]error{"validate": caddy.Validate(cfg), "load": caddy.Load(doc, true)} {
			switch {
			case want == "" && err != nil:
				t.Errorf("%s: %s: %v", how, site, err)
			case want != "" && err == nil:
				t.Errorf("%s: no error for %s", how, site)
			case want != "" && (!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), fmt.Sprintf("http://:%d", port))):
				t.Errorf("%s: %s: %v", how, site, err)
			}
		}
		if want == "" {
			if status := askPlaced(t, port); status != http.StatusOK {
				t.Errorf("%s: %d", site, status)
			}
		}
	}
}

// askPlaced asks one question, with a Host that no site has.
func askPlaced(t *testing.T, port int) (status int) {
	t.Helper()
	r, _ := http.NewRequest(http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/auth", port), nil)
	r.Host = "orders.example.com"
	r.Header.Set("X-Forwarded-Method", "GET")
	r.Header.Set("X-Forwarded-Uri", "/")
	r.Close = true
	await(t, "an answer", func() bool {
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		if status = res.StatusCode; res.Header.Get("X-Oauth-Verdict") != "pass" {
			t.Errorf("%d without a verdict", status)
		}
		return true
	})
	return status
}

// In JSON a matcher may stand beside the handler itself.
func TestInJSONTooAJudgeBehindAMatcherIsAnError(t *testing.T) {
	doc := adaptWhole(t, fmt.Sprintf(judgeOptions, storageDir(t))+fmt.Sprintf(":%d {\n%s\n}", freePort(t), placedJudge))
	bare := strings.Replace(string(doc), `"routes":[{`, `"routes":[{"match":[{"header":{"X-Ask":["yes"]}}],`, 1)
	cfg := new(caddy.Config)
	if err := caddy.StrictUnmarshalJSON([]byte(bare), cfg); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(cfg); err == nil || !strings.Contains(err.Error(), "behind a matcher") {
		t.Error(err)
	}
}

func TestAReloadThatHidesTheJudgeLeavesTheOldOneAtWork(t *testing.T) {
	t.Cleanup(func() { _ = caddy.Stop() })
	port, options := freePort(t), fmt.Sprintf(judgeOptions, storageDir(t))
	load(t, fmt.Sprintf("%s:%d {\n%s\n}", options, port, placedJudge))
	err := caddy.Load(adaptWhole(t, fmt.Sprintf("%shttp://127.0.0.1:%d {\n%s\n}", options, port, placedJudge)), true)
	if err == nil || !strings.Contains(err.Error(), "behind a matcher") {
		t.Error(err)
	}
	if status := askPlaced(t, port); status != http.StatusOK {
		t.Errorf("after a reload that failed: %d", status)
	}
}

func TestTheDoctorTellsOfAJudgeThatDoesNotGetEveryQuestion(t *testing.T) {
	for site, want := range judgeSites(9091) {
		hidden := false
		for _, one := range examinedWhole(t, site).Findings {
			hidden = hidden || one.Check == "config" && one.Result == "fail" && strings.Contains(one.Text, "forward_auth stands")
		}
		if hidden != (want != "") {
			t.Errorf("hidden: %t, want %q for\n%s", hidden, want, site)
		}
	}
}
