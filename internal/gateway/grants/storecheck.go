package grants

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/gateway/stores"
	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
	"github.com/caddyoauth/caddyoauth/internal/session"
)

// examineWithin bounds a look at the place of the grants.
const examineWithin = 20 * time.Second

// examine tells the log what is amiss at the place of the grants, once for all
// sites that share it, when a configuration comes into force.
func (v *vault) examine() {
	if !v.examining.CompareAndSwap(false, true) {
		return
	}
	defer v.examining.Store(false)
	keeper := v.inForce()
	if keeper == nil {
		return
	}
	examiner, ok := keeper.store.(stores.Examiner)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(v.ctx, examineWithin)
	defer cancel()
	for _, one := range examiner.Examine(ctx) {
		if errors.Is(v.ctx.Err(), context.Canceled) {
			return
		}
		write := keeper.Log.Debug
		switch one.Result {
		case session.FindingFail:
			write = keeper.Log.Error
		case session.FindingWarn:
			write = keeper.Log.Warn
		}
		write("looked at the store of grants", zap.String("store", v.identity), zap.String("check", one.Check),
			zap.String("result", one.Result), zap.String("detail", one.Text), telemetry.Known("do", one.Do))
	}
}
