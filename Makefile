# Every target installs what it needs into .venv first. Another Python: make venv PYTHON=python3.12
# Where the registry's torch is a CUDA build and a small CPU one is wanted: PIP_FLAGS="--extra-index-url <URL of the CPU builds>"
PYTHON ?= python3
PIP_FLAGS ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check install -q $(PIP_FLAGS)
REQUIREMENTS := $(wildcard requirements/*.txt)

export PYTHONWARNINGS ?= ignore

.PHONY: venv demo test test-slow lint format clean

venv: $(STAMP)

$(STAMP): $(REQUIREMENTS) setup.py
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --only-binary :all: -c requirements/constraints.txt \
		-r requirements/runtime.txt -r requirements/synth.txt -r requirements/convert.txt -r requirements/tests.txt
	$(PIP) --only-binary :all: --no-deps -r requirements/mmpose.txt
	$(PIP) --no-deps --no-build-isolation -e .
	touch $@

demo: $(STAMP)
	$(BIN)/python tools/demo.py

# Small tensors: a process a core with one thread each
test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

test-slow: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache
