package providers

import (
	"reflect"
	"strings"
	"testing"
)

type block struct {
	URL      []string          `json:"url,omitempty"`
	Scope    []string          `json:"scope,omitempty"`
	Client   *client           `json:"client,omitempty"`
	Identity string            `json:"identity,omitempty"`
	Logout   map[string]string `json:"logout_parameter,omitempty"`
}

type client struct {
	ID   string `json:"id,omitempty"`
	Auth string `json:"auth,omitempty"`
}

func TestTheOperatorsOwnWordsComeBeforeAProviders(t *testing.T) {
	b := &block{Client: &client{ID: "app"}}
	if err := FillIssuer([]string{"github"}, b); err != nil {
		t.Fatal(err)
	}
	if want := (&block{URL: []string{"https://github.com"}, Client: &client{"app", "client_secret_post"}}); !reflect.DeepEqual(b, want) {
		t.Errorf("%+v %+v", b, b.Client)
	}
	b = &block{URL: []string{"https://mine.example"}, Client: &client{"app", "client_secret_basic"}}
	if err := FillIssuer([]string{"github"}, b); err != nil || b.URL[0] != "https://mine.example" || b.Client.Auth != "client_secret_basic" {
		t.Errorf("%v %+v %+v", err, b, b.Client)
	}
	b = &block{Scope: []string{"aws.cognito.signin.user.admin"}, Logout: map[string]string{"x": "y"}}
	if err := FillLogin([]string{"cognito", "eu-central-1", "eu-central-1_A"}, b); err != nil || len(b.Scope) != 1 || len(b.Logout) != 2 || b.Identity != "id_token" {
		t.Errorf("%v %+v", err, b)
	}
}

func TestAProviderTakesWhatIsItsOwn(t *testing.T) {
	for words, want := range map[string]string{
		"entra 11111111-1111-1111-1111-111111111111": "https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111/v2.0",
		"cognito eu-central-1 eu-central-1_A":        "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_A",
		"gitlab":                                     "https://gitlab.com",
		"gitlab https://git.example.com":             "https://git.example.com",
		"auth0 example.eu.auth0.com":                 "https://example.eu.auth0.com/",
	} {
		b := new(block)
		if err := FillIssuer(strings.Fields(words), b); err != nil || len(b.URL) != 1 || b.URL[0] != want {
			t.Errorf("%s: %v %v", words, err, b.URL)
		}
	}
	for words, want := range map[string]string{
		"gihub":                "it takes apple, auth0",
		"entra":                "provider entra takes <tenant id>",
		"cognito eu-central-1": "provider cognito takes <region> <user pool>",
		"google example.com":   "provider google takes nothing more",
		"gitlab a b":           "provider gitlab takes [<url>]",
		`okta a"b`:             "provider okta takes <domain>",
	} {
		if err := FillIssuer(strings.Fields(words), new(block)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", words, err)
		}
	}
}
