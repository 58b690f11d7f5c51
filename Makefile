# Every target installs what it needs, shows what it does, and is safe to repeat. `make` alone lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# The pinned Node comes as a package, so that a machine's own Node needs to be just good enough for npm.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)

MANIFESTS := package.json package-lock.json $(wildcard */package.json) operator/kube/package.json
VITEST := vitest run --config hack/vitest.config.ts
INSTALLED := node_modules/.package-lock.json

##@ Use
.PHONY: demo down
demo: $(INSTALLED) ## Run the main job on real parts: cluster, Vault, Postgres, exchange simulator, one robot, its trades
	node hack/demo/main.ts

down: $(INSTALLED) ## Remove the demo's cluster and everything that `demo` and `e2e` started
	node hack/cluster/main.ts down
	node hack/cluster/main.ts down --name tradingbots-e2e --kubeconfig .build/e2e/kubeconfig
	rm -f .demo.json .build/*-unseal-key .build/e2e/platform.json

##@ Develop
.PHONY: check test test-unit simulate plant-bugs test-crash-points test-operator-crash-points test-hostile \
	test-schemathesis test-fuzz test-interleaving test-frozen bench-bot bench-operator bench-scale bench-api e2e generate verify images client plugin tools
check: $(INSTALLED) ## Formatting, type-aware lint, types, dead code, generated files, package boundaries
	oxfmt --check .
	oxlint --type-aware --deny-warnings
	tsc --noEmit
	knip
	$(MAKE) --no-print-directory verify

test: $(INSTALLED) ## Unit and integration tests on real servers as processes, the simulation, 5,000 bots, slices of the longer proofs
	node hack/tools/main.ts etcd kube-apiserver kube-controller-manager kubectl vault helm kubeconform
	$(VITEST)
	$(MAKE) --no-print-directory simulate
	$(MAKE) --no-print-directory bench-scale BOTS=5000 IDLE=20 BOUNDS=1
	node operator/test/crash-points/main.ts --only retire.
	node bot-runtime/test/crash-points/main.ts --only order-create

SEEDS ?= 2000
simulate: $(INSTALLED) ## Bots, journal and exchange on a virtual clock, SEEDS=2000 runs
	node bot-runtime/test/simulation/main.ts --seeds $(SEEDS)

plant-bugs: $(INSTALLED) ## Plant bugs in copies of the product: the simulation must find each
	node bot-runtime/test/simulation/main.ts --planted

test-crash-points: $(INSTALLED) ## All of them: every step of an order's path with every fault, on real processes; two pods on one account
	node bot-runtime/test/crash-points/main.ts $(if $(CASE),--case $(CASE))

test-operator-crash-points: $(INSTALLED) ## Kill the operator at every request of its own: the cluster must become the same, then rest
	node operator/test/crash-points/main.ts $(if $(CASE),--case $(CASE))

HOSTILE_SEEDS ?= 1000
test-hostile: $(INSTALLED) ## The operator behind an API server that resets, stalls, lies and repeats itself
	node operator/test/hostile/main.ts --seeds $(HOSTILE_SEEDS)

bench-bot: $(INSTALLED) ## Speed and size of a bot beside their baselines; writes bench-results/bot.json
	node hack/bench/main.ts bot

test-schemathesis: $(INSTALLED) ## Schemathesis against the running API as two users; needs python3 and, once, PyPI
	node api/test/schemathesis/main.ts

test-fuzz: $(INSTALLED) ## Requests against the API's description, each wrong in one place
	node api/test/fuzz/main.ts

test-interleaving: $(INSTALLED) ## 100,000 transactions of 50 users on two connections, with errors between them
	node api/test/interleaving/main.ts

test-frozen: $(INSTALLED) ## Postgres stands still for 30 s under bots and people: nothing acknowledged is lost
	node api/test/frozen/main.ts

bench-api: $(INSTALLED) ## The API and the journal beside their baselines; ONLY=sockets for parts; writes bench-results/api.json
	node hack/bench/main.ts api $(if $(ONLY),--only $(ONLY)) $(if $(SOCKETS),--sockets $(SOCKETS))

bench-operator: $(INSTALLED) ## The operator beside a bare loop and Deployments; writes bench-results/operator.json
	node hack/bench/main.ts operator

bench-scale: $(INSTALLED) ## The operator in a settled world of BOTS=100000; BOUNDS=1: red only for what got worse
	node hack/bench/main.ts scale $(if $(BOTS),--bots $(BOTS)) $(if $(IDLE),--idle $(IDLE)) $(if $(BOUNDS),--bounds)

test-unit: $(INSTALLED) ## Unit tests only: seconds, nothing to build
	$(VITEST) --project unit

e2e: $(INSTALLED) ## The end-to-end tests on kind, or on the cluster of E2E_KUBECONFIG
	node hack/e2e/main.ts

generate: $(INSTALLED) ## Write the generated files: CRDs, chart CRDs, OpenAPI
	node hack/generate/main.ts
	node api/src/openapi/main.ts

verify: $(INSTALLED) ## Fail when a generated file is out of date
	node hack/generate/main.ts --check
	node api/src/openapi/main.ts --check

images: $(INSTALLED) ## Build the container images, and load them when the cluster is up
	node hack/images/main.ts --load

client: $(INSTALLED) ## Build the typed client of the API into .build/client, for `npm install` elsewhere
	tsc -p hack/client/tsconfig.json
	cp hack/client/package.json .build/client/

plugin: $(INSTALLED) ## Build `kubectl tradingbots` into .build, for your PATH
	esbuild operator/src/plugin/main.ts --bundle --platform=node --format=esm --log-level=warning \
	  --banner:js='#!/usr/bin/env node' --outfile=.build/kubectl-tradingbots
	chmod +x .build/kubectl-tradingbots

tools: $(INSTALLED) ## Build the pinned Go tools into the cache outside the checkout
	node hack/tools/main.ts

# `npm ci` refuses a lock file that lacks binaries of other platforms; `--no-save` leaves the lock file as it is.
$(INSTALLED): $(MANIFESTS)
	npm install --no-save --no-audit --no-fund --loglevel=error
	@touch $@

##@ Help
.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-27s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
