package session

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func testGrant() Grant {
	return Grant{Kind: ByRefreshToken, AccessToken: NewSecret("the access token"), Expiry: time.Unix(1e9, 5).UTC(), Lifetime: time.Minute,
		Refresh: NewSecret("the refresh token"), Credentials: NewSecret("the credentials"), Scope: "a b", Subject: "sub", Issuer: "iss",
		Client: "client", Created: time.Unix(1e9, 0).UTC(), End: time.Unix(2e9, 0).UTC(), App: NewSecret("the app's part")}
}

func same(a, b Grant) bool { return bytes.Equal(a.encode(), b.encode()) }

func TestSecretsHideThemselves(t *testing.T) {
	g, h := testGrant(), NewHandle()
	whole := h.Reveal("")
	secrets := []string{"the access token", "the refresh token", "the credentials", "the app's part", whole, whole[24:40],
		hex.EncodeToString(h.parts().secret[:4]), fmt.Sprint(h.parts().secret[:4])[1:10], fmt.Sprintf("%x", "the access")} //nolint:staticcheck // the decimal form of the bytes is meant
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T %v"} {
		for _, value := range []any{g, &g, h, &h, g.AccessToken, []Handle{h}, map[string]Secret{"a": g.Refresh}, Unknown{Salvaged: g.Refresh},
			Access{Token: g.AccessToken}, view{grant: g}, saving{handle: h, pair: &g},
			refresh{family: h}, &refresh{family: h}, family{refresh: refresh{family: h}, grant: h}} {
			fmt.Fprintf(&out, verb+"\n", value)
		}
	}
	logger := slog.New(slog.NewJSONHandler(&out, nil))
	logger.Info("a", "grant", g, "handle", h, "secret", g.Refresh)
	text, err := json.Marshal(map[string]any{"grant": g, "handle": h})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(text)
	for _, secret := range secrets {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%q is shown", secret)
		}
	}
	if !strings.Contains(out.String(), "client") {
		t.Error("nothing was shown at all")
	}
}

func TestARecordOpensWithItsHandleAndAKeyOfTheRing(t *testing.T) {
	old, ring := testRing(t, 1), testRing(t, 2, fillKey(1))
	h, g := NewHandle(), testGrant()
	sealed, err := old.seal(h, 3, &g)
	if err != nil {
		t.Fatal(err)
	}
	for _, ring := range []*Keyring{old, ring} {
		if got, err := ring.open(h, 3, sealed); err != nil || !same(got, g) {
			t.Errorf("%v, %v", got, err)
		}
	}
	other, moved := *h.parts(), *h.parts()
	other.secret[31] ^= 1
	moved.lookup[0] ^= 1
	for name, open := range map[string]func() (Grant, error){
		"another secret":     func() (Grant, error) { return ring.open(handleOf(&other), 3, sealed) },
		"another row":        func() (Grant, error) { return ring.open(handleOf(&moved), 3, sealed) },
		"another generation": func() (Grant, error) { return ring.open(h, 4, sealed) },
	} {
		if _, err := open(); !errors.Is(err, errShut) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := testRing(t, 2).open(h, 3, sealed); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("a ring without the key: %v", err)
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, err := ring.open(h, 3, changed); err == nil {
			t.Errorf("opens with byte %d changed", i)
		}
		if _, err := ring.open(h, 3, sealed[:i]); err == nil {
			t.Errorf("opens when cut at %d", i)
		}
	}
}

func TestAKeyringNeedsLongKeys(t *testing.T) {
	if _, err := NewKeyring(fillKey(1), []byte("short")); err == nil {
		t.Error("a short key was taken")
	}
}

func TestDigestsSurviveARotation(t *testing.T) {
	old, ring := testRing(t, 1), testRing(t, 2, fillKey(1))
	all := ring.Digests("subject", "iss", "sub")
	if len(all) != 2 || all[0] != ring.Digest("subject", "iss", "sub") || all[1] != old.Digest("subject", "iss", "sub") {
		t.Error(all)
	}
	if ring.Digest("subject", "is", "ssub") == all[0] || ring.Digest("other", "iss", "sub") == all[0] {
		t.Error("parts run together")
	}
	if key := NewHandle().Key(); len(ring.Sref(key)) != 16 || ring.Sref(key) == old.Sref(key) {
		t.Error(ring.Sref(key))
	}
}

// A handle has one spelling, and its prefix belongs to it.
func FuzzHandle(f *testing.F) {
	good := NewHandle().Reveal("oga_")
	for _, seed := range []string{good, "ogr_" + good[4:], good + "=", good[:67] + "\n", good[4:], "oga_", "", good[:67], good + "A",
		"oga_" + strings.Repeat("\n", 64), "oga_" + strings.Repeat("+", 64)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, ok := ParseHandle("oga_", text)
		if ok != (len(text) == 68 && strings.HasPrefix(text, "oga_") && strings.Trim(text[4:],
			"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == "") {
			t.Errorf("%q: %v", text, ok)
		}
		if ok && h.Reveal("oga_") != text {
			t.Errorf("%q is spelled %q", text, h.Reveal("oga_"))
		}
		if !ok && h != (Handle{}) {
			t.Error("half a handle")
		}
	})
}

// What was not sealed does not open, and what it holds is read without a panic.
func FuzzSealed(f *testing.F) {
	ring, err := NewKeyring(fillKey(1), fillKey(2))
	if err != nil {
		f.Fatal(err)
	}
	h, g := Handle{}, testGrant()
	sealed, err := ring.seal(h, 1, &g)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add(sealed[:20])
	f.Add(g.encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, err := ring.open(h, 1, data); err == nil && !same(got, g) {
			t.Errorf("forged: %+v", got)
		}
		if read, err := decodeGrant(data); err == nil {
			if again, err := decodeGrant(read.encode()); err != nil || !same(again, read) {
				t.Errorf("%v: %+v became %+v", err, read, again)
			}
		}
	})
}

// A row is what a store may have damaged.
func FuzzRow(f *testing.F) {
	row := Row{Key: Key{1}, Generation: 300, Intent: Intent{ID: ID{2}, Open: true, Since: time.Unix(1e9, 1)}, Doubts: 255,
		Reason: "reason", Sealed: []byte("sealed")}
	good, _ := row.MarshalBinary()
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Fuzz(func(t *testing.T, data []byte) {
		var row, again Row
		if row.UnmarshalBinary(data) != nil {
			return
		}
		text, err := row.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if err := again.UnmarshalBinary(text); err != nil {
			t.Fatal(err)
		}
		if once, _ := again.MarshalBinary(); !bytes.Equal(once, text) {
			t.Errorf("%+v became %+v", row, again)
		}
		// Its beginning has the same head, for rows of ours.
		row.Sealed = nil
		if len(row.Reason) > 32 || len(row.Note) > mostNote+64 {
			return
		}
		if err := again.UnmarshalHead(text[:min(len(text), HeadSize)]); err != nil || again.Key != row.Key || again.Until != row.Until || again.Purpose != row.Purpose {
			t.Errorf("the head of %+v became %+v, %v", row, again, err)
		}
	})
}
