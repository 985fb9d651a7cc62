package token

import "testing"

func TestWhatPeopleMistypeIsNamed(t *testing.T) {
	for _, row := range []struct{ a, b, want string }{
		{"https://login.example", "https://login.example/", "a slash at the end"},
		{"https://login.example/realms/a/", "https://login.example/realms/a", "a slash at the end"},
		{"http://login.example/realms/a", "https://login.example/realms/a", "the scheme"},
		{"https://login.example:8443/realms/a", "https://login.example/realms/a", "the port"},
		{"http://keycloak:8080/realms/a", "http://localhost:8080/realms/a", "the host"},
		{"http://keycloak:8080", "http://127.0.0.1:8080", "the host"},
		{"https://Login.example", "https://login.example", "upper and lower case"},
		{"https://a.example/realms/a", "https://b.example/realms/a", "the host"},
		{"API", "api", "upper and lower case"},
		{"https://a.example", "https://b.example", ""},
		{"http://keycloak:8080/realms/a", "https://login.example/realms/a", ""},
		{"https://login.example/realms/a", "https://login.example/realms/b", ""},
		{"https://u@login.example/a", "https://login.example/a", ""},
		{"api", "api", ""}, {"", "/", ""}, {"api", "other", ""},
	} {
		if got := DifferBy(row.a, row.b); got != row.want || DifferBy(row.b, row.a) != row.want {
			t.Errorf("%s and %s differ by %q, want %q", row.a, row.b, got, row.want)
		}
	}
}
