# Every target uses .venv, made by the first that needs it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEVICE ?= cpu
# Test processes; 0 for one after another.
JOBS ?= 2
STUDY ?=
# Which build of PyTorch `make venv` installs: cuda or cpu.
TORCH ?= cuda
LOCK_cuda := requirements.lock
LOCK_cpu := requirements-cpu.lock
# make lock UPGRADE=--upgrade: the newest of everything, instead of what pyproject.toml makes needed.
UPGRADE ?=
APT := chromium dcmtk libgdcm-tools libxml2-utils orthanc orthanc-dicomweb poppler-utils plastimatch postgresql qpdf rsyslog-gnutls strace
OCR := tesseract-ocr
# What npm has, outside the project: axe-core looks for what keeps people from using a page.
PEERS ?= $(HOME)/.cache/wetread-peers
AXE := 4.10.3

.PHONY: venv demo test test-slow lint format bench bench-receive bench-people bench-query bench-ct bench-results bench-written bench-day bench-viewer bench-idle bench-memory docs peers pictures gallery lock notice clean

venv: $(VENV)/.installed

# setuptools warns of every editable install; nobody has to act on it.
$(VENV)/.installed: pyproject.toml requirements.lock requirements-cpu.lock
	$(if $(LOCK_$(TORCH)),,$(error TORCH is $(TORCH): cuda or cpu is needed))
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "wetread needs python 3.11 or newer"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	PYTHONWARNINGS=ignore $(BIN)/pip install --quiet -c $(LOCK_$(TORCH)) -e '.[dev]'
	touch $@

demo: venv
	$(BIN)/python -m node.demo $(if $(STUDY),--study "$(STUDY)")

lint: venv
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: venv
	$(BIN)/python -m node.conformance
	$(BIN)/python -m node.web.api_document
	$(BIN)/python -m node.config.reference
	$(BIN)/python -m node.results.table docs/results.md
	$(BIN)/python -m tests.node.results.air_table docs/air.md
	$(BIN)/python -m tests.node.results.object_table docs/objects.md

format: venv
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Debian's peers for the interop tests; without them those tests say so and are skipped.
peers:
	@command -v dcmsend >/dev/null && command -v Orthanc >/dev/null && command -v strace >/dev/null && command -v chromium >/dev/null && command -v tesseract >/dev/null && command -v qpdf >/dev/null && command -v pdftotext >/dev/null && command -v plastimatch >/dev/null && ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 \
	|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	     && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(APT) >/dev/null \
	     && { DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(OCR) >/dev/null || true; }; } \
	|| echo "interop peers ($(APT)) are not installed and cannot be: their tests are skipped"
	@test -f "$(PEERS)/node_modules/axe-core/axe.min.js" || npm install --silent --prefix "$(PEERS)" axe-core@$(AXE) >/dev/null 2>&1 \
	|| echo "axe-core is not installed and cannot be: what it would find on the pages is not looked for"
	@sh tests/interoperability/syslog_ng.sh "$(PEERS)/syslog-ng" \
	|| echo "syslog-ng is not here and cannot be: the audit trail is handed to rsyslog alone"

test: venv peers lint
	$(BIN)/pytest -m "not slow" -n $(JOBS) --dist loadfile --no-loadscope-reorder

test-slow: venv peers
	$(BIN)/pytest -m slow --timeout=3600

bench: venv peers
	$(BIN)/python -m benchmarks.end_to_end --device $(DEVICE) $(ARGS)

bench-receive: venv peers
	$(BIN)/python -m benchmarks.receive $(ARGS)
	$(BIN)/python -m benchmarks.indexing

bench-query: venv peers
	$(BIN)/python -m benchmarks.query $(ARGS)

bench-decoding: venv
	$(BIN)/python -m benchmarks.decoding $(ARGS)

bench-viewer: venv peers
	$(BIN)/python -m benchmarks.viewer $(ARGS)

bench-idle: venv
	$(BIN)/python -m benchmarks.idle $(ARGS)

bench-people: venv
	$(BIN)/python -m benchmarks.people $(ARGS)

bench-scale: venv
	$(BIN)/python -m benchmarks.scale

bench-ct: venv
	$(BIN)/python -m benchmarks.ct_analyzers $(ARGS)

bench-memory: venv
	$(BIN)/python -m benchmarks.memory $(ARGS)

bench-results: venv
	$(BIN)/python -m benchmarks.results $(ARGS)

bench-written: venv
	$(BIN)/python -m benchmarks.written $(ARGS)

bench-day: venv
	$(BIN)/python -m benchmarks.day $(ARGS)

bench-analyzers: venv
	$(BIN)/python -m benchmarks.analyzers --device $(DEVICE)
	$(BIN)/python -m benchmarks.networks --device $(DEVICE)

# Exact versions for every Python from 3.11, of all extras: what CI tests and users install.
lock: venv
	$(BIN)/pip install --quiet 'uv>=0.9'
	UV_CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
		--all-extras --no-emit-index-url --no-emit-find-links $(UPGRADE) pyproject.toml -o requirements.lock

notice: venv
	$(BIN)/python docs/notice.py

# Pictures of the pages in docs/pages.md.
pictures: venv peers
	$(BIN)/python -m tests.node.web.pictures docs/pages

gallery: venv
	$(BIN)/python docs/gallery/make.py

clean:
	rm -rf var .mypy_cache .ruff_cache .pytest_cache
