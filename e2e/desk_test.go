package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"
)

// desk stands in front of a server that many tests share, and its address is the
// one by which everybody knows the server. It counts what each client presents
// at the token endpoint, and loses answers when a test wants that.
type desk struct {
	url   string
	proxy *httputil.ReverseProxy
	queue chan struct{} // one request at a time, for a server that cannot do more

	mu      sync.Mutex
	clients map[string]*customer
}

// customer is one client of the server.
type customer struct {
	presented map[string]int // refresh token → how often
	tokens    []string       // that came back, of every kind
	lose      int            // so many answers to refreshes get lost
	refused   []string       // what the server said to refreshes that it refused
}

// openDesk takes an address for a server that will listen at target.
func openDesk(target string) *desk {
	to, err := url.Parse(target)
	if err != nil {
		panic(err) // an address of our own
	}
	d := &desk{clients: map[string]*customer{}}
	d.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host
		},
		ModifyResponse: d.note,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	d.url = httptest.NewServer(d).URL // until the tests end
	return d
}

// of is what is known of a client.
func (d *desk) of(id string) *customer {
	if d.clients[id] == nil {
		d.clients[id] = &customer{presented: map[string]int{}}
	}
	return d.clients[id]
}

// look reads or changes what is known of a client.
func (d *desk) look(id string, with func(c *customer)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	with(d.of(id))
}

// count is how many tokens a client was given.
func (d *desk) count(id string) (n int) {
	d.look(id, func(c *customer) { n = len(c.tokens) })
	return n
}

func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if d.queue != nil && !strings.Contains(r.URL.Path, "/.well-known/") {
		select {
		case d.queue <- struct{}{}:
			defer func() { <-d.queue }()
		case <-time.After(3 * time.Second): // it may be asked while it asks
		}
	}
	if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/token") {
		d.proxy.ServeHTTP(w, r)
		return
	}
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	r.Body = io.NopCloser(bytes.NewReader(body))
	form, _ := url.ParseQuery(string(body))
	id := form.Get("client_id")
	if user, _, ok := r.BasicAuth(); ok {
		id, _ = url.QueryUnescape(user)
	}
	r.Header.Set("X-Desk-Client", id)
	lose := false
	if form.Get("grant_type") == "refresh_token" {
		r.Header.Set("X-Desk-Refresh", "1")
		d.look(id, func(c *customer) {
			c.presented[form.Get("refresh_token")]++
			if lose = c.lose > 0; lose {
				c.lose--
			}
		})
	}
	if lose { // after the server did its work
		d.proxy.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}
	d.proxy.ServeHTTP(w, r)
}

// note keeps the tokens that come back.
func (d *desk) note(resp *http.Response) error {
	id := resp.Request.Header.Get("X-Desk-Client")
	if id == "" {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	closeAll(resp.Body)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if err != nil {
		return err
	}
	var said reply
	_ = json.Unmarshal(body, &said) // what is no JSON has no token
	d.look(id, func(c *customer) {
		for _, token := range []string{said.AccessToken, said.RefreshToken, said.IDToken} {
			if token != "" {
				c.tokens = append(c.tokens, token)
			}
		}
		if resp.StatusCode != http.StatusOK && resp.Request.Header.Get("X-Desk-Refresh") != "" {
			c.refused = append(c.refused, said.Error)
		}
	})
	return nil
}
