package e2e

import (
	"flag"
	"os"
	"testing"
)

// Most parallel tests of this suite wait for something and compute nothing, so
// that many more of them than there are cores may run at a time.
func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", "20")
	}
	go watchLag()
	if flag.Lookup("test.list").Value.String() == "" {
		foreseeKeycloak(flag.Lookup("test.run").Value.String())
	}
	code := m.Run()
	endIssuerHosts()
	endKeycloak()
	endShared()
	os.Exit(code)
}
