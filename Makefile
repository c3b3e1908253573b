# Two commands are enough: `make demo` and `make test`. Everything else is here too: `make help`.
SHELL := /bin/bash
.DEFAULT_GOAL := help
BIN := .venv/bin
PACKAGES := twinmesh_sdk twinmesh_federation gateway governance asset_registry telemetry \
    maintenance_twin energy_twin twinmesh_local twinmesh_cli
SOURCES := sdk federation gateway governance services local cli tests bench proto/generate.py conftest.py
WHEELS := proto/python sdk federation gateway governance services/asset-registry \
    services/telemetry services/maintenance-twin services/energy-twin local cli

.PHONY: help
help: ## Show the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

.PHONY: venv
venv: ## Make .venv with what requirements.lock pins (PYTHON=... chooses the interpreter)
	@local/bootstrap.sh

.PHONY: demo
demo: venv ## Start the mesh and feed the plant (ONCE=1, DATA=folder, GRAPH=neo4j, SPEED=1..3600)
	@ONCE="$(ONCE)" DATA="$(DATA)" GRAPH="$(GRAPH)" SPEED="$(SPEED)" SEED="$(SEED)" exec $(BIN)/python -m twinmesh_local.demo

.PHONY: test
test: venv ## Run the whole suite (ARGS='-k name' narrows it)
	@$(BIN)/pytest $(ARGS)

.PHONY: lint
lint: venv ## Check style, types, import boundaries and protobuf
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/ruff format --check --quiet $(SOURCES)
	@$(BIN)/mypy $(addprefix -p ,$(PACKAGES))
	@$(BIN)/lint-imports --no-cache
	@cd proto && ../$(BIN)/buf lint

.PHONY: format
format: venv ## Format the code
	@$(BIN)/ruff format $(SOURCES)

.PHONY: proto
proto: venv ## Generate Python from proto/
	@$(BIN)/python proto/generate.py

.PHONY: bench
bench: bench-contracts bench-audit bench-federation ## Measure what governance and the engine promise

.PHONY: bench-contracts
bench-contracts: venv ## Measure how long a verdict of compatibility takes
	@$(BIN)/python bench/contracts.py

.PHONY: bench-audit
bench-audit: venv ## Measure how fast the audit log grows, every entry on disk
	@$(BIN)/python bench/audit.py

.PHONY: lock
lock: ## Pin requirements.in anew (needs uv)
	uv pip compile --universal --generate-hashes --no-emit-index-url --no-header \
	    --python-version 3.11 -o requirements.lock requirements.in

.PHONY: wheels
wheels: venv ## Build every member's wheel into dist/
	@rm -rf dist
	@for member in $(WHEELS); do \
	    $(BIN)/python -m build --wheel --no-isolation --outdir dist $$member >/dev/null || exit 1; \
	done
	@ls -1 dist

.PHONY: clean-state
clean-state: ## Stop the mesh and forget everything it kept
	@if [ -x $(BIN)/twinmesh ]; then $(BIN)/twinmesh down || true; fi
	@rm -rf "$${TWINMESH_STATE:-.twinmesh}"

.PHONY: docs
docs: venv ## Generate what docs/reference says of doors: the graph, governance's REST
	@$(BIN)/python docs/reference/generate.py

.PHONY: bench-federation
bench-federation: venv ## Measure composing and planning over the cases (TWINMESH_CASES)
	@$(BIN)/python bench/federation.py

.PHONY: bench-gateway
bench-gateway: venv ## Measure the plain gateway beside its peers from npm (ARGS='--requests 500')
	@$(BIN)/python bench/gateway.py $(ARGS)
