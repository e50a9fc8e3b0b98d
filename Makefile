# make demo [SCENARIO=name]   three releases on this machine, through the real actions
# make test                   all tests
# make crash [CASE=…]         every crash point of a release, on the virtual clock; or one of them
# make bench                  what the edge costs and how fast it switches, in out/bench/edge.json;
#                             the judge beside other rules, in out/bench/judge.json
# make bench-edge, bench-judge    one of the two
# make bench-verify           what verifying an attestation costs
# make cohort [IDS=100000]    who the edge lets in, against PostHog's own SDK, seller by seller
# make screens                pictures of the comment and the summary, in out/screens
# make lint                   style, types, workflows, actions
# make docs                   the tables of docs/, from what is the case
# make lock [UPGRADE=1]       the hash-locked lists, from requirements/*.in and edge/requirements.in
# make clean                  removes everything the others made
#
# Each does its own set-up. Only HAProxy, for `make bench` wrk, and for pictures Chromium, is
# installed outside this directory.
SHELL := bash
.DEFAULT_GOAL := test
.PHONY: demo test crash bench bench-edge bench-judge bench-verify cohort screens lint docs lock clean
.PHONY: environment haproxy prometheus postgres wrk chromium mermaid

# Where Debian keeps haproxy, and where uv is put on a machine that has none.
export PATH := $(PATH):/usr/sbin:/usr/local/sbin:$(CURDIR)/.cache/uv/bin

bin := .venv/bin
workflows = $(wildcard .github/workflows/*.yml examples/*/.github/workflows/*.yml)
actions = $(wildcard action.yml actions/*/action.yml sandbox/stubs/*/action.yml)

demo: environment haproxy prometheus $(if $(filter data-% irreversible,$(SCENARIO)),postgres)
	@exec $(bin)/python -m sandbox.demo $(SCENARIO)

test: environment haproxy prometheus postgres
	$(bin)/python -m pytest -n 3 --dist worksteal

crash: environment
	@PYTHONPATH=scripts:edge:. exec $(bin)/python -m tests.crash $(CASE)

# The one is run also where the other missed something.
bench: environment haproxy wrk
	@missed=0; export PYTHONPATH=scripts:edge; \
	$(bin)/python -m bench edge || missed=1; \
	$(bin)/python -m bench judge || missed=1; \
	exit $$missed

bench-edge: environment haproxy wrk
	@PYTHONPATH=scripts:edge exec $(bin)/python -m bench edge

bench-judge: environment
	@PYTHONPATH=scripts:edge exec $(bin)/python -m bench judge

bench-verify: environment
	@PYTHONPATH=scripts:edge exec $(bin)/python -m bench verify

cohort: environment haproxy
	@PYTHONPATH=edge exec $(bin)/python -m bench cohort $(IDS)

screens: environment chromium mermaid
	@PYTHONPATH=scripts exec $(bin)/python -m sandbox.screens out/screens \
	  $(wildcard .cache/mermaid/node_modules/mermaid/dist/mermaid.min.js)

lint: environment
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/mypy
	$(bin)/zizmor --offline --strict-collection --persona=pedantic --no-progress --quiet . \
	  $(wildcard examples/*)
	$(bin)/check-jsonschema --builtin-schema vendor.github-workflows $(workflows)
	$(bin)/check-jsonschema --builtin-schema vendor.github-actions $(actions)
	$(bin)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml

docs: environment
	@$(bin)/python -m tools.reference

lock:
	@tools/development lock

clean:
	rm -rf .venv .venv.lock .venv.log .cache out
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

environment:
	@tools/development environment

haproxy prometheus postgres wrk chromium mermaid:
	@tools/development $@
