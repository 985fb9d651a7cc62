package login

import (
	"net/http"

	"github.com/caddyoauth/caddyoauth/internal/verdict"
)

// pageOf is what a person sees of a refusal.
func pageOf(rejection *verdict.Rejection) *page {
	said, known := refusalTexts[rejection.Reason]
	switch {
	case known:
	case rejection.Status == http.StatusUnauthorized:
		said = refusalTexts[verdict.NoCredential]
	case rejection.Status == http.StatusForbidden:
		said = refusalTexts[verdict.MissingClaim]
	default:
		said = textNotUnderstood
	}
	return &page{text: said, Home: true}
}
