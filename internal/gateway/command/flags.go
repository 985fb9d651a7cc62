package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
	"go.uber.org/zap"
)

// Config is the configuration that a command looks at, and the running Caddy, as
// its flags name them. Every command finds them by one rule: the configuration is
// that of --config, else the Caddyfile here, else what the running Caddy runs; its
// admin endpoint is that of --address, else what the configuration names, else
// Caddy's own default.
type Config struct{ File, Adapter, Address string }

// Rule says by which rule, for the help of commands.
const Rule = `Without --config it is the Caddyfile here, and where there is none what the
running Caddy runs, by its admin endpoint: --address, else what the
configuration names, else localhost:2019.`

// Flags adds --config, --adapter and --address to a command, with what its help
// says of the first two.
func (c *Config) Flags(cmd *cobra.Command, file, adapter string) {
	cmd.Flags().StringVarP(&c.File, "config", "c", "", file)
	cmd.Flags().StringVarP(&c.Adapter, "adapter", "a", "", adapter)
	cmd.Flags().StringVar(&c.Address, "address", "", "the admin endpoint of the running Caddy")
}

// Read answers the configuration as JSON.
func (c *Config) Read() ([]byte, error) {
	if !c.inFile() {
		return c.running()
	}
	Quiet()
	doc, _, _, err := caddycmd.LoadConfig(c.File, c.Adapter)
	return doc, err
}

// Endpoint is the admin endpoint of the running Caddy.
func (c *Config) Endpoint() (string, error) {
	if c.Address != "" || !c.inFile() {
		return caddycmd.DetermineAdminAPIAddress(c.Address, nil, "", "")
	}
	doc, err := c.Read()
	if err != nil {
		return "", err
	}
	var of struct{ Admin caddy.AdminConfig }
	if err := json.Unmarshal(doc, &of); err != nil {
		return "", fmt.Errorf("reading the configuration: %w", err)
	}
	return caddycmd.DetermineAdminAPIAddress(of.Admin.Listen, nil, "", "")
}

// inFile reports whether there is a file to read.
func (c *Config) inFile() bool {
	if c.File != "" || c.Adapter != "" {
		return true
	}
	_, err := os.Stat("Caddyfile")
	return !errors.Is(err, fs.ErrNotExist)
}

// longestConfig bounds what is read of a running Caddy's configuration.
const longestConfig = 64 << 20

// running is the configuration of the running Caddy.
func (c *Config) running() ([]byte, error) {
	endpoint, err := c.Endpoint()
	if err != nil {
		return nil, err
	}
	res, err := caddycmd.AdminAPIRequest(endpoint, http.MethodGet, "/config/", nil, nil)
	if err != nil {
		return nil, fmt.Errorf("there is no Caddyfile here, and no Caddy answers at %s; name a configuration with --config: %w", endpoint, err)
	}
	defer func() { _ = res.Body.Close() }() // it was only read
	return io.ReadAll(io.LimitReader(res.Body, longestConfig))
}

// Quiet keeps Caddy's own log lines from standing above what a command says. What is wrong comes back as an error.
func Quiet() {
	_, _, _ = caddy.BufferedLog()
	caddy.UnbufferDefaultLogger(zap.NewNop())
}
