package token

import (
	"bytes"
	"compress/zlib"
	"encoding/json"
	"fmt"
	"testing"
)

// The two examples of the specification (Token Status List §4.1).
func TestAStatusListIsReadAsTheSpecificationHasIt(t *testing.T) {
	for _, example := range []struct {
		bits, lst string
		want      []byte
	}{
		{"1", "eNrbuRgAAhcBXQ", []byte{1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1}},
		{"2", "eNo76fITAAPfAgc", []byte{1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3}},
	} {
		list, err := unpackStatuses(map[string]any{"bits": json.Number(example.bits), "lst": example.lst})
		if err != nil {
			t.Fatal(err)
		}
		for index, want := range example.want {
			if got, ok := list.at(uint64(index)); !ok || got != want {
				t.Errorf("%s bits: %d is %d, %v, want %d", example.bits, index, got, ok, want)
			}
		}
		if _, ok := list.at(uint64(list.Len())); ok || list.Len() != len(example.want) {
			t.Errorf("%s bits: it goes on behind %d", example.bits, list.Len())
		}
		for index, reason := range map[uint64]Reason{2: "", 0: StatusRefused} {
			known, err := list.Judge(index)
			if wantReason(t, err, reason); !known && example.want[index] == 0 {
				t.Error("not known")
			}
		}
		if known, err := list.Judge(1 << 60); known || err != nil {
			t.Errorf("far behind its end: %v, %v", known, err)
		}
	}
}

// The vectors of the specification's appendix (Token Status List, Appendix "Test
// vectors for Status List encoding"): lists of 2^20 tokens, of which few are not valid.
func TestTheSpecificationsVectorsAreRead(t *testing.T) {
	at := []uint64{0, 1993, 25460, 159495, 495669, 554353, 645645, 723232, 854545, 934534, 1000345}
	for _, vector := range []struct {
		bits, lst string
		want      []byte
	}{
		{"1", "eNrt3AENwCAMAEGogklACtKQPg9LugC9k_ACvreiogEAAKkeCQAAAAAAAAAAAAAAAAAAAIBylgQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAXG9IAAAAAAAAAPwsJAAAAAAAAAAAAAAAvhsSAAAAAAAAAAAA7KpLAAAAAAAAAAAAAAAAAAAAAJsLCQAAAAAAAAAAADjelAAAAAAAAAAAKjDMAQAAAACAZC8L2AEb", []byte{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
		{"2", "eNrt2zENACEQAEEuoaBABP5VIO01fCjIHTMStt9ovGVIAAAAAABAbiEBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEB5WwIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAID0ugQAAAAAAAAAAAAAAAAAQG12SgAAAAAAAAAAAAAAAAAAAAAAAAAAAOCSIQEAAAAAAAAAAAAAAAAAAAAAAAD8ExIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAwJEuAQAAAAAAAAAAAAAAAAAAAAAAAMB9SwIAAAAAAAAAAAAAAAAAAACoYUoAAAAAAAAAAAAAAEBqH81gAQw", []byte{1, 2, 1, 3, 1, 1, 2, 1, 1, 2, 3}},
	} {
		list, err := unpackStatuses(map[string]any{"bits": json.Number(vector.bits), "lst": vector.lst})
		if err != nil || list.Len() != 1<<20 {
			t.Fatal(vector.bits, err)
		}
		left := map[uint64]byte{}
		for n, index := range at {
			left[index] = vector.want[n]
		}
		for index := range uint64(1 << 20) {
			if got, ok := list.at(index); !ok || got != left[index] {
				t.Fatalf("%s bits: %d is %d, want %d", vector.bits, index, got, left[index])
			}
		}
	}
}

func deflated(tb testing.TB, text []byte) string {
	tb.Helper()
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	_, _ = z.Write(text)
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
	return strict.EncodeToString(b.Bytes())
}

func TestAStatusListThatIsOddOrTooLargeIsNone(t *testing.T) {
	good := deflated(t, []byte{1, 2, 3})
	for name, members := range map[string]string{
		"none": `null`, "no bits": `{"lst":"` + good + `"}`, "three bits": `{"bits":3,"lst":"` + good + `"}`, "bits as text": `{"bits":"1","lst":"` + good + `"}`,
		"bits as a fraction": `{"bits":1.0,"lst":"` + good + `"}`, "no lst": `{"bits":1}`, "lst as a list": `{"bits":1,"lst":[]}`, "padding": `{"bits":1,"lst":"` + good + `="}`,
		"not packed": `{"bits":1,"lst":"AQID"}`, "cut off": `{"bits":1,"lst":"` + good[:len(good)-4] + `"}`, "more behind it": `{"bits":1,"lst":"` + good + `AAAA"}`,
		"a bomb": `{"bits":1,"lst":"` + deflated(t, make([]byte, MaxStatusUnpacked+1)) + `"}`,
	} {
		all, err := ParseObject(`{"status_list":` + members + `}`)
		if err != nil {
			t.Fatal(name, err)
		}
		list, _ := all["status_list"].(map[string]any)
		if _, err := unpackStatuses(list); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
	if list, err := unpackStatuses(map[string]any{"bits": json.Number("8"), "lst": deflated(t, make([]byte, MaxStatusUnpacked))}); err != nil || list.Len() != MaxStatusUnpacked {
		t.Error("the largest one: ", err)
	}
}

func TestWhereATokensStatusStandsIsReadStrictly(t *testing.T) {
	for claims, want := range map[string]string{
		`{}`: " 0", `{"status":null}`: " 0", `{"status":{}}`: " 0", `{"status":{"other":{"x":1}}}`: " 0",
		`{"status":{"status_list":{"idx":7,"uri":"https://a.example/1"}}}`: "https://a.example/1 7",
		`{"status":{"status_list":{"idx":0,"uri":"https://a.example/1"}}}`: "https://a.example/1 0",
		`{"status":"active"}`: "refused", `{"status":{"status_list":[]}}`: "refused", `{"status":{"status_list":{"idx":7}}}`: "refused",
		`{"status":{"status_list":{"idx":-1,"uri":"u"}}}`: "refused", `{"status":{"status_list":{"idx":"7","uri":"u"}}}`: "refused",
		`{"status":{"status_list":{"idx":1.5,"uri":"u"}}}`: "refused", `{"status":{"status_list":{"idx":1e3,"uri":"u"}}}`: "refused",
		`{"status":{"status_list":{"idx":99999999999999999999,"uri":"u"}}}`: "refused", `{"status":{"status_list":{"uri":"u"}}}`: "refused",
	} {
		all, err := ParseObject(claims)
		if err != nil {
			t.Fatal(err)
		}
		ref, err := Claims(all).status()
		got := fmt.Sprint(ref.List, " ", ref.Index)
		if err != nil {
			wantReason(t, err, ClaimType)
			got = "refused"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", claims, got, want)
		}
	}
}

// An index is looked up for each request.
func TestLookingAStatusUpTakesNoMemory(t *testing.T) {
	list := &StatusList{bits: 2, packed: make([]byte, 1000)}
	list.packed[500] = 1
	if n := testing.AllocsPerRun(100, func() { _, _ = list.Judge(2000); _, _ = list.Judge(1); _, _ = list.Judge(1 << 40) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzStatusList(f *testing.F) {
	f.Add(uint8(1), "eNrbuRgAAhcBXQ", uint64(3))
	f.Add(uint8(2), "eNo76fITAAPfAgc", uint64(11))
	f.Add(uint8(8), "", uint64(0))
	f.Fuzz(func(t *testing.T, bits uint8, lst string, index uint64) {
		list, err := unpackStatuses(map[string]any{"bits": json.Number(fmt.Sprint(bits)), "lst": lst})
		if err != nil {
			if ReasonOf(err) == "" {
				t.Fatal("no refusal: ", err)
			}
			return
		}
		got, ok := list.at(index)
		if ok != (index < uint64(list.Len())) {
			t.Fatalf("%d of %d: %v", index, list.Len(), ok)
		}
		if !ok {
			return
		}
		// Bit by bit, the least significant first.
		want := byte(0)
		for n := range uint64(bits) {
			at := index*uint64(bits) + n
			want |= list.packed[at/8] >> (at % 8) & 1 << n
		}
		if got != want {
			t.Fatalf("%d with %d bits is %d, want %d", index, bits, got, want)
		}
	})
}
