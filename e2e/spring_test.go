package e2e

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

func TestTheSpringServerOfTheTestsHasTheBeanOfThePage(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("issuers/spring/src/main/java/issuer/Main.java")
	if err != nil {
		t.Fatal(err)
	}
	bean := recipeOf(t, "issuers/spring.md", "java", "OAuth2TokenCustomizer")
	for line := range strings.Lines(bean) {
		if !strings.Contains(string(source), "\t"+line) {
			t.Errorf("Main.java has no line %q", line)
		}
	}
}

func TestSpringsTwoMetadataDocumentsDiffer(t *testing.T) {
	t.Parallel()
	s := runSpring(t)
	for document, has := range map[string]bool{"openid-configuration": true, "oauth-authorization-server": false} {
		var said map[string]any
		if err := json.Unmarshal([]byte(get(t, s.desk.url+"/.well-known/"+document, "").body), &said); err != nil {
			t.Fatal(err)
		}
		for _, member := range []string{"end_session_endpoint", "userinfo_endpoint"} {
			if (said[member] != nil) != has {
				t.Errorf("%s in %s: %v", member, document, said[member])
			}
		}
	}
}
