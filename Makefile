# `make help` lists what there is.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# A static binary, and nothing that needs a C compiler.
export CGO_ENABLED := 0

FUZZTIME ?= 10s
PKG ?= ./...

.PHONY: help
help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build dist/kiln, a static binary that knows its version
	go build -trimpath -buildvcs=auto -ldflags='-s -w' -o dist/kiln ./cmd/kiln

.PHONY: setup
setup: ## Install what demo and tests use, from Debian's packages (as root)
	@scripts/setup.sh

.PHONY: demo
demo: setup build ## Build, push, pull and run a real image, from nothing
	@scripts/demo.sh

.PHONY: test
test: setup ## Test everything, as root (if you are) and as an ordinary user
	go vet ./...
	KILN_TEST_STRICT=1 go test -count=1 -timeout=20m ./...
	if [[ $$(id -u) -eq 0 ]]; then KILN_TEST_STRICT=1 scripts/rootless.sh -timeout=20m ./...; fi

.PHONY: test-rootless
test-rootless: setup ## Test as an ordinary user only (PKG=./internal/... for some)
	KILN_TEST_STRICT=1 scripts/rootless.sh -timeout=20m $(PKG)

.PHONY: conformance
conformance: setup build ## Compare kiln's images with BuildKit's, in each engine (RUN=THEME/CASE for some)
	@scripts/conformance.sh $(RUN)
	@if [[ $$(id -u) -eq 0 ]] && command -v dockerd >/dev/null; then scripts/conformance-inplace.sh $(RUN); fi

.PHONY: lint
lint: ## Check the code with the pinned golangci-lint, and the formatting
	go tool -modfile=tools/go.mod golangci-lint run ./...

.PHONY: fuzz
fuzz: ## Run each fuzz test for FUZZTIME (10s)
	@scripts/fuzz.sh $(FUZZTIME)

.PHONY: bench
bench: ## Run the benchmarks and print a table (PKG=./internal/... for some)
	@scripts/bench.sh $(PKG)

.PHONY: clean
clean: ## Remove what was built
	rm -rf dist
