package boltstore

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyoauth/caddyoauth/internal/session"
)

func TestTheFileAndItsDiskAreLookedAtAndStayAsTheyAre(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(dir, "open.db")
	s, err := Open(open, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for path, want := range map[string]string{
		open:                                 "ok store ",
		filepath.Join(dir, "new.db"):         "ok store ",
		filepath.Join(dir, "a", "b", "c.db"): "ok store ",
		dir:                                  "fail store it is a directory",
		filepath.Join(file, "below.db"):      "fail store ",
	} {
		result, words, _ := strings.Cut(want, " store ")
		all := Examine(path)
		if len(all) == 0 || all[0].Result != result || !strings.Contains(all[0].Text, words) {
			t.Errorf("%s: %+v", path, all)
		}
		if result == session.FindingOK && (len(all) != 2 || !strings.Contains(fmt.Sprint(all[1]), "MB are left")) {
			t.Errorf("%s: nothing of its disk: %+v", path, all)
		}
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 2 {
		t.Errorf("left behind: %v, %v", names, err)
	}
	if err := s.Create(t.Context(), session.Row{Key: session.NewHandle().Key(), Until: time.Now().Add(time.Hour)}); err != nil {
		t.Errorf("the store that is open: %v", err)
	}
	if os.Geteuid() != 0 {
		closed := filepath.Join(dir, "closed")
		if err := os.Mkdir(closed, 0o500); err != nil {
			t.Fatal(err)
		}
		if all := Examine(filepath.Join(closed, "new.db")); all[0].Result != session.FindingFail {
			t.Errorf("a directory that cannot be written: %+v", all)
		}
	}
}
