package config

import (
	"strings"
	"testing"
)

func TestSitesOfOneHostAreToldApartByPort(t *testing.T) {
	const handler = `{"handle":[{"handler":"oauth","realm":"`
	route := func(realm string) string {
		return `{"match":[{"host":["localhost"]}],` + handler[1:] + realm + `"}]}`
	}
	all, err := Find([]byte(`{"apps":{"http":{"servers":{
		"a":{"listen":[":8443"],"routes":[` + route("one") + `]},
		"b":{"listen":["127.0.0.1:9443","[::1]:9444"],"routes":[` + route("two") + `]},
		"c":{"listen":[":9000"],"routes":[` + route("two") + `,` + handler + `three"}]}]}}}}}`))
	if err != nil || len(all) != 3 {
		t.Fatal(all, err)
	}
	for host, want := range map[string]string{
		"localhost:8443": "one", "localhost:9443": "two", "localhost:9444": "two", "localhost:9000": "", "LOCALHOST:8443": "one",
		"other.example": "three", "other.example:9000": "three", ":9000": "three",
	} {
		site, err := Select(all, host, 0)
		if (err == nil) != (want != "") {
			t.Errorf("%s: %v", host, err)
			continue
		}
		if err == nil {
			if c, err := site.Read(); err != nil || c.Realm != want {
				t.Errorf("%s: %+v, %v, want %s", host, c, err, want)
			}
		}
	}
	_, err = Select(all, "localhost", 0)
	for _, want := range []string{"localhost on port 8443", "localhost on port 9443, 9444, 9000", "any host"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, without %q", err, want)
		}
	}
	for _, host := range []string{"localhost:1", "nowhere.example:8443"} {
		if _, err := Select(all, host, 0); err == nil {
			t.Errorf("%s was found", host)
		}
	}
}
