package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"time"
)

var (
	formAction = regexp.MustCompile(`<form[^>]* action="([^"]+)"`)
	formPrompt = regexp.MustCompile(`name="prompt" value="(\w+)"`)
)

// person is a browser and its user, who sends each form as it stands.
type person struct {
	client *http.Client
	asked  []string // scope of each authorization request
}

func newPerson() *person {
	jar, _ := cookiejar.New(nil) // which never fails
	client := newClient(time.Minute)
	client.Jar = jar
	client.CheckRedirect = func(req *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(req.URL.String(), callback) {
			return http.ErrUseLastResponse
		}
		return nil
	}
	return &person{client: client}
}

// authorize logs in and consents, until the issuer sends the browser back.
func (p *person) authorize(ctx context.Context, address string) (back url.Values, err error) {
	if u, err := url.Parse(address); err == nil {
		p.asked = append(p.asked, u.Query().Get("scope"))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	for range 5 {
		if err != nil {
			return nil, err
		}
		resp, err := p.client.Do(req)
		if err != nil {
			return nil, err
		}
		page, err := io.ReadAll(resp.Body)
		closeAll(resp.Body)
		if at, locErr := resp.Location(); locErr == nil {
			return at.Query(), err
		}
		action, prompt := formAction.FindSubmatch(page), formPrompt.FindSubmatch(page)
		if err != nil || action == nil || prompt == nil {
			return nil, fmt.Errorf("no form at %s: %d %s %v", resp.Request.URL, resp.StatusCode, page, err)
		}
		to, err := resp.Request.URL.Parse(string(action[1]))
		if err != nil {
			return nil, err
		}
		form := url.Values{"prompt": {string(prompt[1])}, "login": {"alice"}, "password": {"any"}}
		req, err = http.NewRequestWithContext(ctx, http.MethodPost, to.String(), strings.NewReader(form.Encode()))
		if err != nil {
			return nil, err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return nil, fmt.Errorf("the log-in does not end: %s", req.URL)
}
