package redisstore

import (
	"flag"
	"os"
	"testing"
)

// The parallel tests wait for servers and sentinels, and compute nothing, so that
// many more of them than there are cores may run at a time.
func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", "12")
	}
	os.Exit(m.Run())
}
