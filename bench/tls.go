package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/quic-go/quic-go/http3"
)

// tlsKinds are set side by side behind TLS.
var tlsKinds = []kind{
	{name: "bare", title: "Caddy, bare", config: "tls-bare.Caddyfile", algs: allAlgs, tls: true},
	{name: "control", title: "Caddy, bare, a second one", config: "tls-bare.Caddyfile", algs: allAlgs, tls: true},
	{name: "oauth", title: "Caddy with `oauth`", config: "tls-oauth.Caddyfile", algs: allAlgs, tls: true, judges: true, gateway: true},
}

var overTitles = map[string]string{"h1": "TLS with HTTP/1.1", "h2": "HTTP/2", "h3": "HTTP/3"}

// overTLS measures one token over each version of HTTP that Caddy speaks with TLS.
func (b *bench) overTLS(ctx context.Context) error {
	of := *b
	of.kinds = b.choose(ctx, tlsKinds)
	var loads []workload
	for _, over := range []string{"h1", "h2", "h3"} {
		loads = append(loads, workload{alg: "ES256", tokens: 1, over: over})
	}
	return of.speed(ctx, loads)
}

// certificate writes one for localhost, and its key.
func certificate(dir string) (cert, key string, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	of := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, of, of, private.Public(), private)
	if err != nil {
		return "", "", fmt.Errorf("making a certificate: %w", err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", "", fmt.Errorf("writing the key of a certificate: %w", err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	return cert, key, errors.Join(
		os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
}

// overAddr is a candidate's address as a client with TLS writes it: Caddy finds
// the certificate by the name.
func overAddr(addr string) string { return "https://localhost" + setting{Listen: addr}.Port() + "/" }

// What is measured is the server's work, so no client looks at certificates.
func anyCertificate() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }

// http1 dials 127.0.0.1, whatever localhost is here.
func http1() *http.Transport {
	return &http.Transport{TLSClientConfig: anyCertificate(), DialContext: dialLoopback, TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}}
}

func dialLoopback(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, network, "127.0.0.1"+setting{Listen: addr}.Port())
}

// streamsEach is how many requests share a connection where the protocol lets
// them, as a browser's do.
const streamsEach = 4

// transports open the connections over which requests are sent: one for each over
// HTTP/1.1, else one for some.
func transports(over string, connections int) ([]http.RoundTripper, error) {
	share := streamsEach
	if over == "h1" {
		share = 1
	}
	out := make([]http.RoundTripper, 0, connections)
	for range max(1, connections/share) {
		switch over {
		case "h1":
			out = append(out, http1())
		case "h2":
			out = append(out, &http.Transport{TLSClientConfig: anyCertificate(), DialContext: dialLoopback, ForceAttemptHTTP2: true})
		case "h3":
			out = append(out, &http3.Transport{TLSClientConfig: anyCertificate()})
		default:
			return nil, fmt.Errorf("-over %q: want h1, h2 or h3", over)
		}
	}
	return out, nil
}

// sendOverTLS starts this very program, so that its CPU time is in nobody's figure.
func (r run) sendOverTLS(ctx context.Context, addr string) (sample, error) {
	self, err := os.Executable()
	if err != nil {
		return sample{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(r.seconds+60)*time.Second)
	defer cancel()
	return result(exec.CommandContext(ctx, self, "-send-load", overAddr(addr), "-over", r.over,
		"-connections", strconv.Itoa(r.connections), "-seconds", strconv.Itoa(r.seconds), "-fields", r.fields))
}

// sendLoad sends one request after another over each connection, and prints what
// wrk.lua prints.
func sendLoad(be role, connections int, length time.Duration) error {
	f, err := os.Open(be.fields)
	if err != nil {
		return err
	}
	field, err := bufio.NewReader(f).ReadString('\n')
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	name, value, _ := strings.Cut(strings.TrimSpace(field), ": ")
	all, err := transports(be.over, connections)
	if err != nil {
		return err
	}
	var (
		took            = make([][]time.Duration, connections)
		refused, broken = make([]int, connections), make([]int, connections)
		wg              sync.WaitGroup
		began           = time.Now()
	)
	for i := range connections {
		wg.Go(func() {
			for time.Since(began) < length {
				at := time.Now()
				status, err := sendOne(all[i%len(all)], be, name, value)
				switch {
				case err != nil:
					broken[i]++
					fmt.Fprintln(os.Stderr, err)
					return
				case status != http.StatusOK:
					refused[i]++
				}
				took[i] = append(took[i], time.Since(at))
			}
		})
	}
	wg.Wait()
	whole, sorted := time.Since(began), slices.Sorted(slices.Values(slices.Concat(took...)))
	if len(sorted) == 0 {
		return errors.New("no answer came")
	}
	at := func(share int) int64 { return sorted[(len(sorted)-1)*share/100].Microseconds() }
	fmt.Printf("RESULT requests=%d refused=%d broken=%d micros=%d p50=%d p99=%d\n",
		len(sorted), sum(refused), sum(broken), whole.Microseconds(), at(50), at(99))
	return nil
}

func sum(of []int) (n int) {
	for _, v := range of {
		n += v
	}
	return n
}

// protoMajor is what an answer has to be of.
var protoMajor = map[string]int{"h1": 1, "h2": 2, "h3": 3}

func sendOne(over http.RoundTripper, be role, name, value string) (status int, err error) {
	req, err := http.NewRequest(http.MethodGet, be.load, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set(name, value)
	resp, err := over.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	if resp.ProtoMajor != protoMajor[be.over] {
		err = fmt.Errorf("the answer is of %s, want %s", resp.Proto, be.over)
	}
	_, failed := io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, errors.Join(err, failed, resp.Body.Close())
}
