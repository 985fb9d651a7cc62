package caddyoauth

import (
	"crypto"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/caddyoauth/caddyoauth/internal/gateway/gatewaytest"
	"github.com/caddyoauth/caddyoauth/internal/jwssign"
)

// adaptSite adapts the body of a site block and returns its server and the
// oauth handlers in it, outermost first.
func adaptSite(tb testing.TB, body string) (*caddyhttp.Server, []json.RawMessage) {
	tb.Helper()
	return adaptServer(tb, "http://api.example {\n"+body+"\n}\n")
}

// adaptServer does it with a whole Caddyfile of one server.
func adaptServer(tb testing.TB, text string) (*caddyhttp.Server, []json.RawMessage) {
	tb.Helper()
	config, err := adapt(text)
	if err != nil {
		tb.Fatal("adapting: ", err)
	}
	var doc struct {
		Apps struct {
			HTTP struct {
				Servers map[string]json.RawMessage `json:"servers"`
			} `json:"http"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(config, &doc); err != nil {
		tb.Fatal(err)
	}
	server := new(caddyhttp.Server)
	if err := json.Unmarshal(doc.Apps.HTTP.Servers["srv0"], server); err != nil {
		tb.Fatal(err)
	}
	return server, oauthHandlers(doc.Apps.HTTP.Servers["srv0"])
}

func adapt(text string) ([]byte, error) {
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	return config, err
}

// oauthHandlers finds the gateways in any piece of config, outermost first.
func oauthHandlers(raw json.RawMessage) (found []json.RawMessage) {
	var object map[string]json.RawMessage
	var list []json.RawMessage
	switch {
	case json.Unmarshal(raw, &object) == nil:
		if string(object["handler"]) == `"oauth"` {
			delete(object, "handler")
			own, _ := json.Marshal(object)
			return []json.RawMessage{own}
		}
		for _, name := range []string{"routes", "handle"} {
			found = append(found, oauthHandlers(object[name])...)
		}
	case json.Unmarshal(raw, &list) == nil:
		for _, entry := range list {
			found = append(found, oauthHandlers(entry)...)
		}
	}
	return found
}

// testContext is a Caddy context of this test alone.
func testContext(tb testing.TB) caddy.Context {
	tb.Helper()
	return gatewaytest.Context(tb)
}

// readKey reads a private test key.
func readKey(tb testing.TB, name string) crypto.Signer {
	tb.Helper()
	text, err := os.ReadFile("testdata/keys/" + name + ".pem")
	if err != nil {
		tb.Fatal(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		tb.Fatal(err)
	}
	return key.(crypto.Signer)
}

var algOf = regexp.MustCompile(`"alg"\s*:\s*"([^"]*)"`)

// defaultAlgs is what a key signs with when the header's alg is not for it.
var defaultAlgs = map[string]string{"es384": "ES384", "es512": "ES512", "rsa": "RS256", "weak": "RS256", "ed25519": "EdDSA"}

// signToken signs header and payload as they are. key is "<name> [<how>]".
func signToken(tb testing.TB, key, header, payload string) string {
	tb.Helper()
	name, how, _ := strings.Cut(key, " ")
	b64 := base64.RawURLEncoding.EncodeToString
	signed := b64([]byte(header)) + "." + b64([]byte(payload))
	private := readKey(tb, name)
	alg := defaultAlgs[name]
	if alg == "" {
		alg = "ES256"
	}
	if m := algOf.FindStringSubmatch(header); m != nil && (alg == "RS256" && (m[1][0] == 'R' || m[1][0] == 'P')) {
		alg = m[1]
	}
	sig, err := (&jwssign.Key{Alg: alg, Private: private}).Sign([]byte(signed))
	if err != nil {
		tb.Fatal(err)
	}
	return signed + "." + b64(distort(tb, private, how, []byte(signed), sig))
}

// distort makes the signature that the word how stands for.
func distort(tb testing.TB, private crypto.Signer, how string, signed, sig []byte) []byte {
	tb.Helper()
	digest := sha256.Sum256(signed)
	half := len(sig) / 2
	switch how {
	case "":
	case "broken": // one bit is wrong
		sig[half] ^= 1
	case "short":
		return sig[:len(sig)-1]
	case "zeros":
		return make([]byte, len(sig))
	case "der": // as ASN.1 has it, not JWS
		der, err := asn1.Marshal([]*big.Int{new(big.Int).SetBytes(sig[:half]), new(big.Int).SetBytes(sig[half:])})
		if err != nil {
			tb.Fatal(err)
		}
		return der
	case "short-salt", "long-salt": // PS256 has 32 bytes
		salt := map[string]int{"short-salt": 1, "long-salt": 64}[how]
		var err error
		sig, err = rsa.SignPSS(rand.Reader, private.(*rsa.PrivateKey), crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: salt})
		if err != nil {
			tb.Fatal(err)
		}
	case "hmac": // with the public key, which everybody has, as the secret
		var public []byte
		if key, ok := private.Public().(ed25519.PublicKey); ok {
			public = key
		} else {
			der, err := x509.MarshalPKIXPublicKey(private.Public())
			if err != nil {
				tb.Fatal(err)
			}
			public = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
		}
		return mac(public, signed)
	case "hmac-oct": // with the secret that odd.jwks.json publishes
		return mac([]byte("a secret that everybody can read"), signed)
	default:
		tb.Fatalf("key: unknown word %q", how)
	}
	return sig
}

func mac(secret, signed []byte) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write(signed)
	return h.Sum(nil)
}

var repeatMark = regexp.MustCompile(`\{(.)\*(\d+)\}`)

// expandToken replaces {token}, its parts, spellings of them, and {a*1000}.
func expandToken(text, token string) string {
	text = repeatMark.ReplaceAllStringFunc(text, func(mark string) string {
		m := repeatMark.FindStringSubmatch(mark)
		n, _ := strconv.Atoi(m[2])
		return strings.Repeat(m[1], n)
	})
	if parts := strings.Split(token, "."); len(parts) == 3 {
		pairs := []string{"{token}", token}
		for i, name := range []string{"header", "payload", "signature"} {
			pairs = append(pairs, "{"+name+"}", parts[i],
				"{"+name+".std}", strings.NewReplacer("-", "+", "_", "/").Replace(parts[i]),
				"{"+name+".padded}", parts[i]+strings.Repeat("=", (4-len(parts[i])%4)%4),
				"{"+name+".loose}", loosen(parts[i]))
		}
		text = strings.NewReplacer(pairs...).Replace(text)
	}
	return text
}

// loosen sets an unused bit of the last letter: the same bytes to a careless
// decoder.
func loosen(part string) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(part) - 1
	return part[:last] + string(letters[strings.IndexByte(letters, part[last])|1])
}
