package command

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// Config is the configuration that a command looks at, as its flags name it.
type Config struct{ File, Adapter string }

// Flags adds --config and --adapter to a command, with what its help says of
// them.
func (c *Config) Flags(cmd *cobra.Command, file, adapter string) {
	cmd.Flags().StringVarP(&c.File, "config", "c", "", file)
	cmd.Flags().StringVarP(&c.Adapter, "adapter", "a", "", adapter)
}

// Read answers it as JSON. Without a name it is the Caddyfile here; nothing, if
// there is none.
func (c *Config) Read() ([]byte, error) {
	doc, _, _, err := caddycmd.LoadConfig(c.File, c.Adapter)
	return doc, err
}
