package telemetry

import "github.com/prometheus/client_golang/prometheus"

// loginCollectors are what is counted of browsers.
type loginCollectors struct{ logins, logouts *prometheus.CounterVec }

func newLoginCollectors() *loginCollectors {
	return &loginCollectors{
		logins: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "caddy_oauth_logins_total",
			Help: "Log-ins of browsers, by outcome: begun, then logged_in or why not.",
		}, []string{"issuer", "outcome"}),
		logouts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "caddy_oauth_logouts_total",
			Help: "Log-outs that were done, by who asked: user, sessions (the page of one's own sessions) or backchannel (the issuer).",
		}, []string{"issuer", "by"}),
	}
}

func (c *loginCollectors) all() []prometheus.Collector {
	return []prometheus.Collector{c.logins, c.logouts}
}

func (c *loginCollectors) Login(issuer, outcome string) {
	c.logins.WithLabelValues(issuer, outcome).Inc()
}

func (c *loginCollectors) Logout(issuer, by string) {
	c.logouts.WithLabelValues(issuer, by).Inc()
}
