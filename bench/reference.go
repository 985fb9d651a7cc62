package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// reference is what the gateway's token endpoint hands out.
type reference struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

// askers ask at the same time: the gateway writes to its disk before each
// answer, and what waits together is written together.
const askers = 128

// references gets n grants from the gateway's token endpoint.
func references(ctx context.Context, addr string, n int) ([]reference, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: askers}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 30 * time.Second}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // the first failure ends them all
	out, errs := make([]reference, n), make([]error, askers)
	var wg sync.WaitGroup
	for w := range errs {
		wg.Go(func() {
			for i := w; i < n && errs[w] == nil; i += askers {
				out[i], errs[w] = askReference(ctx, client, addr, clientPrefix+strconv.Itoa(w))
			}
			if errs[w] != nil {
				cancel()
			}
		})
	}
	wg.Wait()
	if err := firstOf(errs); err != nil {
		return nil, fmt.Errorf("asking for reference tokens: %w", err)
	}
	return out, nil
}

// firstOf is the failure that is not merely the end of the others.
func firstOf(errs []error) error {
	at := slices.IndexFunc(errs, func(err error) bool { return err != nil && !errors.Is(err, context.Canceled) })
	if at < 0 {
		return errors.Join(errs...) // the operator pressed Ctrl-C
	}
	return errs[at]
}

func askReference(ctx context.Context, client *http.Client, addr, id string) (reference, error) {
	form := url.Values{"grant_type": {"client_credentials"}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/token", strings.NewReader(form))
	if err != nil {
		return reference{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(id, clientSecret)
	resp, err := client.Do(req)
	if err != nil {
		return reference{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return reference{}, err
	}
	if resp.StatusCode != http.StatusOK {
		return reference{}, fmt.Errorf("the token endpoint answered %d: %.300s", resp.StatusCode, body)
	}
	var given reference
	if err := json.Unmarshal(body, &given); err != nil {
		return reference{}, fmt.Errorf("reading the answer of the token endpoint: %w", err)
	}
	if !strings.HasPrefix(given.Access, "oga_") || !strings.HasPrefix(given.Refresh, "ogr_") {
		return reference{}, errors.New("the token endpoint answered something else than reference tokens")
	}
	return given, nil
}

// badReferences are what a gateway must refuse before its speed with reference
// tokens counts.
func badReferences(good reference) map[string]string {
	prefix, _, _ := strings.Cut(good.Access, "_")
	unknown := make([]byte, 48) // as long as a real one, and the same spelling
	_, _ = rand.Read(unknown)
	return map[string]string{
		"no token":                   "",
		"an unknown reference token": prefix + "_" + b64(unknown),
		"a reference token with a changed look-up":   changeLetter(good.Access, len(prefix)+5),
		"a reference token with a changed secret":    changeLetter(good.Access, len(good.Access)-20),
		"a reference token without its last letter":  good.Access[:len(good.Access)-1],
		"a reference refresh token":                  good.Refresh,
		"a refresh token under the access prefix":    prefix + "_" + good.Refresh[len(prefix)+1:],
		"an access token under the refresh's prefix": "ogr_" + good.Access[len(prefix)+1:],
	}
}

// ask gets a running gateway the tokens that wrk will present to it.
func (c *candidate) ask(ctx context.Context, n int) (good reference, err error) {
	given, err := references(ctx, c.addr, n)
	if err != nil {
		return reference{}, err
	}
	c.own = make([]string, n)
	for i, g := range given {
		c.own[i] = bearer + g.Access
	}
	return given[0], nil
}
