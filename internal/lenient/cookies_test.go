package lenient

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestCookiesAreTakenOffAndAllOthersStayByteForByte(t *testing.T) {
	ours := func(name, value string) bool { return name == "ours" || value == "ours" }
	for _, row := range []struct{ came, left []string }{
		{[]string{"a=1; b=2"}, []string{"a=1; b=2"}},
		{[]string{"ours=1"}, nil},
		{[]string{"ours=1; a=1"}, []string{"a=1"}},
		{[]string{"a=1; ours=1"}, []string{"a=1"}},
		{[]string{"a=1; ours=1; b=2"}, []string{"a=1; b=2"}},
		{[]string{"ours=1; a=1;  b = ours;c=3 ;ours ;; d"}, []string{"a=1;c=3 ;; d"}},
		{[]string{"; ours=1;a=1"}, []string{";a=1"}},
		{[]string{"ours=1;"}, nil},
		{[]string{"a=1;ours=1;"}, []string{"a=1;"}},
		{[]string{"a=1", "ours=1", "ours=2; b=2"}, []string{"a=1", "b=2"}},
		{[]string{"\tours\t=1; a=\t"}, []string{"a=\t"}},
	} {
		h := http.Header{"Cookie": slices.Clone(row.came)}
		if DropCookies(h, ours); !slices.Equal(h["Cookie"], row.left) {
			t.Errorf("%q: left %q, want %q", row.came, h["Cookie"], row.left)
		}
		if _, has := h["Cookie"]; has != (len(row.left) > 0) {
			t.Errorf("%q: an empty field is left", row.came)
		}
	}
}

// What is left is what remains of the parts between semicolons, whatever they are.
func FuzzDropCookies(f *testing.F) {
	for _, text := range []string{"", "a=1; ours=1; b", ";;ours", "ours=;ours;a", " ; ours"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, field string) {
		ours := func(name, _ string) bool { return name == "ours" }
		var rest []string
		for pair := range strings.SplitSeq(field, ";") {
			if name, _ := CookieOf(pair); name != "ours" {
				rest = append(rest, pair)
			}
		}
		h := http.Header{"Cookie": {field}}
		DropCookies(h, ours)
		if want := strings.TrimLeft(strings.Join(rest, ";"), " "); len(rest) < strings.Count(field, ";")+1 && strings.Join(h["Cookie"], "|") != want {
			t.Fatalf("%q: left %q, want %q", field, h["Cookie"], want)
		}
	})
}
