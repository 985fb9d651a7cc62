package session

import (
	"reflect"
	"testing"
	"time"
)

// A row comes back from its encoding with each of its fields.
func TestARowComesBackWhole(t *testing.T) {
	at := time.Unix(1e9, 7).UTC()
	want := Row{
		Key: Key{1}, Generation: 1 << 40,
		Intent:  Intent{ID: ID{2}, Owner: ID{3}, Open: true, Since: at.Add(1), Lease: at.Add(2), RTDigest: ID{4}},
		Settled: ID{5}, Doubts: 1, DoubtSince: at.Add(3), Fails: 255, NotBefore: at.Add(4), Dead: true, Reason: EndedReuse,
		Created: at.Add(5), LastUsed: at.Add(6), Until: at.Add(7), Subject: ID{6}, Purpose: ForFamily, Sealed: []byte{0, 7},
		User: ID{8}, Session: ID{9}, Note: []byte{0, 10}, Holder: ID{11},
	}
	for _, part := range []reflect.Value{reflect.ValueOf(want), reflect.ValueOf(want.Intent)} {
		for i := range part.NumField() {
			if part.Field(i).IsZero() {
				t.Errorf("%s is not tried", part.Type().Field(i).Name)
			}
		}
	}
	text, err := want.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var got Row
	if err := got.UnmarshalBinary(text); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v: got %+v, want %+v", err, got, want)
	}
}

// A store that an older gateway filled is read after an update.
func TestARowOfTheVersionsBeforeIsRead(t *testing.T) {
	want := Row{Key: Key{1}, Generation: 3, Subject: ID{6}, Purpose: ForFamily, Sealed: []byte{0, 7}}
	text, err := want.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	end := len(text) - 1 - len(want.Sealed) // with its length in front
	for version, added := range map[byte]int{
		rowVersionSecond: len(want.Holder),
		rowVersionFirst:  len(want.Holder) + len(want.User) + len(want.Session) + 1, // and the length of no note
	} {
		before := append([]byte{version}, text[1:end-added]...)
		before = append(before, text[end:]...)
		var got Row
		if err := got.UnmarshalBinary(before); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("version %d: %v: got %+v, want %+v", version, err, got, want)
		}
	}
}
