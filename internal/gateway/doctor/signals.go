package doctor

import (
	"context"
	"strings"

	"github.com/caddyoauth/caddyoauth/internal/as"
)

// checkSignals asks the transmitter of an issuer's events about the stream, as the
// gateway does: it is there, it is enabled, and its events would be done.
func (d *doctor) checkSignals(ctx context.Context, t target) {
	if t.issuer.Signals == nil {
		return
	}
	var server *as.Server
	if t.set.Fixed == nil {
		config := t.config
		config.Jitter = func() float64 { return 0 }
		server = as.New(config)
		defer server.Close()
	}
	receiver, release := t.issuer.Receive(t.url, t.set, t.client, server, "doctor")
	defer release()
	if !receiver.Asks() {
		d.say(t.url, checkSignalsOf, resultWarn, "write token <secret> in signals, or client <id> <secret> in the issuer block, to have the stream looked at and verified",
			"nothing is there to show the transmitter: nobody would see that its stream does not work")
		return
	}
	report, err := receiver.Describe(ctx)
	if err != nil {
		d.say(t.url, checkSignalsOf, resultFail, receiver.Cure(err), "the stream of events cannot be looked at: %v", err)
		return
	}
	for _, text := range report.Amiss {
		d.say(t.url, checkSignalsOf, resultFail, "see caddy oauth signals --help", "%s", text)
	}
	if len(report.Amiss) == 0 {
		d.say(t.url, checkSignalsOf, resultOK, "", "%s has the stream %s (%s) for %s: %s", report.Transmitter, report.Stream, strings.Trim(report.Status+" "+report.Method, " "),
			strings.Join(report.Audience, " "), strings.Join(report.Events, ", "))
	}
}
