# Every verb sets up what it needs: Python 3.11 or newer, make and a package index are enough.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python; do \
	$$python -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup browser demo test test-all check bench bench-faults clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make the virtual environment .venv (made again only when pyproject.toml changes)

$(READY): pyproject.toml
	@test -n "$(PYTHON)" || { echo "rowcall needs Python 3.11 or newer; name it with make PYTHON=/path/to/python3"; exit 1; }
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@rm -rf $(VENV) && $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(READY)

browser: ## install the Chromium in which a report is tried, where there is apt-get and one may; else say so
	@if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then chromium --version; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium chromium-driver >/dev/null \
		&& chromium --version; \
	else echo "chromium and chromedriver are not installed, and cannot be without apt-get and root"; exit 1; fi

demo: $(READY) ## caption photographs, answer questions and score the answers; the endpoint is simulated; results in out/demo/
	@$(BIN)/rowcall run configs/demo-captions.yaml
	@$(BIN)/rowcall run configs/demo-questions.yaml
	@$(BIN)/python configs/show.py out/demo/captions.parquet title completion finish_reason total_tokens
	@$(BIN)/python configs/show.py out/demo/answers.parquet question answer completion status
	@$(BIN)/rowcall report configs/demo-captions.yaml --reference caption_a --reference caption_b
	@$(BIN)/rowcall evaluate out/demo/answers.parquet --reference answer --by kind --json out/demo/scores.json
	@$(BIN)/rowcall report configs/demo-questions.yaml --reference answer --evaluation out/demo/scores.json

test: $(READY) ## run the quick tests
	@$(BIN)/python -m pytest

test-all: $(READY) ## run every test, and print each promise with the goal and what was seen
	@$(BIN)/python -m tests.whole.claims
	@$(BIN)/python -m pytest -rs -n 3 --dist worksteal -m "slow or not slow"

check: $(READY) ## lint, formatting, types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(READY) ## speed and memory beside a bare aiohttp loop, each figure beside its goal; a quarter of an hour
	@$(BIN)/python -m tests.bench

bench-faults: $(READY) ## kills, broken disks, endpoints that misbehave: a table of what each did, beside its goal
	@$(BIN)/python -m tests.whole.faults

clean: ## remove the virtual environment, caches and the demo's output
	rm -rf $(VENV) out build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find pipeline tests -name __pycache__ -type d -prune -exec rm -rf {} +
