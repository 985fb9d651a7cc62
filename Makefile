# The two commands to know: "make demo" shows what the gateway does,
# "make test" sets up and passes all tests. Beside them "make check" is what to run
# while one writes, "make soak" tests for as long as it takes, "make build" makes
# the Caddy that one ships, "make bench" measures, "make fuzz" spends time.

GO ?= go

# Caddy's own build tags: without the storage back ends that nobody needs here.
# One set of flags for every build, since Go's cache is kept for each set.
TAGS := nobadger,nomysql,nopgx

.PHONY: build image demo test soak check lint fuzz bench pictures go-is-here

# Caddy with the gateway inside, as bin/caddy.
build: go-is-here
	@test -x bin/caddy || echo "Building bin/caddy. The first build of Caddy takes some minutes; the next ones seconds."
	@$(GO) build -tags $(TAGS) -o bin/caddy ./cmd/caddy

# The container image caddy-oauth (IMAGE names it), with buildah, podman or docker.
# FULL=1 puts all of Caddy's own modules in, REDIS=1 the store for many nodes as well.
image: go-is-here
	@GO="$(GO)" TAGS="$(TAGS)" ./deploy/image.sh

# Builds the demo and runs it until Ctrl-C, at PORT (8080).
demo: go-is-here
	@test -x bin/demo || echo "Building the demo. The first build of Caddy takes some minutes; the next ones seconds."
	@$(GO) build -tags $(TAGS) -o bin/demo ./cmd/demo
	@DEMO_PORT="$(PORT)" ./bin/demo

# Installs what the tests need, then runs all of them: the fast ones in this
# module, and the built Caddy against real authorization servers in e2e. The race
# detector is for the gateway's code; in e2e that is in another process, as it ships.
# Packages wait for Redis and for time-outs, so four of them may run at a time.
test: go-is-here
	@./e2e/setup.sh
	@echo "Building and testing with the race detector. The first time takes some minutes."
	$(GO) vet -tags $(TAGS) ./...
	$(GO) test -race -vet=off -p 4 -timeout 30m -tags $(TAGS) ./...
	$(GO) build -tags $(TAGS) -o bin/caddy ./cmd/caddy
	GO="$(GO)" TAGS=$(TAGS),noredis ./deploy/sidecar.sh bin/sidecar
	cd bench && $(GO) vet ./... && $(GO) test -vet=off ./...
	cd e2e && $(GO) vet ./... && CADDY_BIN=$(CURDIR)/bin/caddy SIDECAR_BIN=$(CURDIR)/bin/sidecar $(GO) test -vet=off -count=1 -timeout 30m ./...

# The end-to-end tests with all that "make test" leaves out of them (SOAK=1; see
# e2e/README.md), against a Caddy that the race detector watches, whose word fails
# a test like a crash; and many more runs of the model of sessions. Twenty minutes.
# Then three nodes for an hour (SOAK_FOR), as they ship: with the race detector each
# request costs so much that two cores would not carry 2,000 sessions.
SOAK_FOR ?= 1h
LASTING := ^TestMishapsEndNoSessionThatIsNotTakenBackAndNothingStaysBehind$$
soak: go-is-here
	@./e2e/setup.sh
	$(GO) test -race -tags $(TAGS) ./internal/session -run Model -runs 20000
	$(GO) build -race -tags $(TAGS) -o bin/caddy-race ./cmd/caddy
	cd e2e && SOAK=1 CADDY_BIN=$(CURDIR)/bin/caddy-race $(GO) test -race -count=1 -timeout 90m -skip '$(LASTING)' ./...
	cd e2e && SOAK_FOR=20s CADDY_BIN=$(CURDIR)/bin/caddy-race $(GO) test -race -count=1 -timeout 30m -v -run '$(LASTING)' .
	$(GO) build -tags $(TAGS) -o bin/caddy ./cmd/caddy
	cd e2e && SOAK=1 SOAK_FOR=$(SOAK_FOR) CADDY_BIN=$(CURDIR)/bin/caddy $(GO) test -count=1 -timeout 0 -v -run '$(LASTING)' .

# What to run while one writes, less than a minute with warm caches: vet, and for
# the packages in which something is other than in BASE the chosen linters and the
# tests. Of the root, whose tests of the whole take longer, it runs those that hold
# the house together: the goldens and verdicts, the rules for rooms, the pages.
BASE ?= main
check: go-is-here
	$(GO) vet -tags $(TAGS) ./...
	@rooms=$$({ git diff --name-only --diff-filter=d $$(git merge-base HEAD $(BASE)); git ls-files --others --exclude-standard; } | \
		grep '\.go$$' | grep -Ev '^(e2e|bench)/' | xargs -r -n1 dirname | sort -u | sed 's|^|./|'); \
	if [ -n "$$rooms" ]; then (set -x; $(LINT) run --new-from-merge-base=$(BASE) $$rooms) || exit 1; fi; \
	set -x; $(GO) test -vet=off -p 4 -tags $(TAGS) . $$rooms

# The chosen linters (.golangci.yml); building them takes some minutes once.
LINT := $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
lint: go-is-here
	$(LINT) run ./...

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
