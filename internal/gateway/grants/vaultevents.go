package grants

import (
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/session"
)

// observe counts what the vault does, and tells of it in the events, the audit
// stream and the log of the configuration in force.
func (v *vault) observe(e session.Event) {
	telemetry.Metrics.Session(&e)
	keeper := v.inForce()
	if keeper == nil {
		return
	}
	if e.Name == session.EventRenewal && e.Err != nil {
		keeper.events.RenewalFailed(&e)
	}
	if e.Name == session.EventEnd {
		keeper.audit.GrantEnded(&e)
	}
	var text string
	level := zapcore.DebugLevel
	switch e.Name {
	case session.EventRenewal:
		text = "refreshed a grant"
		if e.Err != nil {
			level, text = zapcore.WarnLevel, "refreshing a grant failed"
		}
		if issuers.IsClocks(e.Err) {
			level, text = zapcore.ErrorLevel, "a refresh brought an access token that is good for nothing: clocks differ"
		}
	case session.EventEnd:
		level, text = zapcore.InfoLevel, "a grant has ended"
	case session.EventReuse:
		level, text = zapcore.WarnLevel, "a reference refresh token was used twice: somebody has a copy; its grant is ended"
	case session.EventSaveError:
		level, text = zapcore.ErrorLevel, "the store did not take what a refresh has to write; what was refreshed serves from memory, and storing goes on"
	case session.EventDiscard:
		level, text = zapcore.WarnLevel, "a refresh came too late and was discarded"
	default:
		return // waiting: too many to log
	}
	if entry := keeper.Log.Check(level, text); entry != nil {
		took := zap.Skip()
		if e.Took > 0 {
			took = zap.Duration("took", e.Took)
		}
		failure := zap.Skip()
		if e.Err != nil {
			failure = zap.Error(e.Err)
		}
		entry.Write(zap.String("sref", e.Sref), telemetry.Known("issuer", e.Issuer), telemetry.Known("outcome", e.Detail), took, failure)
	}
}
