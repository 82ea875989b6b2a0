# Everything happens in .venv, from the exact versions in requirements.lock.
PYTHON ?= python3
UV ?= uv
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
RUNNABLE := $(VENV)/.runnable

# The corpora and their tools stand beside the working copy.
GATEWAY_CORPUS ?= $(abspath $(wildcard ../shared))
export GATEWAY_CORPUS DEMO_SECONDS
# Where images for containers forbid Python to keep what it compiled, every process of a test run would compile everything again.
export PYTHONDONTWRITEBYTECODE :=

# Some of the time goes into waiting for servers and clients, so two processes more than there are cores.
PARALLEL = --dist worksteal -n $(shell expr $$(nproc) + 2)

# Where `make test-wheel` installs what it has built.
EMPTY := var/wheel

.PHONY: demo install develop test test-fast test-later test-wheel test-thunderbird test-faults soak screenshots lint lock config examples map clean

# The main job, with nothing else installed. DEMO_SECONDS=20 ends by itself and tells whether it worked.
demo: $(INSTALLED)
	$(BIN)/invite-gateway demo

# The program and its libraries, to run as a service.
install: $(RUNNABLE)

# Also what tests and checks need.
develop: $(INSTALLED)

# Everything, with real servers, real mail clients and a real browser.
test: $(INSTALLED)
	$(BIN)/pytest $(PARALLEL)

# What needs nothing but Python, with a quarter of the examples that Hypothesis makes up.
test-fast: $(INSTALLED)
	$(BIN)/pytest $(PARALLEL) --hypothesis-profile=fast -m "not real and not browser and not thunderbird"

# In years to come: a test that passes only until some day is found before it. Only the tests' own
# process has that clock, so those with other processes are left out.
LATER_DAYS ?= 400
test-later: $(INSTALLED)
	LATER_DAYS=$(LATER_DAYS) $(BIN)/pytest $(PARALLEL) --hypothesis-profile=fast -p tests.later \
		-m "not real and not browser and not thunderbird" \
		tests/core tests/store tests/dialogues tests/corpus tests/web

# What a user installs: the wheel, in an environment that has nothing else, at the locked versions.
test-wheel: $(INSTALLED)
	rm -rf $(EMPTY)
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir $(EMPTY) .
	sed -n 's/^\([^ #][^\]*==[^\]*\)\\*$$/\1/p' requirements.lock > $(EMPTY)/constraints.txt
	$(PYTHON) -m venv $(EMPTY)/venv
	$(EMPTY)/venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint $(EMPTY)/constraints.txt \
		"invite-gateway[demo] @ file://$$(echo $(abspath $(EMPTY))/*.whl)"
	cd $(EMPTY) && DEMO_SECONDS=20 venv/bin/invite-gateway demo

# Thunderbird answers invitations too (325 MB: apt-get install --no-install-recommends thunderbird).
test-thunderbird: $(INSTALLED)
	$(BIN)/pytest -m thunderbird

# Everything that can go wrong, at random, for half an hour: FAULTS=2000.
FAULTS ?= 2000
test-faults: $(INSTALLED)
	$(BIN)/python -m tests.faults.suite --faults $(FAULTS)

# A gateway that works for long: memory, open files and the queue do not grow. SECONDS=1800.
SECONDS ?= 1800
soak: $(INSTALLED)
	$(BIN)/python -m tests.faults.soak --seconds $(SECONDS)

# Every page and kind of letter as Chromium shows it, to look at: var/screenshots/index.html.
screenshots: $(INSTALLED)
	$(BIN)/python -m tests.browser.screenshots

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/deptry .

# New versions, for a reviewer to read; afterwards `make test`.
lock:
	$(UV) pip compile pyproject.toml --extra demo --group test --group fuzz --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-emit-index-url --no-header --no-annotate --quiet --output-file requirements.lock
	$(UV) pip compile pyproject.toml --group build --constraint requirements.lock --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --no-annotate --quiet --output-file requirements-run.lock

# The example is printed from the settings' own descriptions.
config: $(INSTALLED)
	$(BIN)/invite-gateway config example > config/gateway.toml

# What the examples of the API are answered, asked anew.
examples: $(INSTALLED)
	$(BIN)/python -m tests.web.examples

# Every module of the program with the first sentence of its head: docs/modules.md.
map: $(INSTALLED)
	$(BIN)/python -m tests.modules

# No part of what runs is another one than what is tested: each version stands in requirements.lock, too.
$(RUNNABLE): pyproject.toml requirements-run.lock | $(BIN)/pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-run.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

$(INSTALLED): pyproject.toml requirements.lock | $(BIN)/pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

# What is there keeps the Python that it was made with: another one would not find its libraries.
$(BIN)/pip:
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV)
