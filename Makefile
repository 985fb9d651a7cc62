# The two commands to know: "make demo" shows what the gateway does,
# "make test" sets up and passes all tests. Beside them "make build" makes the
# Caddy that one ships, "make bench" measures, "make fuzz" spends time.

GO ?= go

# Caddy's own build tags: without the storage back ends that nobody needs here.
# One set of flags for every build, since Go's cache is kept for each set.
TAGS := nobadger,nomysql,nopgx

.PHONY: build image demo test lint fuzz bench pictures go-is-here

# Caddy with the gateway inside, as bin/caddy.
build: go-is-here
	@test -x bin/caddy || echo "Building bin/caddy. The first build of Caddy takes some minutes; the next ones seconds."
	@$(GO) build -tags $(TAGS) -o bin/caddy ./cmd/caddy

# The container image caddy-oauth (IMAGE names it), with buildah, podman or docker.
# REDIS=1 puts the store for many nodes in.
image: go-is-here
	@GO="$(GO)" TAGS="$(TAGS)" ./deploy/image.sh

# Builds the demo and runs it until Ctrl-C.
demo: go-is-here
	@test -x bin/demo || echo "Building the demo. The first build of Caddy takes some minutes; the next ones seconds."
	@$(GO) build -tags $(TAGS) -o bin/demo ./cmd/demo
	@./bin/demo

# Installs what the tests need, then runs all of them: the fast ones in this
# module, and the built Caddy against real authorization servers in e2e.
test: go-is-here
	@./e2e/setup.sh
	@echo "Building and testing with the race detector. The first time takes some minutes."
	$(GO) vet -tags $(TAGS) ./...
	$(GO) test -race -tags $(TAGS) ./...
	$(GO) build -tags $(TAGS) -o bin/caddy ./cmd/caddy
	cd bench && $(GO) vet ./... && $(GO) test ./...
	cd e2e && $(GO) vet ./... && CADDY_BIN=$(CURDIR)/bin/caddy $(GO) test -race -count=1 -timeout 40m ./...

# The chosen linters (.golangci.yml); building them takes some minutes once.
lint: go-is-here
	$(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0 run ./...

# Each fuzz target in turn, FUZZTIME each.
FUZZTIME ?= 30s
fuzz: go-is-here
	@for package in $$($(GO) list ./...); do \
		for target in $$($(GO) test -tags $(TAGS) -list '^Fuzz' $$package | grep '^Fuzz'); do \
			echo "$$package $$target"; \
			$(GO) test -tags $(TAGS) -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package || exit 1; \
		done; \
	done

# In process first, then the built Caddy beside bare Caddy, HAProxy and Apache.
bench: build
	$(GO) test -tags $(TAGS) -run '^$$' -bench . -benchmem . ./internal/token
	@./bench/setup.sh
	cd bench && $(GO) run . -caddy ../bin/caddy

# The drawings of docs/, from the text beside them; needs Graphviz.
pictures:
	@for text in docs/pictures/*.dot; do dot -Tsvg "$$text" -o "$${text%.dot}.svg" || exit 1; done

go-is-here:
	@command -v $(GO) >/dev/null 2>&1 || { \
		echo "Go is missing: install it from https://go.dev/dl/ (go.mod says which version), and try again." >&2; exit 1; }
