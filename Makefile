# make demo    trains, evaluates and reports on an embedded demo data set
# make test    runs the tests
# make check   checks lint, format, types, imports and spelling
# make docs    builds the documentation into build/docs; a broken link is an error
# make links   asks every address that the documentation links to; needs the internet
# make setup   makes .venv only (GPU=1: with faiss-gpu instead of faiss-cpu)
# make lock    updates the pinned requirements

PYTHON ?= $(firstword $(foreach p,python3.12 python3.11 python3,$(shell $(p) -c 'import sys; sys.exit(not (3,11) <= sys.version_info[:2] <= (3,12))' 2>/dev/null && echo $(p))))
BIN := .venv/bin
KIND := $(if $(GPU),gpu,cpu)
LOCK := requirements$(if $(GPU),-gpu).lock
STAMP := .venv/installed-$(KIND)
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate \
  --python-version 3.11 --extra dev --extra docs --extra export --extra local --extra openvino --extra pml pyproject.toml

# Bytecode is written even if the environment forbids it: tests and commands start many processes, each of which would
# otherwise compile five thousand files of libraries again.
export PYTHONDONTWRITEBYTECODE =

.PHONY: demo test check docs links setup lock clean
.DEFAULT_GOAL := demo

demo: setup
	$(BIN)/python train.py experiments=demo

# Two processes on two cores: more threads would only compete.
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

docs: setup
	$(BIN)/python -m sphinx --builder html --fresh-env --fail-on-warning --keep-going --quiet docs build/docs

links: setup
	$(BIN)/python -m sphinx --builder linkcheck --fresh-env --quiet docs build/links

setup: $(STAMP)

$(STAMP): $(LOCK) pyproject.toml
ifeq ($(PYTHON),)
	$(error landmarks needs Python 3.11 or 3.12; name it with: make setup PYTHON=/path/to/python3.12)
endif
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes $(LOCK)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	rm -f .venv/installed-*
	touch $@

lock: setup
	echo uv | $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --no-deps \
	  --python-version 3.11 --output-file requirements-uv.lock -
	$(COMPILE) --extra cpu --output-file requirements.lock
	$(COMPILE) --extra gpu --output-file requirements-gpu.lock

clean:
	rm -rf .venv runs build docs/generated .mypy_cache .pytest_cache .ruff_cache .hypothesis
