# The two commands to know: "make demo" shows what the gateway does,
# "make build" makes the Caddy that one ships.

GO ?= go

# Caddy's own build tags: without the storage back ends that nobody needs here.
# One set of flags for every build, since Go's cache is kept for each set.
TAGS := nobadger,nomysql,nopgx

.PHONY: build demo go-is-here

# Caddy with the gateway inside, as bin/caddy.
build: go-is-here
	@test -x bin/caddy || echo "Building bin/caddy. The first build of Caddy takes some minutes; the next ones seconds."
	@$(GO) build -tags $(TAGS) -o bin/caddy ./cmd/caddy

# Builds the demo and runs it until Ctrl-C.
demo: go-is-here
	@test -x bin/demo || echo "Building the demo. The first build of Caddy takes some minutes; the next ones seconds."
	@$(GO) build -tags $(TAGS) -o bin/demo ./cmd/demo
	@./bin/demo

go-is-here:
	@command -v $(GO) >/dev/null 2>&1 || { \
		echo "Go is missing: install it from https://go.dev/dl/ (go.mod says which version), and try again." >&2; exit 1; }
