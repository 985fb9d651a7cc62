// Package health is the module http.handlers.oauth_health: what a load balancer
// or Kubernetes asks about the process.
package health

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddyoauth/caddyoauth/internal/gateway/grammar"
	"github.com/caddyoauth/caddyoauth/internal/gateway/issuers"
)

func init() {
	caddy.RegisterModule(new(Handler))
	httpcaddyfile.RegisterHandlerDirective("oauth_health", parse)
	httpcaddyfile.RegisterDirectiveOrder("oauth_health", httpcaddyfile.Before, "respond")
}

// Handler answers /live and /ready for what watches the process. It knows
// the issuers of every gateway in it, so it belongs on a listener of its own
// that strangers cannot reach.
//
// /live is 200 for as long as Caddy serves. /ready is 200 when there are keys
// to judge by for every issuer, and 503 before that and while Caddy waits for
// its end (shutdown_delay). Other paths go to the next handler.
type Handler struct {
	// After so long from the start of the process it is ready even without the
	// keys of some issuer, whose tokens get 503 until they come. Default: it
	// is not.
	ReadyGrace caddy.Duration `json:"ready_grace,omitempty"`

	log  *zap.Logger
	once sync.Once // the log line about the grace
}

// processStart is what the grace counts from: a reload does not begin it anew.
var processStart = time.Now()

// CaddyModule names the module.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.oauth_health", New: func() caddy.Module { return new(Handler) }}
}

// Provision prepares the handler.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.log = ctx.Logger()
	return nil
}

// report is what is answered.
type report struct {
	Status  string         `json:"status"` // live, ready, not_ready or stopping
	Detail  string         `json:"detail,omitempty"`
	Issuers []issuerReport `json:"issuers,omitempty"`
}

type issuerReport struct {
	Issuer string `json:"issuer"`
	Keys   bool   `json:"keys"`
	Error  string `json:"error,omitempty"` // why the last fetch failed
}

// ServeHTTP answers the two paths.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	answer, status := report{Status: "live"}, http.StatusOK
	switch r.URL.Path {
	case "/live":
	case "/ready":
		answer, status = h.ready(issuersReport(), stopping(r), time.Since(processStart))
	default:
		return next.ServeHTTP(w, r)
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return nil
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	text = append(text, '\n')
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(text) // who asked has gone, if anything
	}
	return nil
}

// ready judges what is known of the issuers, with the process so old.
func (h *Handler) ready(all []issuerReport, stopping bool, age time.Duration) (report, int) {
	answer := report{Status: "not_ready", Issuers: all}
	var missing []string
	for _, issuer := range all {
		if !issuer.Keys {
			missing = append(missing, issuer.Issuer)
		}
	}
	grace := time.Duration(h.ReadyGrace)
	switch {
	case stopping:
		answer.Status, answer.Detail = "stopping", "the process is about to end"
	case len(all) == 0:
		answer.Detail = "no gateway is configured"
	case len(missing) == 0:
		answer.Status = "ready"
		return answer, http.StatusOK
	case grace > 0 && age >= grace:
		answer.Status = "ready"
		answer.Detail = "ready after a grace period of " + grace.String() + ", without keys of " + strings.Join(missing, ", ")
		h.once.Do(func() {
			h.log.Warn("ready without the keys of every issuer: requests with tokens of the others get 503",
				zap.Strings("missing", missing), zap.Duration("ready_grace", grace))
		})
		return answer, http.StatusOK
	default:
		answer.Detail = "no keys of " + strings.Join(missing, ", ")
	}
	return answer, http.StatusServiceUnavailable
}

// issuersReport is how it stands with every issuer of this process. Two
// settings of one issuer are two lines.
func issuersReport() []issuerReport {
	found := []issuerReport{}
	for _, state := range issuers.States(time.Now(), nil) {
		found = append(found, issuerReport{Issuer: state.Issuer, Keys: state.HasKeys(), Error: state.LastError})
	}
	return found
}

// stopping reports whether Caddy waits for its end.
func stopping(r *http.Request) bool {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return false
	}
	value, _ := repl.Get("http.shutting_down")
	yes, _ := value.(bool)
	return yes
}

// parse reads:
//
//	oauth_health [<matcher>] {
//		ready_grace <duration>
//	}
func parse(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	h.Next() // the directive's name
	if h.NextArg() {
		return nil, h.Errf("oauth_health takes a block, if anything: oauth_health { ready_grace <duration> }")
	}
	health := new(Handler)
	return health, grammar.Block(h.Dispenser, func(d *caddyfile.Dispenser, seen grammar.Once) error {
		if d.Val() != "ready_grace" {
			return grammar.Unknown(d, "oauth_health", "ready_grace")
		}
		return seen.Duration(d, &health.ReadyGrace)
	})
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
