# What a person types. Everything is built by Meson; this file installs what is missing, and names
# the things that one does often.
#
#   make          build the product: build/muster
#   make demo     a home network on loopback registers a terminal, and prints the ladder
#   make run      the same network, kept running for your own clients
#   make test     build with sanitizers and run all tests; last line: N passed, N failed, N skipped
#   make bench    registrations a second, CPU per registration, latency, memory; overload; beside Kamailio where it is installed
#   make fuzz     each fuzzer for SECONDS=60 on the corpora in test/fuzz
#   make coverage  which share of each parser's lines the tests reach; fails below PERCENT=80
#   make soak     hours of registrations, reloads, restarts; HOURS=1
#   make lint     format, layers, documentation, static analysis; LINT=quick: without compilers
#   make install  the program, its unit for systemd and an example of a configuration; DESTDIR, PREFIX
#   make requirements   every requirement with the flows and tests that cover it

# Debian's own tools, whatever else a PATH offers.
export PATH := /usr/bin:/bin:$(PATH)
MAKEFLAGS += --no-print-directory
MESON := /usr/bin/meson
PYTHON := /usr/bin/python3
MUSTER := build/muster

# One line that says what happens, and the whole output only when it fails.
define quietly
@echo "$(1)"; log=$$(mktemp); if $(2) >$$log 2>&1; then rm -f $$log; \
	else cat $$log; rm -f $$log; exit 1; fi
endef

.PHONY: all demo run test bench fuzz coverage soak install lint requirements clean packages-build packages-test packages-fuzz packages-lint

all: build/build.ninja
	@$(PYTHON) tools/build.py build muster

demo: all
	@$(MUSTER) demo

run: all
	@$(MUSTER) run

bench: all
	@$(MUSTER) bench
	-@$(MUSTER) bench overload --seconds 3 --users 20000
	@$(PYTHON) bench/import.py $(MUSTER)
	@$(PYTHON) bench/kamailio.py $(MUSTER)

test: packages-test build-asan/build.ninja
	@$(PYTHON) tools/run_tests.py build-asan

PREFIX := /usr/local

HOURS := 1

SECONDS := 60

fuzz: packages-fuzz build-fuzz/build.ninja
	@$(PYTHON) tools/fuzz.py build-fuzz $(SECONDS) $(ONLY)

PERCENT := 80

coverage: packages-test build-coverage/build.ninja
	@$(PYTHON) tools/coverage.py build-coverage $(PERCENT)

soak: all
	@$(PYTHON) test/soak/soak.py --muster $(MUSTER) --hours $(HOURS)

install: all
	install -D -m 755 $(MUSTER) $(DESTDIR)$(PREFIX)/bin/muster
	install -D -m 644 config/home.yaml $(DESTDIR)$(PREFIX)/share/muster/home.yaml
	install -D -m 644 config/smiths.yaml $(DESTDIR)$(PREFIX)/share/muster/smiths.yaml
	install -D -m 644 README.md $(DESTDIR)$(PREFIX)/share/doc/muster/README.md
	sed 's,/usr/local/,$(PREFIX)/,' config/muster.service | install -D -m 644 /dev/stdin \
		$(DESTDIR)/etc/systemd/system/muster.service

lint: packages-lint build/build.ninja $(if $(filter quick,$(LINT)),,build-clang/build.ninja)
	@LINT=$(LINT) $(PYTHON) tools/lint.py

requirements:
	@$(PYTHON) tools/requirements.py

clean:
	rm -rf build build-asan build-clang build-coverage build-fuzz

packages-build:
	@tools/packages build

packages-test:
	@tools/packages build test

packages-fuzz:
	@tools/packages build test fuzz

packages-lint:
	@tools/packages build test lint

build/build.ninja: | packages-build
	$(call quietly,Configuring build,$(MESON) setup build --buildtype=release)

build-asan/build.ninja: | packages-test
	$(call quietly,Configuring build-asan,$(MESON) setup build-asan --buildtype=debugoptimized \
		-Db_sanitize=address$(comma)undefined)

build-fuzz/build.ninja: | packages-fuzz
	$(call quietly,Configuring build-fuzz,env CC=clang $(MESON) setup build-fuzz -Dfuzz=true \
		--buildtype=debugoptimized -Db_sanitize=address$(comma)undefined -Db_lundef=false)

build-coverage/build.ninja: | packages-test
	$(call quietly,Configuring build-coverage,$(MESON) setup build-coverage --buildtype=debug -Db_coverage=true)

build-clang/build.ninja: | packages-lint
	$(call quietly,Configuring build-clang,env CC=clang $(MESON) setup build-clang \
		--buildtype=debugoptimized -Db_lundef=false)

comma := ,
