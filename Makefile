# make demo    the whole loop on a real shop's data, from a clean clone
# make test    lint, types, import rules and every test
# make bench-learning DATA=DIR    public data sets replayed through the learner, beside its rivals
# make up | status | down    keep the stack running
# make bench | faults    every figure against its goal | every kill twenty times

.DEFAULT_GOAL := help
.PHONY: help demo up down status test lint faults bench bench-learning

help:
	@sed -n 's/^# make/make/p' Makefile

.venv/.installed: requirements.lock pyproject.toml infra/local/installer.lock infra/local/install.sh
	@infra/local/install.sh

demo up down status: .venv/.installed
	@.venv/bin/freshet $@

test lint faults bench: .venv/.installed
	@.venv/bin/python -m tests $@

bench-learning: .venv/.installed
	@.venv/bin/python -m tests.bench.learning $(if $(DATA),--data $(DATA))
