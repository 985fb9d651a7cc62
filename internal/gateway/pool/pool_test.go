package pool

import "testing"

type held struct{ destructed int }

func (h *held) Destruct() error {
	h.destructed++
	return nil
}

func TestAValueIsSharedUntilItsLastUserLetsGo(t *testing.T) {
	p := New[*held]()
	made := 0
	construct := func() *held { made++; return new(held) }
	first, release := p.Acquire("a", construct)
	second, releaseSecond := p.Acquire("a", construct)
	if first != second || made != 1 || len(p.All()) != 1 {
		t.Fatalf("%d values were made for one key, and %d are held", made, len(p.All()))
	}
	release()
	if first.destructed != 0 || len(p.All()) != 1 {
		t.Fatal("a value that is in use was let go")
	}
	releaseSecond()
	if first.destructed != 1 || len(p.All()) != 0 {
		t.Fatal("a value that is not in use is still held")
	}
	if third, release := p.Acquire("a", construct); third == first {
		t.Error("a value that was destructed is used again")
	} else {
		release()
	}
}
