// Command demo is Caddy with the gateway and the development issuer inside.
//
// Without arguments it runs caddyfile/demo.Caddyfile and a small API behind
// it, and prints what to try. With arguments it is Caddy, so that other
// configs with a devissuer can be run too.
package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyoauth/caddyoauth"
	_ "github.com/caddyoauth/caddyoauth/devissuer"
	_ "github.com/caddyoauth/caddyoauth/redisstore"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

const (
	address = "127.0.0.1:8080" // as in the Caddyfile and in the guide
	file    = "caddyfile/demo.Caddyfile"
)

// guide is what the demo prints. A line indented by two spaces is a command to
// try; the test runs them all.
//
//go:embed guide.txt
var guide string

func main() {
	if len(os.Args) > 1 {
		caddycmd.Main()
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// After the first Ctrl-C the next one ends the process at once.
	context.AfterFunc(ctx, stop)
	if err := demo(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// demo checks what it needs and runs until the context ends.
func demo(ctx context.Context) error {
	config, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s is not here: run the demo from the top of the checkout, or with \"make demo\"", file)
	} else if err != nil {
		return err
	}
	at, err := addressOf(os.Getenv("DEMO_PORT"))
	if err != nil {
		return err
	}
	if err := checkFree(at); err != nil {
		return err
	}
	here := strings.NewReplacer(address, at)
	return run(ctx, []byte(here.Replace(string(config))), func() { fmt.Print(here.Replace(guide)) })
}

// addressOf is where the demo listens: at a port of one's choice, or where its files
// say.
func addressOf(port string) (string, error) {
	if port == "" {
		return address, nil
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return "", fmt.Errorf("the port is %q; it is a number from 1 to 65535, as in \"make demo PORT=9000\"", port)
	}
	return "127.0.0.1:" + port, nil
}

// checkFree looks before Caddy listens: Caddy shares its ports with other
// processes of the same user, so two demos would answer by turns.
func checkFree(address string) error {
	listener, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s is in use: stop the program that listens there (perhaps another demo), or take another port: make demo PORT=9000", address)
	} else if err != nil {
		return fmt.Errorf("cannot listen on %s: %w", address, err)
	}
	return listener.Close()
}

// run starts the API and Caddy, calls ready, waits for the context's end and
// leaves nothing behind.
func run(ctx context.Context, caddyfile []byte, ready func()) (err error) {
	storage, err := os.MkdirTemp("", "oauth-demo-")
	if err != nil {
		return fmt.Errorf("making a directory for Caddy's storage: %w", err)
	}
	defer os.RemoveAll(storage)

	upstream, stop, err := startAPI()
	if err != nil {
		return err
	}
	defer stop()

	// XDG_DATA_HOME is where Caddy would keep a file of its own identity.
	for name, value := range map[string]string{"DEMO_STORAGE": storage, "XDG_DATA_HOME": storage, "DEMO_API": upstream} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	config, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt(caddyfile, map[string]any{"filename": file})
	if err != nil {
		return fmt.Errorf("reading the Caddyfile: %w", err)
	}
	for _, warning := range warnings {
		fmt.Fprintln(os.Stderr, "demo:", warning)
	}
	if err := caddy.Load(config, true); err != nil {
		return fmt.Errorf("starting Caddy: %w", err)
	}
	defer func() { err = errors.Join(err, caddy.Stop()) }()

	ready()
	<-ctx.Done()
	return nil
}

// startAPI runs the API that the gateway protects, on a loopback port that
// the system chooses. It is a real hop: the API knows of the caller only what
// the gateway tells it.
func startAPI() (address string, stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("starting the API: %w", err)
	}
	server := &http.Server{Handler: http.HandlerFunc(serveAPI), ReadHeaderTimeout: 5 * time.Second}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintln(os.Stderr, "demo: the API has ended:", err)
		}
	}()
	return listener.Addr().String(), func() { _ = server.Close() }, nil
}
