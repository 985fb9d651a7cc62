package login

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/caddyoauth/caddyoauth/internal/gateway/telemetry"
)

// noteOf is what a user will know a browser by: its kind and about where it is.
func noteOf(r *http.Request) string {
	return browserName(r.UserAgent()) + ", " + coarse(telemetry.ClientAddress(r))
}

// browserName knows the usual ones; their order counts, since each says that it
// is the others too.
func browserName(agent string) string {
	name, system := "A browser", ""
	for _, known := range [][2]string{{"Edg", "Edge"}, {"OPR/", "Opera"}, {"Firefox/", "Firefox"}, {"Chrom", "Chrome"}, {"Safari/", "Safari"}} {
		if strings.Contains(agent, known[0]) {
			name = known[1]
			break
		}
	}
	for _, known := range [][2]string{{"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Windows", "Windows"}, {"Mac OS X", "macOS"}, {"CrOS", "ChromeOS"}, {"Linux", "Linux"}} {
		if strings.Contains(agent, known[0]) {
			system = " on " + known[1]
			break
		}
	}
	return name + system
}

// coarse is about where an address is: its network, not the machine.
func coarse(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return "address unknown"
	}
	ip = ip.Unmap().WithZone("")
	bits := 24
	if ip.Is6() {
		bits = 48
	}
	network, err := ip.Prefix(bits)
	if err != nil {
		return "address unknown"
	}
	return "network " + network.String()
}
