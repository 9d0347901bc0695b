# Two commands do everything on a fresh Debian or Ubuntu with Python >= 3.10 and venv:
#   make run     sets up, then opens the app (ARGS="--source clip.mp4" for its options)
#   make test    sets up, then runs all tests on a virtual display

PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test lint setup setup-test system system-test clean

run: setup system
	@$(BIN)/python main.py run $(ARGS)

test: setup-test system-test
	@tools/on-display $(BIN)/python -m pytest $(ARGS)

lint: setup-test
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

setup: $(VENV)/.run
setup-test: $(VENV)/.test

$(VENV)/.run: setup.py constraints.txt tools/check-python
	@PYTHON="$(PYTHON)" tools/check-python
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.test: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,dev]'
	@touch $@

# The shared libraries that Qt and OpenGL load, and fonts: see the script.
system:
	@tools/system-libraries run

system-test:
	@tools/system-libraries test

clean:
	rm -rf $(VENV) build dist *.egg-info
