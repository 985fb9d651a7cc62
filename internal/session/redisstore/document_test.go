package redisstore

import (
	"context"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/session"
	"github.com/caddyoauth/caddyoauth/redisstore/redistest"
)

// The first writing of a document makes a row, and only later ones change it. Other
// nodes once were told of the changes alone, and found the first one by looking.
func TestOtherNodesAreToldOfADocumentsFirstWritingAndOfEachChange(t *testing.T) {
	o := at(redistest.Start(t).Address())
	node := func() (*Store, *session.Vault) {
		s := open(t, o)
		v, err := session.New(s, tripsRing(t), session.Options{Now: time.Now, Renew: func(context.Context, session.Grant) session.Outcome { return nil }})
		if err != nil {
			t.Fatal(err)
		}
		return s, v
	}
	_, writer := node()
	ear, reader := node()
	for end := time.Now().Add(20 * time.Second); ; { // until what is published is heard
		if _, err := ear.CatchUp(t.Context()); err == nil {
			break
		} else if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	told := make(chan struct{}, 1)
	defer reader.WatchDocument("head", func() { told <- struct{}{} })()
	version := ""
	for _, text := range []string{"first", "second", "third"} {
		var err error
		if version, err = writer.WriteDocument(t.Context(), "head", version, []byte(text), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		select {
		case <-told:
		case <-time.After(20 * time.Second):
			t.Fatalf("nobody was told of the %s writing", text)
		}
		if got, _, err := reader.Document(t.Context(), "head"); err != nil || string(got) != text {
			t.Errorf("%q %v, want %q", got, err, text)
		}
	}
}
