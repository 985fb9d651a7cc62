package redisstore

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/redisstore/redistest"
)

// provision reads what stands behind "store" and provisions it.
func provision(t *testing.T, text string) (*Store, error) {
	t.Helper()
	s := new(Store)
	if err := s.UnmarshalCaddyfile(caddyfile.NewTestDispenser(text)); err != nil {
		return nil, err
	}
	// As it comes from JSON, too.
	doc, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	s = new(Store)
	if err := json.Unmarshal(doc, s); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	return s, s.Provision(ctx)
}

func opened(t *testing.T, text string) (*Store, session.Store) {
	t.Helper()
	s, err := provision(t, text)
	if err != nil {
		t.Fatal(err)
	}
	rows, closeStore, err := s.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = closeStore() })
	return s, rows
}

// works does all that a vault does.
func works(t *testing.T, rows session.Store) {
	t.Helper()
	now, err := rows.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	row := session.Row{Key: session.NewHandle().Key(), Generation: 1, Created: now, LastUsed: now, Until: now.Add(time.Hour)}
	heard := make(chan session.Key, 100)
	defer rows.(session.Waker).Wake(func(key session.Key) { heard <- key })()
	for name, err := range map[string]error{
		"create": rows.Create(t.Context(), row), "swap": rows.CompareAndSwap(t.Context(), row.Version(), row),
		"each": rows.Each(t.Context(), func(session.Row) bool { return true }),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := rows.Load(t.Context(), row.Key); err != nil {
		t.Errorf("load: %v", err)
	}
	for end := time.After(20 * time.Second); len(heard) == 0; {
		if err := rows.CompareAndSwap(t.Context(), row.Version(), row); err != nil {
			t.Fatal(err)
		}
		select {
		case <-end:
			t.Fatal("nothing is heard")
		case <-time.After(20 * time.Millisecond):
		}
	}
	if err := rows.Delete(t.Context(), row.Key); err != nil {
		t.Errorf("delete: %v", err)
	}
}

// rightsIn are those of the ACL user that a file tells of.
func rightsIn(t *testing.T, name, end string) []string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "ACL SETUSER gateway on >... ")
	list, _, found := strings.Cut(after, end)
	if !found {
		t.Fatalf("%s gives no rights", name)
	}
	return strings.Fields(strings.ReplaceAll(list, "#", " "))
}

// The rights that the example gives are enough, and no more than that.
func TestTheRightsInTheExampleAreEnoughAndEachIsNeeded(t *testing.T) {
	rights := rightsIn(t, "../caddyfile/cluster.Caddyfile", "\n\t\t\t\t#\n")
	if also := rightsIn(t, "../docs/operating.md", "\n```\n"); !slices.Equal(also, rights) {
		t.Errorf("docs/operating.md has %q, the example %q", also, rights)
	}
	server := redistest.Start(t)
	if answer := server.Do(append([]string{"ACL", "SETUSER", "gateway", "on", ">word"}, rights...)...); answer != "+OK" {
		t.Fatalf("%q: %s", rights, answer)
	}
	t.Setenv("REDIS_PASSWORD", "word")
	s, rows := opened(t, "redis "+server.Address()+" {\nusername gateway\npassword {env.REDIS_PASSWORD}\nreplicas 0\n}")
	works(t, rows)
	for _, one := range s.Examine(t.Context()) {
		if one.Result != session.FindingOK {
			t.Errorf("with these rights: %+v", one)
		}
	}
	for _, right := range rights {
		if right == "+wait" { // with replicas alone
			continue
		}
		if stats := server.Do("INFO", "commandstats"); strings.HasPrefix(right, "+") && !strings.Contains(stats, "cmdstat_"+right[1:]+":") {
			t.Errorf("%s is for nothing", right)
		}
	}
}

func TestAPasswordComesFromItsPlaceholderAndIsShownNowhere(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("a secret word\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := redistest.Start(t, "--requirepass", "a secret word")
	s, rows := opened(t, "redis "+server.Address()+" {\npassword {file."+file+"}\n}")
	works(t, rows)
	if shown := fmt.Sprintf("%v %+v %#v", s.options, s.options, s.options); strings.Contains(shown, "secret word") {
		t.Error(shown)
	}
	if _, err := provision(t, "redis "+server.Address()+" {\npassword {env.NOT_SET_ANYWHERE}\n}"); err == nil || !strings.Contains(err.Error(), "{env.NOT_SET_ANYWHERE}") {
		t.Error(err)
	}
	s, err := provision(t, "redis "+server.Address()+" {\npassword wrong-word\n}")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Open(t.Context()); err == nil || strings.Contains(err.Error(), "wrong-word") || !strings.Contains(err.Error(), "WRONGPASS") {
		t.Error(err)
	}
}

func TestTheSamePlaceHasOneIdentityWhateverTheOptions(t *testing.T) {
	identity := func(text string) string {
		t.Helper()
		s, err := provision(t, text)
		if err != nil {
			t.Fatal(err)
		}
		return s.Identity()
	}
	for _, row := range []struct {
		one, other string
		same       bool
	}{
		{"redis a:1", "redis a:1 {\ntimeout 1s\npassword x\nconnections 9\nreplicas 3\ntls\nprefix caddy-oauth\ndatabase 0\n}", true},
		{"redis a:1 b:1 {\nsentinel m\n}", "redis b:1 a:1 {\nsentinel m\n}", true},
		{"redis a:1 {\nsentinel m\n}", "redis a:1 {\nsentinel n\n}", false},
		{"redis a:1 {\nsentinel m\n}", "redis a:1", false},
		{"redis a:1", "redis a:2", false},
		{"redis a:1", "redis a:1 {\ndatabase 1\n}", false},
		{"redis a:1", "redis a:1 {\nprefix other\n}", false},
	} {
		if one, other := identity(row.one), identity(row.other); (one == other) != row.same {
			t.Errorf("%q and %q", one, other)
		}
	}
}

func TestReplicasAreWaitedForWithSentinelsAndNotWithout(t *testing.T) {
	for text, want := range map[string]int{
		"redis a:1": 0, "redis a:1 {\nsentinel m\n}": 1, "redis a:1 {\nsentinel m\nreplicas 0\n}": 0, "redis a:1 {\nreplicas 2\n}": 2,
	} {
		s, err := provision(t, text)
		if err != nil || s.options.Replicas != want {
			t.Errorf("%s: %d, %v", text, s.options.Replicas, err)
		}
	}
}

// certificate makes one for 127.0.0.1 that is its own authority.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestTLSProvesTheServer(t *testing.T) {
	cert, key := certificate(t)
	port := redistest.FreePort(t)
	redistest.Start(t, "--tls-port", fmt.Sprint(port), "--tls-cert-file", cert, "--tls-key-file", key,
		"--tls-ca-cert-file", cert, "--tls-auth-clients", "no")
	address := fmt.Sprintf("127.0.0.1:%d", port)
	_, rows := opened(t, "redis "+address+" {\ntls\ntrust_pool file "+cert+"\n}")
	works(t, rows)
	stranger, _ := certificate(t)
	for _, text := range []string{"redis " + address + " {\ntls\n}", "redis " + address + " {\ntls\ntrust_pool file " + stranger + "\n}"} {
		s, err := provision(t, text)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Open(t.Context()); err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestOtherOptionsOfTheSamePlaceApplyToTheOpenStore(t *testing.T) {
	server := redistest.Start(t, "--requirepass", "first")
	_, rows := opened(t, "redis "+server.Address()+" {\npassword first\n}")
	works(t, rows)
	next, err := provision(t, "redis "+server.Address()+" {\npassword second\n}")
	if err != nil {
		t.Fatal(err)
	}
	next.Apply(rows)
	if _, err := rows.Now(t.Context()); err == nil {
		t.Error("the second password is not used")
	}
}
