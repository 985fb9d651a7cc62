package token

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The bounds of a list of statuses, in bytes: as a JWT, and unpacked. At one bit
// each the latter are 128 million tokens.
const (
	MaxStatusList     = 8 << 20
	MaxStatusUnpacked = 16 << 20
)

// StatusRef is where a token says that its status stands (Token Status List §6.2).
type StatusRef struct {
	List  string // the list's address, and its sub; "": nowhere
	Index uint64
}

// status reads the reference. Other mechanisms that the claim may name are left
// alone; so is a token that names none.
func (c Claims) status() (ref StatusRef, err error) {
	claim, has := c["status"]
	if !has {
		return ref, nil
	}
	mechanisms, ok := claim.(map[string]any)
	if !ok {
		return ref, refuse(ClaimType, "status is not an object")
	}
	named, has := mechanisms["status_list"]
	if !has {
		return ref, nil
	}
	members, _ := named.(map[string]any)
	list, _ := members["uri"].(string)
	number, _ := members["idx"].(json.Number)
	index, err := strconv.ParseUint(string(number), 10, 53)
	if err != nil || list == "" {
		return ref, refuse(ClaimType, "status_list in status has no idx that is a whole number, or no uri")
	}
	return StatusRef{strings.Clone(list), index}, nil
}

// A StatusList says of each token of an issuer whether it was taken back. It does
// not change.
type StatusList struct {
	Ends  time.Time     // exp; zero: it has none
	Fresh time.Duration // ttl: when a newer one is worth asking for; 0: it does not say

	bits   uint64 // of each status: 1, 2, 4 or 8
	packed []byte
}

// Len is how many tokens it is about.
func (l *StatusList) Len() int { return len(l.packed) * 8 / int(l.bits) } //nolint:gosec // 8 at most

// Size is what it takes in memory, in bytes.
func (l *StatusList) Size() int { return len(l.packed) }

// Same reports whether another list says the same of each token.
func (l *StatusList) Same(other *StatusList) bool {
	return l.bits == other.bits && bytes.Equal(l.packed, other.packed)
}

// at is the status of the token with an index, if the list goes on so far.
func (l *StatusList) at(index uint64) (status byte, ok bool) {
	each := 8 / l.bits
	n := index / each
	if n >= uint64(len(l.packed)) {
		return 0, false
	}
	return l.packed[n] >> (index % each * l.bits) & byte(1<<l.bits-1), true
}

// The statuses that have names (Token Status List §7.1).
const (
	statusValid = iota
	statusInvalid
	statusSuspended
)

var errInvalid, errSuspended = refuse(StatusRefused, "its issuer's status list calls it invalid: it was revoked"),
	refuse(StatusRefused, "its issuer's status list calls it suspended")

// Judge refuses a token whose status is another than valid. known is false where
// the list does not go on so far: a newer one may.
func (l *StatusList) Judge(index uint64) (known bool, err error) {
	switch status, ok := l.at(index); {
	case !ok:
		return false, nil
	case status == statusValid:
		return true, nil
	case status == statusInvalid:
		return true, errInvalid
	case status == statusSuspended:
		return true, errSuspended
	default:
		return true, refuse(StatusRefused, fmt.Sprintf("its issuer's status list gives it the status %d", status))
	}
}

// BeyondList is the refusal of an index that no list of the issuer has.
func BeyondList(ref StatusRef) error {
	return refuse(StatusRefused, fmt.Sprintf("idx is %d, and the status list ends before it", ref.Index))
}

// ListProfile is what the lists of one issuer must be (Token Status List §5.1).
type ListProfile struct {
	Issuer     string // iss, where it is there: one of the two
	Tokens     string
	Algorithms Algorithms
	Skew       time.Duration
	Keys       KeySource
}

// Read proves a list that was asked for at an address. An error is a failure and
// never a [*Refusal]: it says something of the issuer, and nothing of a token.
func (p *ListProfile) Read(ctx context.Context, raw, address string, now time.Time) (*StatusList, error) {
	list, err := p.read(ctx, raw, address, now)
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		err = errors.New(refusal.Error())
	}
	if err != nil {
		return nil, fmt.Errorf("the status list does not pass: %w", err)
	}
	return list, nil
}

func (p *ListProfile) read(ctx context.Context, raw, address string, now time.Time) (*StatusList, error) {
	u, err := parse(raw, MaxStatusList, nil)
	if err != nil {
		return nil, err
	}
	iat, issued := seconds(u.Claims["iat"])
	exp, ends := seconds(u.Claims["exp"])
	iss, named := u.Claims["iss"]
	switch {
	case !isType(u.typ, "statuslist+jwt"):
		return nil, refuse(TypeRefused, "typ is "+clip(u.typ)+", not statuslist+jwt")
	case u.Claims.String("sub") != address:
		return nil, refuse(ClaimWrong, "sub is "+clip(u.Claims.String("sub"))+", and not the address in the tokens")
	case named && iss != p.Issuer && (p.Tokens == "" || iss != p.Tokens):
		return nil, refuse(IssuerUnknown, "iss is "+clip(u.Claims.String("iss")))
	case !issued:
		return nil, refuse(ClaimMissing, "iat")
	case now.Add(p.Skew).Before(time.Unix(int64(iat), 0)):
		return nil, refuse(NotYetValid, "iat is still to come")
	case ends && !now.Add(-p.Skew).Before(time.Unix(int64(exp), 0)):
		return nil, refuse(Expired, "exp is over")
	}
	own := Profile{Algorithms: p.Algorithms, Keys: p.Keys}
	if err := own.checkAlgorithm(u); err != nil {
		return nil, err
	}
	if _, err := own.prove(ctx, u, nil); err != nil {
		return nil, err
	}
	members, _ := u.Claims["status_list"].(map[string]any)
	list, err := unpackStatuses(members)
	if err != nil {
		return nil, err
	}
	if ends {
		list.Ends = time.Unix(int64(exp), 0)
	}
	if ttl, has := seconds(u.Claims["ttl"]); has && ttl > 0 {
		list.Fresh = time.Duration(math.Min(ttl, math.MaxInt32)) * time.Second
	}
	return list, nil
}

// unpackStatuses reads the list itself (Token Status List §4.2).
func unpackStatuses(members map[string]any) (*StatusList, error) {
	number, _ := members["bits"].(json.Number)
	bits, err := strconv.ParseUint(string(number), 10, 8)
	if err != nil || !slices.Contains([]uint64{1, 2, 4, 8}, bits) {
		return nil, refuse(ClaimType, "bits in status_list is none of 1, 2, 4 and 8")
	}
	packed, ok := members["lst"].(string)
	if !ok {
		return nil, refuse(ClaimMissing, "lst in status_list")
	}
	compressed, err := decode(packed)
	if err != nil {
		return nil, refuse(Malformed, "lst: "+err.Error())
	}
	rest := bytes.NewReader(compressed)
	z, err := zlib.NewReader(rest)
	if err != nil {
		return nil, refuse(Malformed, "lst: "+err.Error())
	}
	var all bytes.Buffer
	n, err := io.Copy(&all, io.LimitReader(z, MaxStatusUnpacked+1))
	switch {
	case err != nil:
		return nil, refuse(Malformed, "lst: "+err.Error())
	case n > MaxStatusUnpacked:
		return nil, refuse(TooLarge, fmt.Sprintf("lst is more than %d bytes when it is unpacked", MaxStatusUnpacked))
	case rest.Len() > 0:
		return nil, refuse(Malformed, "lst: something stands behind it")
	}
	return &StatusList{bits: bits, packed: bytes.Clone(all.Bytes())}, nil
}

// statusText says where the status stands, for people.
func (u *Unverified) statusText() string {
	ref, _ := u.Claims.status()
	if ref.List == "" {
		return "no status_list: it cannot be taken back by one"
	}
	return fmt.Sprintf("idx %d of %s", ref.Index, quote(ref.List))
}
