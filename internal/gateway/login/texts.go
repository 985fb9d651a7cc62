package login

import "github.com/caddyoauth/caddyoauth/internal/verdict"

// What pages say to people; the words of links and buttons are in pages.html.
// Nothing that came with the request is in a text.

// text is what a page says.
type text struct{ Title, Text string }

var (
	textAskLogout         = text{"Log out?", "You will be logged out of this site in this browser."}
	textLoggedOut         = text{"You are logged out", "Your session on this site has ended."}
	textCrossSite         = text{"Not from there", "This request did not come from a page of this site, so nothing was done."}
	textTryLater          = text{"Try again later", "Something that is needed here does not answer at the moment. You are not logged out by this."}
	textMethodNotAllowed  = text{"Not in this way", "This address does not take such a request."}
	textSessionsListed    = text{"Where you are logged in", "These browsers are logged in to this site as you."}
	textSessionsNeedLogin = text{"You are not logged in", "Log in to see your sessions."}
	textLogInFirst        = text{"You are not logged in", "Open this page itself to log in."}
	textNotUnderstood     = text{"That was not understood", "Your browser sent something that is not taken here. Nothing was done."}
	textNotFound          = text{"Nothing is here", "The gateway has no page at this address."}
)

// failureTexts are those for a log-in that failed, by its outcome.
var failureTexts = map[string]text{
	outcomeDenied:      {"You are not logged in", "The log-in was cancelled, or access was not granted."},
	outcomeNoState:     {"This log-in has ended", "It took too long, or was finished before. If you are logged in already, just go on."},
	outcomeBadRequest:  {"The log-in failed", "The address that led here is not complete."},
	outcomeWrongIssuer: {"The log-in failed", "The answer did not come from the service that you were to log in at."},
	outcomeBadCode:     {"The log-in failed", "The service that you logged in at does not know this log-in any more."},
	outcomeIDToken:     {"The log-in failed", "What came back from the service that you logged in at could not be verified. Whoever runs this site finds the reason in its log."},
	outcomeAccessToken: {"The log-in failed", "You are known, but what you were given is not meant for this site. Whoever runs it finds the reason in its log."},
	outcomeUserInfo:    {"The log-in failed", "The service that you logged in at did not tell who you are. Those who run this site find the reason in its log."},
	outcomeWeak:        {"That log-in was not enough", "What you wanted to see needs a stronger or a more recent log-in, and the service that you logged in at did not say that this was one. You are still logged in as before."},
	outcomeInsecure:    {"Log-in needs https", "This address is not encrypted, so your browser would not keep you logged in. Whoever runs this site finds the reason in its log."},
	outcomeTooMany:     {"Try again in a minute", "Too many log-ins have failed where you are, or are under way. You are not logged out by this."},
	outcomeFull:        {"You are logged in too often", "You are logged in to this site in so many places that no more are let in. Log out somewhere, or come back when one of them has ended."},
	outcomeRefused:     {"The log-in failed", "The service that you were to log in at refused this site. Whoever runs it finds the reason in its log."},
}

// refusalTexts are those for a request that was refused, by its reason.
var refusalTexts = map[string]text{
	verdict.NoCredential: {"You are not logged in", "Your session has ended, or the page that you come from is another site's. What you sent was not taken. Log in, go back to where you wrote it, and send it once more."},
	verdict.WeakLogIn:    {"A stronger log-in is needed", "What you sent was not taken: it needs a stronger log-in than yours. Open a page that asks for one, and then send it once more."},
	verdict.OldLogIn:     {"A new log-in is needed", "What you sent was not taken: your log-in was too long ago for it. Log in, go back to where you wrote it, and send it once more."},
	verdict.CrossSite:    textCrossSite,
	verdict.MissingScope: {"This is not for you", "You are logged in, and what you were granted does not reach as far as this. Those who run this site can tell you who may see it."},
	verdict.MissingClaim: {"This is not for you", "You are logged in, and are not among those who may see this. Those who run this site can tell you who they are."},
	verdict.TooEarly:     {"Once more, please", "Your browser was faster than its connection. Load the page again."},
}
