# Everything a newcomer or CI runs. `make` alone lists the targets.
#
# Settings of the proxy may stand on the command line, which make hands on to what it runs, or in the environment:
#   make start HTTP_PORT=9090 CACHE_CAPACITY=3

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# npm writes this file at the end of every installation.
INSTALLED := node_modules/.package-lock.json
# The folders stand for the files that were removed from them.
SOURCES := $(shell find src deploy/build ! -name '*.spec.ts' ! -name '*.spec-support.ts') package.json tsconfig.json tsconfig.build.json nest-cli.json
VERSION = $(shell sed -n 's/^  "version": "\(.*\)",$$/\1/p' package.json)
# The devDependency `node` brings the right Node.js along; npm scripts find it by themselves.
WITH_NODE := exec env PATH="$(CURDIR)/node_modules/.bin:$$PATH" node

.PHONY: help install build start test test-long lint format audit image sbom bench bench-cache bench-threads clean toolchain

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED) ## Install the dependencies, if package-lock.json has changed

build: dist/main.js ## Compile src to dist, if src has changed

start: build ## Serve: on your Redis, or on an own one with demo keys; Ctrl-C stops everything
	@$(WITH_NODE) deploy/local/start.mjs

# Lint and types are checked beside the build and the tests. The output of one that fails comes last, where readers look first.
test: install ## Lint, check types, build, run the tests: some minutes
	@($(WITH_NODE) deploy/local/ensure-redis-server.mjs)
	@($(WITH_NODE) deploy/local/ensure-chromium.mjs)
	@($(WITH_NODE) deploy/local/ensure-client-libraries.mjs)
	@echo 'npm run lint and npm run types, beside the build and npm test …'
	@log=$$(mktemp); \
	for check in lint types; do \
	  npm run --silent $$check >$$log 2>&1 || { echo "npm run $$check has failed" | tee -a $$log && exit 1; }; \
	done & checks=$$!; \
	$(MAKE) --no-print-directory build && npm test --silent; tests=$$?; \
	wait $$checks || { tests=1 && cat $$log; }; \
	rm $$log; exit $$tests

test-long: build ## Run the tests that take long; CI runs them after `make test`
	@($(WITH_NODE) deploy/local/ensure-redis-server.mjs)
	@($(WITH_NODE) deploy/local/ensure-newest-node.mjs)
	@npm run --silent test:long

lint: install ## Check style, formatting and the direction of imports
	npm run lint

format: install ## Format all files
	npm run format

audit: ## Ask the registry for known weaknesses of what the proxy runs with
	npm audit --omit=dev

# An exact version, so that the same sources make the same image; docker-compose.yml has it too.
NODE_IMAGE ?= node:24.22.3-bookworm-slim

image: ## Build the image of this version, with labels that tell what is in it
	docker build --tag redis-http-cache-proxy:$(VERSION) --build-arg VERSION=$(VERSION) \
	  --build-arg NODE_IMAGE=$(NODE_IMAGE) \
	  --build-arg REVISION=$$(git describe --always --dirty --abbrev=40 --exclude='*') \
	  --build-arg CREATED=$$(date -u +%Y-%m-%dT%H:%M:%SZ) .

sbom: ## List what the proxy is made of, as CycloneDX, in sbom.cdx.json
	npm run --silent sbom

bench: install ## Compare with webdis, Varnish, nginx, HAProxy, redis-server: README's figures; ten minutes
	npm run bench

bench-cache: install ## Compare the cache with lru-cache; takes minutes
	npm run bench:cache

bench-threads: install ## Measure how threads share the cache; takes a minute
	npm run bench:threads

clean: ## Remove what was built; node_modules stays
	rm -rf build dist coverage

$(INSTALLED): package-lock.json | toolchain
	@echo 'Installing the dependencies (npm ci), about half a minute …'
	@npm ci --loglevel=error
	@touch $@

dist/main.js: $(SOURCES) $(INSTALLED)
	@echo 'Building …'
	@npm run --silent build

toolchain:
	@command -v node >/dev/null || { echo 'Node.js 20 or newer is needed and no `node` is on the PATH: see https://nodejs.org' >&2; exit 1; }
	@node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' || { echo "Node.js 20 or newer is needed, this is $$(node --version): see https://nodejs.org" >&2; exit 1; }
	@command -v npm >/dev/null || { echo 'npm is needed and not on the PATH; it usually comes with Node.js: see https://nodejs.org' >&2; exit 1; }
