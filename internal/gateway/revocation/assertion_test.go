package revocation

import (
	"fmt"
	"testing"
	"time"
)

// A process without a store remembers by itself what came, within bounds.
func TestACallCountsOnceAndFloodsAreBounded(t *testing.T) {
	c, later := new(calls), time.Now().Add(time.Hour)
	for n, want := range []bool{true, false} {
		if first, err := c.Once(t.Context(), later, "iss", "1"); first != want || err != nil {
			t.Errorf("%d: %v %v", n, first, err)
		}
	}
	if err := c.Forget(t.Context(), "iss", "1"); err != nil {
		t.Fatal(err)
	}
	if first, err := c.Once(t.Context(), time.Now().Add(-time.Second), "iss", "1"); !first || err != nil {
		t.Errorf("what was forgotten: %v %v", first, err)
	}
	for n := range mostCalls - 1 {
		if _, err := c.Once(t.Context(), later, "flood", fmt.Sprint(n)); err != nil {
			t.Fatal(n, err)
		}
	}
	if first, err := c.Once(t.Context(), later, "iss", "2"); !first || err != nil { // in the place of one that is over
		t.Errorf("%v %v", first, err)
	}
	if _, err := c.Once(t.Context(), later, "iss", "3"); err == nil {
		t.Error("it remembers without bounds")
	}
}
