package caddyoauth

import "testing"

// A config with login needs a client, which explaining leaves out: then every
// token was answered with that, and with no verdict.
func TestAConfigWithLoginIsExplainedToo(t *testing.T) {
	_, release, _, err := newExplainSubject(nil, &Config{
		Issuer: []*Issuer{{URL: []string{"http://127.0.0.1:9"}, Audience: []string{"api"}, Client: &Client{ID: "gateway", Secret: "secret"}}},
		Login:  new(Login),
	})
	if err != nil {
		t.Fatal(err)
	}
	release()
}
