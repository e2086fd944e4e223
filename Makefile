# drover. `make` alone lists the targets.
# GOFLAGS, GOCACHE and the like are yours: nothing here overrides them for our own code.

GO           ?= go
LINT_VERSION := 2.15.0
FUZZTIME     ?= 1m
AUDITTIME    ?= 60s
BENCH        ?= .
ROUNDS       ?= 5
VERSION      ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT       ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
DATE         ?= $(shell git log -1 --format=%cI 2>/dev/null || echo unknown)
SOURCES      := actors cmd config deploy docs messages system
TOOLS        := $(CURDIR)/.bin

.DEFAULT_GOAL := help
SHELL         := /bin/bash
.SHELLFLAGS   := -eu -o pipefail -c
.PHONY: help test check lint tools servers audit demo build dashboards pictures collector-check stack release deploy-check deploy-check-all deploy-check-quick fuzz fuzz-smoke random-smoke bench bench-report loadtest loadtest-quick cover clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

test: tools check ## install what is missing, then check, all tests with the race detector, and a short fuzz run
	@if [ "$$($(GO) env CGO_ENABLED)" = 1 ]; then race=-race; else race=; \
	  echo "*** no C compiler: the tests run WITHOUT the race detector ***"; fi; \
	set -x; $(GO) test $$race -timeout 15m ./...
	@# Side by side: one computes, one waits.
	@$(MAKE) --no-print-directory --output-sync=target -j 2 fuzz-smoke random-smoke
	@echo "make test: everything passed"

# Everything at once, by a seed that it prints: what no test thought of.
# And the long runs through one inflater, for which the race detector takes minutes; without it they take seconds.
random-smoke:
	$(GO) run ./cmd/drover audit --plan random --for $(AUDITTIME)
	$(GO) test -count=1 -run Conformance47 ./system/gateway

check: lint ## gofmt, go vet and golangci-lint

# One compilation of the dependencies serves vet and the linter.
lint:
	@out=$$(gofmt -l $(SOURCES)); [ -z "$$out" ] || { echo "not formatted, run gofmt -w on:"; echo "$$out"; exit 1; }
	$(GO) vet ./...
	@lint() { "$$1" version 2>/dev/null | grep -qE 'version v?$(subst .,\.,$(LINT_VERSION)) '; }; \
	for l in $(TOOLS)/golangci-lint "$$(command -v golangci-lint || true)" "$$($(GO) env GOPATH)/bin/golangci-lint"; do \
	  if lint "$$l"; then break; fi; l=; \
	done; \
	if [ -z "$$l" ]; then \
	  echo "installing golangci-lint $(LINT_VERSION) into .bin"; \
	  GOFLAGS= GOBIN=$(TOOLS) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v$(LINT_VERSION); \
	  l=$(TOOLS)/golangci-lint; \
	fi; \
	"$$l" run ./...

# The race detector needs a C compiler, the test of the status page a browser, those of the database real servers, those of dashboards and
# alerts a Prometheus, that of the log's documentation jq.
tools:
	@./.ci/packages gcc:gcc gcc:libc6-dev chromium:chromium script:bsdutils initdb:postgresql pgbouncer:pgbouncer \
	  prometheus:prometheus promtool:prometheus jq:jq

audit: ## every fault plan against real processes, then the audit of the audit (about 17 minutes)
	$(GO) run ./cmd/drover audit --all
	$(GO) run ./cmd/drover audit --self-test

demo: ## the whole system with a simulated Discord; no token needed
	$(GO) run ./cmd/drover demo

build: ## a static binary, bin/drover
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT) -X main.date=$(DATE)" -o bin/drover ./cmd/drover

dashboards: ## write deploy/dashboards/*.json anew, from their description in Go
	$(GO) generate ./deploy/dashboards
	deploy/helm/check sync

pictures: ## take docs/images anew (a quarter of an hour: their charts show so much)
	$(GO) test ./system/web -run Pictures -rewrite -timeout 40m

collector-check: ## build a real OpenTelemetry collector and send a metric through deploy/otel/collector.yaml
	GO=$(GO) deploy/otel/check $(TOOLS)

release: ## what VERSION=v0.1.0 is published as, the same bytes wherever it is built: bin/release (VERSION=snapshot to try)
	GO=$(GO) $(GO) -C deploy/release run . build -version '$(VERSION)'

stack: ## the cluster of deploy/compose/compose.yaml as plain processes; kills nodes, and judges (about 2 minutes)
	TOOLS=$(TOOLS) deploy/compose/check stack

deploy-check: ## run each artefact in deploy for real, as far as the machine allows; prints a table (needs root for some)
	$(GO) run ./deploy/check -tools $(TOOLS)

deploy-check-all: ## the same where everything has to run: what the machine does not allow is a failure
	$(GO) run ./deploy/check -all -tools $(TOOLS)

deploy-check-quick: ## what of it takes minutes from empty caches; CI runs it after make test
	$(GO) run ./deploy/check -quick -most 15m -tools $(TOOLS)

fuzz: ## every fuzz target for FUZZTIME (1m)
	@$(call each_fuzz_target,-fuzztime=$(FUZZTIME))

# By count and not by time: a run by time can end inside an input and then fails.
fuzz-smoke:
	@$(call each_fuzz_target,-fuzztime=2000x -fuzzminimizetime=10x)

define each_fuzz_target
grep -rnoE '^func Fuzz[A-Za-z0-9_]+' --include='*_test.go' $(SOURCES) | while IFS=: read -r file _ name; do \
  name=$${name#func }; echo "fuzz $$name"; \
  $(GO) test -run='^$$' -fuzz="^$$name\$$" $(1) "./$$(dirname "$$file")" </dev/null; \
done
endef

bench: ## Go benchmarks of single functions (BENCH=regexp)
	$(GO) test -run='^$$' -bench='$(BENCH)' -benchmem ./...

bench-report: ## drover bench, all of it, into docs/benchmarks (ROUNDS=5; about 40 minutes on a quiet machine)
	$(GO) build -ldflags "-X main.version=$(VERSION) -X main.commit=$(COMMIT) -X main.date=$(DATE)" -o bin/drover ./cmd/drover
	@# It also ends with 1 where a figure is missed: the report says so then, and is kept.
	status=0; bin/drover bench --rounds $(ROUNDS) --markdown docs/benchmarks/report.md --plots docs/benchmarks --json > bin/report.json || status=$$?; \
	  if [ -s bin/report.json ]; then mv bin/report.json docs/benchmarks/report.json; fi; exit $$status

loadtest: servers bin/k6 ## load on the database, through PgBouncer and direct, into docs/benchmarks (ROUNDS=5; about 40 minutes on a quiet machine)
	@# It also ends with 1 where a figure is missed: the report says so then, and is kept.
	$(GO) run ./deploy/k6 -rounds $(ROUNDS) -p99 $(if $(P99),$(P99),10) -markdown docs/benchmarks/database.md -version $(VERSION)

loadtest-quick: servers bin/k6 ## a minute of the same, with a loose limit (P99=250 ms)
	$(GO) run ./deploy/k6 -quick -p99 $(if $(P99),$(P99),250)

servers:
	@./.ci/packages initdb:postgresql pgbouncer:pgbouncer

# k6 with our module for SQL, in a Go module of its own: some minutes at the first time.
bin/k6: $(wildcard deploy/k6/sql/*.go) deploy/k6/sql/go.mod deploy/k6/sql/go.sum
	cd deploy/k6/sql && CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w" -o $(CURDIR)/$@ .

cover: ## coverage of all packages, as coverage.html
	$(GO) test -coverpkg=./... -coverprofile=coverage.out ./...
	$(GO) tool cover -html=coverage.out -o coverage.html
	$(GO) tool cover -func=coverage.out | tail -n 1

clean: ## remove what these targets made (not data/)
	rm -rf bin .bin coverage.out coverage.html
