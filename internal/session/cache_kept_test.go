package session

import (
	"fmt"
	"testing"
	"time"
)

func TestWhatIsKeptIsBounded(t *testing.T) {
	var w cache
	for i := range 3 * cacheMost {
		w.keep(&opened{row: Row{Key: someKey(i)}}, 0)
	}
	defer w.close()
	n := 0
	for i := range w.shards {
		n += len(w.shards[i].all)
	}
	if n > cacheMost || n < cacheMost/2 {
		t.Errorf("%d are kept", n)
	}
}

func someKey(i int) Key { return Key([]byte(fmt.Sprintf("%-32x", i*0x9e3779b1&0xffffffff))) }

// A row that was read while it was being written may be the older one.
func TestWhatWasReadBesideAWriteIsNotKept(t *testing.T) {
	row := Row{Key: Key{1}, Generation: 1, Sealed: []byte("a")}
	next := row
	next.LastUsed = time.Unix(1, 0)
	for name, story := range map[string]func(w *cache){
		"read before, kept after": func(w *cache) {
			_, writes := w.get(row.Key)
			wrote := w.writing(row.Key)
			wrote(&next, nil)
			w.keep(&opened{row: row}, writes)
		},
		"read before, kept amid": func(w *cache) {
			_, writes := w.get(row.Key)
			wrote := w.writing(row.Key)
			w.keep(&opened{row: row}, writes)
			wrote(&next, nil)
		},
		"read amid, kept after": func(w *cache) {
			wrote := w.writing(row.Key)
			_, writes := w.get(row.Key)
			wrote(&next, nil)
			w.keep(&opened{row: row}, writes)
		},
		"two writes": func(w *cache) {
			w.keep(&opened{row: row}, 0)
			first, second := w.writing(row.Key), w.writing(row.Key)
			second(&row, nil) // whichever came later
			first(&next, nil)
		},
		"a conflict": func(w *cache) {
			w.keep(&opened{row: row}, 0)
			w.writing(row.Key)(&next, ErrConflict)
		},
		"a failure": func(w *cache) {
			w.keep(&opened{row: row}, 0)
			during := w.writing(row.Key)
			w.writing(row.Key)(&next, errTest)
			during(&next, nil) // says nothing of what came after it
			_, writes := w.get(row.Key)
			w.keep(&opened{row: row}, writes)
		},
		"a new pair": func(w *cache) {
			w.keep(&opened{row: row}, 0)
			renewed := next
			renewed.Generation, renewed.Sealed = 2, []byte("b")
			w.writing(row.Key)(&renewed, nil)
		},
	} {
		w := &cache{alone: true}
		story(w)
		if kept, _ := w.get(row.Key); kept != nil {
			t.Errorf("%s: %v is kept", name, kept.row.LastUsed)
		}
		w.close()
	}
	w := &cache{alone: true}
	defer w.close()
	w.keep(&opened{row: row}, 0)
	w.writing(row.Key)(&next, nil)
	if kept, _ := w.get(row.Key); kept == nil || !kept.row.LastUsed.Equal(next.LastUsed) {
		t.Error("a write alone is not kept")
	}
	w.writing(row.Key)(&next, errTest)
	w.writing(row.Key)(&next, nil)
	_, writes := w.get(row.Key)
	w.keep(&opened{row: row}, writes)
	if kept, _ := w.get(row.Key); kept == nil {
		t.Error("one failure is remembered for ever")
	}
}
