package token

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
)

// The public Wycheproof vectors for JWS and JWK. They are not kept here: name
// the file in WYCHEPROOF_JOSE.
//
// A gateway for access tokens is stricter than JOSE has to be. These vectors
// are refused on purpose, though they are marked valid:
//   - everything that HMAC signed: such keys are never taken (rule 9);
//   - 346 and 350: signed with PS384, and the key says that it is for PS256;
//   - 347 and 351: the key says ES521, which is no algorithm.
//
// All payloads are refused at the front door, since none is a JSON object, and
// some are empty. So what is tried is the strict reading of the three parts,
// the JOSE header, the key set and Key.verify, in the order of Profile.Verify.
var refusedOnPurpose = map[int]bool{346: true, 347: true, 350: true, 351: true}

type vectors struct {
	Sig, Key []struct {
		G    string          // the group's name
		Pub  json.RawMessage // null for HMAC
		Priv json.RawMessage
		T    []vector
	}
}

type vector struct {
	ID      int
	R, C, J string // verdict (v, i or a), comment, compact JWS
}

func readVectors(t *testing.T) *vectors {
	t.Helper()
	path := os.Getenv("WYCHEPROOF_JOSE")
	if path == "" {
		path = "../../../shared/vectors/wycheproof_jose.json"
	}
	doc, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no Wycheproof vectors here: put the path of wycheproof_jose.json into WYCHEPROOF_JOSE")
	}
	if err != nil {
		t.Fatal(err)
	}
	v := &vectors{}
	if err := json.Unmarshal(doc, v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestWycheproofSignatures(t *testing.T) {
	verified := 0
	for _, group := range readVectors(t).Sig {
		key := string(group.Pub)
		hmac := key == "null"
		if hmac {
			key = string(group.Priv) // the secret, as an oct key
		}
		verified += tryVectors(t, group.G, `{"keys":[`+key+`]}`, hmac, group.T)
	}
	if verified < 25 {
		t.Errorf("only %d vectors verified: is the file whole?", verified)
	}
}

func TestWycheproofKeys(t *testing.T) {
	verified := 0
	for _, group := range readVectors(t).Key {
		set := string(group.Pub)
		hmac := set == "null"
		if hmac {
			set = string(group.Priv)
		}
		verified += tryVectors(t, group.G, set, hmac, group.T)
	}
	if verified != 1 {
		t.Errorf("%d vectors verified, want the one RS256 set", verified)
	}
}

func TestWycheproofPrivateKeysAreRefused(t *testing.T) {
	for _, group := range readVectors(t).Sig {
		if _, err := ParseKey(string(group.Priv)); err == nil {
			t.Errorf("%s: the private key is taken", group.G)
		}
	}
}

// tryVectors tries each vector with the set and counts those that verify.
func tryVectors(t *testing.T, group, set string, hmac bool, tests []vector) (verified int) {
	for _, v := range tests {
		err := verifyVector(set, v.J)
		switch want := v.R == "v" && !hmac && !refusedOnPurpose[v.ID]; {
		case err == nil && !want:
			t.Errorf("%s %d %s: accepted", group, v.ID, v.C)
		case err != nil && want:
			t.Errorf("%s %d %s: refused: %v", group, v.ID, v.C, err)
		case err == nil:
			verified++
		}
		if _, err := Parse(v.J); err == nil {
			t.Errorf("%s %d %s: passes the front door, though the payload is no JSON object", group, v.ID, v.C)
		}
	}
	return verified
}

// verifyVector is Parse and Profile.Verify without the claims.
func verifyVector(set, raw string) error {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return refuse(NotJWT, "")
	}
	header, err := decode(parts[0])
	if err != nil {
		return err
	}
	if _, err := decode(parts[1]); err != nil {
		return err
	}
	signature, err := decode(parts[2])
	if err != nil {
		return err
	}
	members, err := ParseObject(string(header))
	if err != nil {
		return err
	}
	u := &Unverified{signed: parts[0] + "." + parts[1], signature: signature}
	if err := u.readHeader(members, nil); err != nil {
		return err
	}
	all, err := ParseAlgorithms(nil)
	if err != nil || !all.has(u.alg) {
		return refuse(AlgRefused, u.alg)
	}
	keys, _, err := ParseKeySet([]byte(set))
	if err != nil {
		return err
	}
	_, err = u.provenBy(keys, all)
	return err
}
