package caddyoauth

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyoauth/caddyoauth/internal/resource"
)

// resourceSite answers for the document about a resource.
func resourceSite(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != resource.WellKnown+"/mcp" {
			http.NotFound(w, r)
			return
		}
		answer(w, r)
	}))
	t.Cleanup(site.Close)
	return site.URL + "/mcp"
}

func TestTheDoctorLooksForTheDocumentAboutTheResourceAsClientsDo(t *testing.T) {
	issuer := newGrantor(t, nil)
	body := "oauth {\nissuer " + issuer.URL + "\nresource %s\n}"
	var own string
	own = resourceSite(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `{"resource":%q}`, own) })
	examined(t, fmt.Sprintf(body, own)).wants(t, "ok resource: tells clients of "+own,
		"warn resource: the resource "+own+" is at another host than this site, api.example")

	for name, answer := range map[string]http.HandlerFunc{
		"asks for a token": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
		"a page":           func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
	} {
		t.Run(name, func(t *testing.T) {
			examined(t, fmt.Sprintf(body, resourceSite(t, answer))).wants(t, "fail resource: have the path lead to this oauth")
		})
	}
	other := resourceSite(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"resource":"https://api.example/"}`) })
	examined(t, fmt.Sprintf(body, other)).wants(t, "fail resource: is about https://api.example/, and not about "+other)

	// The gateway need not run yet.
	d := examined(t, fmt.Sprintf(body, "http://127.0.0.1:1/mcp"))
	d.wants(t, "warn resource: cannot be reached")
	if d.Result == "fail" {
		t.Errorf("something fails: %v", d.Findings)
	}
	for _, one := range examined(t, "oauth "+issuer.URL+" api").Findings {
		if one.Check == "resource" {
			t.Errorf("without a resource: %v", one)
		}
	}
}

func TestTheDoctorTellsWhatAnIssuerLacksForAResource(t *testing.T) {
	const resource = "http://127.0.0.1:1/mcp"
	body := "oauth {\nissuer %s {\n%s\n}\nresource " + resource + "\n%s\n}"
	bare := newGrantor(t, func(m map[string]any) { m["protected_resources"] = []string{resource + "/"} })
	examined(t, fmt.Sprintf(body, bare.URL, "audience api", "")).wants(t,
		"warn resource: leave audience out", "warn resource: and "+resource+" is not among them",
		"warn resource: cannot register", "warn resource: MCP clients stop there")

	full := newGrantor(t, func(m map[string]any) {
		m["protected_resources"] = []string{"https://other.example", resource}
		m["registration_endpoint"] = m["issuer"].(string) + "/register"
		m["code_challenge_methods_supported"] = []string{"S256"}
	})
	d := examined(t, fmt.Sprintf(body, full.URL, "audience api "+resource, ""))
	d.wants(t, "ok resource: the issuer lists "+resource)
	for _, one := range d.Findings {
		if one.Check == "resource" && one.Issuer != "" && one.Result != "ok" {
			t.Errorf("%+v", one)
		}
	}

	d.wants(t, "ok resource: can register (RFC 7591)")
	documents := newGrantor(t, func(m map[string]any) { m["client_id_metadata_document_supported"] = true })
	examined(t, fmt.Sprintf(body, documents.URL, "audience api", "resource_not_in_aud")).wants(t,
		"ok resource: are known by a document of their own", "ok resource: tokens are told by api")

	client := "client gateway the-gateways-own-secret"
	login := "login {\nresource %s\n}\nsession {\nstore memory\n}"
	examined(t, fmt.Sprintf(body, full.URL, client, fmt.Sprintf(login, "https://other.example"))).wants(t, "fail resource: no log-in would pass")
	for _, one := range examined(t, fmt.Sprintf(body, full.URL, client+"\naudience api", fmt.Sprintf(login, "https://other.example")+"\nresource_not_in_aud")).Findings {
		if one.Result == "fail" && one.Check == "resource" || strings.Contains(one.Text, "one of api as well") {
			t.Errorf("with resource_not_in_aud: %+v", one)
		}
	}
	for _, good := range []string{resource, "https://other.example " + resource} {
		for _, one := range examined(t, fmt.Sprintf(body, full.URL, client, fmt.Sprintf(login, good))).Findings {
			if one.Result == "fail" && strings.Contains(one.Text, "log-in") {
				t.Errorf("%s: %+v", good, one)
			}
		}
	}
}
