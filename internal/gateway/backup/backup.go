// Package backup is "caddy oauth backup": a copy of the file in which a running
// Caddy keeps grants, read from its admin endpoint.
package backup

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddyoauth/caddyoauth/internal/gateway/admin"
	"github.com/caddyoauth/caddyoauth/internal/gateway/command"
)

func init() {
	command.Register(newCommand)
}

func newCommand() *cobra.Command {
	var of command.Config
	var store string
	cmd := &cobra.Command{
		Use:   "backup <file>",
		Short: "Copies the grants of a running gateway into a file",
		Long: `Asks the admin endpoint of a running Caddy for a copy of its store of grants,
as it is at one moment, and writes it to a new file that only its owner can
read. Where there are several stores, --store names one as "caddy oauth status"
does. The admin endpoint is that of --address, else what the configuration
names (--config, else the Caddyfile here), else localhost:2019.

A store in Redis has its own means for that.

The exit status is 0 once the whole copy is on the disk, 1 if there is none,
and 2 after a mistake in the call.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return command.Exit(cmd, command.Misused, errors.New("name one file, which is made: caddy oauth backup <file>"))
			}
			return nil
		},
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := os.Lstat(args[0]); !errors.Is(err, fs.ErrNotExist) {
				return command.Exit(cmd, command.Misused, fmt.Errorf("%s is there already, or cannot be looked at: name a file that is made", args[0]))
			}
			endpoint, err := of.Endpoint()
			if err != nil {
				return command.Exit(cmd, command.Misused, err)
			}
			n, err := save(endpoint, store, args[0])
			if err == nil {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %d bytes\n", args[0], n)
			}
			return command.Exit(cmd, 1, err)
		},
	}
	of.Flags(cmd, "A configuration that names the admin endpoint", "The adapter of that configuration")
	cmd.Flags().StringVar(&store, "store", "", "The store, if there are several")
	return cmd
}

// save writes a copy under another name first: a file of this name is a whole one.
func save(endpoint, store, name string) (n int64, err error) {
	path := admin.BackupPath
	if store != "" {
		path += "?store=" + url.QueryEscape(store)
	}
	res, err := caddycmd.AdminAPIRequest(endpoint, http.MethodGet, path, nil, nil)
	if err != nil {
		return 0, fmt.Errorf("asking the admin endpoint: %w", err)
	}
	defer func() { _ = res.Body.Close() }() // it was only read
	if res.ContentLength <= 0 {
		return 0, fmt.Errorf("%s answers without a length: is it the admin endpoint of a gateway?", endpoint)
	}
	draft := name + "." + rand.Text()
	file, err := os.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the operator's own path
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.Remove(draft) }() // it has its name by then, or none
	n, err = io.Copy(file, res.Body)        // an answer that is cut off is an error
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return 0, fmt.Errorf("copying: %w", err)
	}
	// Not renamed: that would replace a file that was made meanwhile.
	if err := os.Link(draft, name); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return 0, err
		}
		return n, os.Rename(draft, name) // a file system without links
	}
	return n, nil
}
