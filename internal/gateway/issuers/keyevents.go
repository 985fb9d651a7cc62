package issuers

import (
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddyoauth/caddyoauth/internal/as"
	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/token"
)

// warnAgain is how often an outage is told of. Keys may be asked for each second.
const warnAgain = time.Minute

// observer tells an operator what happens with an issuer's keys.
func observer(log *zap.Logger, issuer string) func(as.Event) {
	log = log.With(zap.String("issuer", issuer))
	var unlisted atomic.Int64    // when a status list was told of that failed; each is fetched by itself
	var warned, unread time.Time // of the outage that lasts; for these the loop is the one caller
	var unusable string          // what was said of a set without a usable key
	return func(e as.Event) {
		switch e.Op {
		case as.OpFetch:
			telemetry.Metrics.Fetched(issuer, e)
			if e.Err != nil {
				level := zapcore.DebugLevel
				if time.Since(warned) >= warnAgain {
					level, warned = zapcore.WarnLevel, time.Now()
				}
				text := "fetching the issuer's keys failed; keys that are there stay in force"
				if !e.Held {
					text = "no keys of this issuer yet: fetching them failed, and its tokens are answered with 503"
				}
				log.Log(level, text, zap.Error(e.Err), zap.String("do", cureOf(e.Err, issuer)), zap.String("command", AskDoctor(issuer)), zap.Duration("took", e.Took))
				if text := e.Err.Error(); len(e.Skipped) > 0 && text != unusable {
					unusable = text
					tellSkipped(log, e.Skipped)
				}
				return
			}
			warned, unusable = time.Time{}, ""
			if !e.Changed {
				log.Debug("fetched the issuer's keys, unchanged", zap.Int("keys", e.Keys), zap.Duration("took", e.Took))
				return
			}
			log.Info("fetched the issuer's keys", zap.Int("keys", e.Keys), zap.Duration("took", e.Took))
		case as.OpMetadata:
			if time.Since(unread) >= warnAgain {
				unread = time.Now()
				log.Warn("reading the issuer's metadata failed; its keys are asked for where jwks says", zap.Error(e.Err))
			}
			return
		case as.OpRestore:
			if e.Err != nil {
				log.Warn("stored keys were not used", zap.Error(e.Err))
				break
			}
			log.Info("using stored keys until the issuer answers", zap.Int("keys", e.Keys))
		case as.OpStatusList:
			telemetry.Metrics.FetchedStatuses(issuer, e.Err)
			tellStatusList(log, &e, &unlisted)
			return
		case as.OpContradiction:
			log.Warn("the issuer's documents of metadata contradict each other; what is named first counts", zap.Strings("where", e.Differ))
		case as.OpStore:
			log.Warn("storing the issuer's keys failed: a restart will need the issuer", zap.Error(e.Err))
		}
		tellSkipped(log, e.Skipped)
	}
}

// tellSkipped names the keys that cannot be used. They are no more than a set
// may have.
func tellSkipped(log *zap.Logger, skipped []token.Skipped, where ...zap.Field) {
	for _, s := range skipped {
		level := zapcore.WarnLevel
		if s.Encrypts() {
			level = zapcore.DebugLevel
		}
		log.With(where...).Log(level, "left a key of the issuer out", zap.String("kid", s.KeyID), zap.Int("index", s.Index), zap.Error(s.Err))
	}
}

// tellStatusList tells of a fetch of a list of statuses.
func tellStatusList(log *zap.Logger, e *as.Event, told *atomic.Int64) {
	log = log.With(zap.String("list", e.List), zap.Duration("took", e.Took))
	if e.Err == nil {
		log.Debug("fetched a status list")
		return
	}
	level := zapcore.DebugLevel
	if now := time.Now().Unix(); now-told.Load() >= int64(warnAgain/time.Second) {
		level = zapcore.WarnLevel
		told.Store(now)
	}
	text := "fetching a status list failed; the one that is there stays in force"
	if !e.Held {
		text = "no status list yet: fetching it failed, and tokens that name it are answered with 503"
	}
	log.Log(level, text, zap.Error(e.Err))
}
