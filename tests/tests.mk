# What the tests, the fuzzing and the measurements need of make. A test is a file in one of these rooms: NAME.c or NAME.t.
ROOMS = faults bench conf html ws fcgi# those with the longest tests first, so that none is left alone at the end

# The packages of all of them, by names that Debian 12 and 13 have. libclang-rt-dev is for libFuzzer and the sanitizers of clang,
# debootstrap for check-fresh, firefox-esr, webkit2gtk-driver and xvfb for the pages in further browsers, npm for axe-core, the
# fonts for pages that are measured in English and in Chinese, lua5.4 and nodejs for the endpoints of ws/README.md in these
# languages, lintian for the packages of "make deb", patch for what "make install" tells to merge.
DEPS_CHECK = $(DEPS_RUN) $(DEPS_DEB) $(call packages,$(SERVERS)) lighttpd-mod-openssl lighttpd-mod-deflate \
             clang clang-format clang-tidy cppcheck gcovr libclang-rt-dev valgrind perl shellcheck mandoc pkgconf strace systemd util-linux \
             apache2-utils curl libfcgi-bin openssl libwslay-dev wrk gnuplot-nox debootstrap lintian patch lua5.4 nodejs \
             python3 python3-selenium chromium chromium-driver chromium-sandbox \
             firefox-esr webkit2gtk-driver xvfb fonts-noto-core fonts-wqy-zenhei $(if $(shell command -v npm),,npm)
# For arm64 on another machine: the compiler, the libraries, and the emulator that runs what is built. perl has prove.
DEPS_ARM64 = $(DEPS_RUN) lighttpd gcc-aarch64-linux-gnu libc6-dev-arm64-cross libfcgi-dev:arm64 libhiredis-dev:arm64 libmd-dev:arm64 \
             libwslay-dev:arm64 qemu-user perl python3 curl
DEPS_BENCH = $(DEPS_RUN) lighttpd python3 libwslay-dev wrk gnuplot-nox valgrind musl-tools nodejs node-ws python3-aiohttp python3-websockets \
             python3-django python3-django-channels daphne libwebsockets-dev node-redis python3-channels-redis

JOBS  ?= $(shell expr 3 \* $$(nproc))# most of the tests wait most of the time
TIME  ?= 60
LIMIT ?= 1200
PROVE  = prove -j$(JOBS)
CHECK  = JOBS='$(JOBS)' LIMIT='$(LIMIT)' PYTHONDONTWRITEBYTECODE=1 tests/lib/check

# Without libwslay frames have no second opinion, so that target is left out.
FUZZED     = $(filter-out replay $(if $(wildcard /usr/include/wslay/wslay.h),,frames),$(basename $(notdir $(wildcard tests/fuzz/*.c))))
UNIT_TESTS = $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/ws/*.c tests/fcgi/*.c)) $(FUZZED:%=$(BUILD)/tests/fuzz/%)
TESTS      = $(UNIT_TESTS) $(BUILD)/faults/api $(wildcard $(ROOMS:%=tests/%/*.t))
SELECTED   = $(if $(T),$(filter tests/$(T)% $(BUILD)/tests/$(T)% $(BUILD)/$(T)% %/$(T) %/$(T).t,$(TESTS)),$(TESTS))

$(BUILD)/obj/tests/%.o: CPPFLAGS += -I. -Itests/lib

$(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(HTTP_OBJS) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ -lhiredis $(LIB_LIBS) $(LDLIBS)

# Endpoints for tests: one that does what a test asks it for, and one that writes down what it is told.
$(BUILD)/tests/views $(BUILD)/tests/journal: $(BUILD)/tests/%: $(BUILD)/obj/tests/lib/%.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LIB_LIBS) $(LDLIBS)

# Our programs with system calls and allocations that fail when a test says so. The calls of libfcgi and hiredis fail too, in
# the programs called ...-and-libraries; these libraries do not check what they allocate, so only our allocations fail.
WRAPPED = accept accept4 calloc clock_gettime connect epoll_create1 epoll_ctl epoll_wait eventfd fcntl fstat getrlimit getsockname \
          getsockopt malloc mmap mprotect open poll read realloc recv send setrlimit setsockopt shutdown sigaction sigaltstack signalfd \
          sigprocmask socket socketpair stat write
FAULTS  = $(ALL_CFLAGS) $(LDFLAGS) $(WRAPPED:%=-Wl,--wrap=%)
FAULTY  = $(addprefix $(BUILD)/faults/,api echo views chat chat-and-libraries duplex duplex-and-libraries)
$(FAULTY): $(BUILD)/obj/tests/faults/faults.o
$(BUILD)/faults/api: $(BUILD)/obj/tests/faults/api.o $(LIB)
$(BUILD)/faults/echo: $(BUILD)/obj/ws/echo.o $(LIB)
$(BUILD)/faults/views: $(BUILD)/obj/tests/lib/views.o $(LIB)
$(BUILD)/faults/chat $(BUILD)/faults/chat-and-libraries: $(BUILD)/obj/ws/chat.o $(LIB)
$(BUILD)/faults/duplex $(BUILD)/faults/duplex-and-libraries: $(call objects,fcgi/*.c) $(LIB)
$(FAULTY): LIBRARIES = -lfcgi -lhiredis
$(BUILD)/faults/chat-and-libraries $(BUILD)/faults/duplex-and-libraries: LIBRARIES = -l:libfcgi.a -l:libhiredis.a
$(FAULTY):
	@mkdir -p $(@D)
	$(CC) $(FAULTS) -o $@ $(sort $(filter %.o,$^)) $(filter %.a,$^) $(LIBRARIES) $(LIB_LIBS) $(LDLIBS)

$(BUILD)/tests/fuzz/frames $(BUILD)/libfuzzer/frames: FUZZ_LIBS = -lwslay

# A fuzz target without libFuzzer replays its corpus.
$(BUILD)/tests/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(BUILD)/obj/tests/fuzz/replay.o $(HTTP_OBJS) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ -lhiredis $(FUZZ_LIBS) $(LIB_LIBS) $(LDLIBS)

# The same with libFuzzer, for "make fuzz". It watches the code that is tested, and not the test.
$(BUILD)/libfuzzer/%: $(BUILD)/obj/tests/fuzz/%.o $(HTTP_OBJS) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -fsanitize=fuzzer $(LDFLAGS) -o $@ $^ -lhiredis $(FUZZ_LIBS) $(LIB_LIBS) $(LDLIBS)

$(BUILD)/obj/fcgi/%.o $(BUILD)/obj/ws/%.o: ALL_CFLAGS += $(WATCHED)

unit: $(UNIT_TESTS) $(FAULTY) $(BUILD)/tests/views $(BUILD)/tests/journal ## build what the tests use

# What "make bench" needs, and what it can compare with where that is installed.
GENERATORS = smallest-fcgi $(if $(wildcard /usr/include/wslay/wslay.h),load fanout)
BENCH = $(GENERATORS) $(if $(wildcard /usr/include/libwebsockets.h),libwebsockets) $(if $(shell command -v musl-gcc),echo-musl)
GENERATOR = $(patsubst %,$(BUILD)/obj/tests/bench/%.o,generator client latency)
$(BUILD)/bench/load: $(patsubst %,$(BUILD)/obj/tests/bench/%.o,load echo) $(GENERATOR)
$(BUILD)/bench/fanout: $(BUILD)/obj/tests/bench/fanout.o $(GENERATOR)
$(BUILD)/bench/load $(BUILD)/bench/fanout: BENCH_LIBS = -lwslay
$(BUILD)/bench/smallest-fcgi: $(BUILD)/obj/tests/bench/smallest-fcgi.o
$(BUILD)/bench/smallest-fcgi: BENCH_LIBS = -lfcgi
$(BUILD)/bench/libwebsockets: $(BUILD)/obj/tests/bench/peers/libwebsockets.o
$(BUILD)/bench/libwebsockets: BENCH_LIBS = -lwebsockets
$(addprefix $(BUILD)/bench/,load fanout smallest-fcgi libwebsockets):
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $(PROGRAM_LDFLAGS) -o $@ $^ $(BENCH_LIBS) $(LDLIBS)
$(BUILD)/bench/echo-musl: ws/echo.c $(wildcard ws/lib/*.[ch])
	@mkdir -p $(@D)
	musl-gcc $(ALL_CFLAGS) -DDUPLEX_VERSION='"$(VERSION)"' $(ENDPOINT_LDFLAGS) -o $@ $(filter %.c,$^)
generators: $(GENERATORS:%=$(BUILD)/bench/%)
# make has read its files before "make deps-bench bench" installs anything, so a second make looks what is there.
bench-programs:
	@$(MAKE) --no-print-directory all-$@
all-bench-programs: $(BENCH:%=$(BUILD)/bench/%) ; @:

deps-check: ## install what the tests need
	@conf/install/packages $(DEPS_CHECK)
	@tests/lib/fetch-axe $(BUILD)/axe

deps-bench: ## install what "make bench" needs, and what it compares with
	@conf/install/packages $(sort $(DEPS_BENCH))

# make has read its files before "make deps-check check" installs anything, so a second make looks what is there.
check: ## run the tests; T=ws/ runs those of a room, T=name runs one
	@$(MAKE) --no-print-directory run-check
run-check: all unit generators
	@test -n '$(SELECTED)' || { echo 'check: no test is called $(T)' >&2; exit 2; }
	@BUILD='$(BUILD)' $(CHECK) $(SELECTED)

check-slow: all ## run the tests that take minutes
	@BUILD='$(BUILD)' $(CHECK) $(wildcard tests/slow/*.t)
check-slow: LIMIT = 1800

check-mutants: ## change COUNT=40 random conditions of the sources, one at a time (SEED=1), and see whether the tests notice; an hour
	@BUILD='$(BUILD)' $(if $(SEED),SEED='$(SEED)') $(if $(COUNT),COUNT='$(COUNT)') PYTHONDONTWRITEBYTECODE=1 tests/slow/mutate

check-fresh: ## type the README's commands on a bare Debian: SUITE=bookworm or trixie (WHO='root user' WHAT='run check deb tools')
	@SUITE='$(SUITE)' $(if $(WHO),WHO='$(WHO)') $(if $(WHAT),WHAT='$(WHAT)') PYTHONDONTWRITEBYTECODE=1 tests/conf/check-fresh

check-asan: ## run the tests with AddressSanitizer and UndefinedBehaviorSanitizer
	$(MAKE) check BUILD=$(BUILD)/asan ENDPOINT_LDFLAGS= HARDENING= \
		CFLAGS='-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer $(WERROR)'

# the tests of the whole stack whose programs may run under another one
WRAPPED_STACK = tests/ws/echo.t tests/fcgi/http.t tests/ws/websocket.t tests/ws/resident.t
# hiredis keeps pointers into its buffers, not to them, which valgrind would call possibly lost.
VALGRIND = valgrind -q --error-exitcode=9 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \
           --child-silent-after-fork=yes
check-valgrind: ## run the tests in C under valgrind, and tests of the whole stack with our programs under it
	$(MAKE) unit
	$(PROVE) --exec '$(VALGRIND)' $(filter-out %/utf8-iconv,$(UNIT_TESTS)) $(BUILD)/faults/api
	$(MAKE) all $(BUILD)/memcheck/tests/views BUILD=$(BUILD)/memcheck ENDPOINT_LDFLAGS= CFLAGS='-O1 -g'
	tests/lib/wrap $(BUILD)/memcheck $(BUILD)/valgrind '$(VALGRIND) --log-file=$(abspath $(BUILD))/valgrind/log/%p'
	@BUILD='$(BUILD)/valgrind' $(CHECK) $(WRAPPED_STACK) tests/ws/chat-resident.t tests/ws/push-resident.t
	@cat $(BUILD)/valgrind/log/* >&2; test -z "$$(cat $(BUILD)/valgrind/log/*)"

check-arm64: ## build for arm64 on a bare Debian in memory, and run the tests in C and some of the stack under qemu (SUITE=trixie)
	$(MAKE) check-fresh SUITE=$(or $(SUITE),trixie) WHO=root WHAT=arm64
# These two are for the Debian in memory, which has arm64 as a foreign architecture.
deps-arm64:
	@conf/install/packages $(DEPS_ARM64)
QEMU = qemu-aarch64
run-arm64:
	$(MAKE) -s all unit BUILD=$(BUILD)/arm64 CC=aarch64-linux-gnu-gcc AR=aarch64-linux-gnu-ar CFLAGS='-O2 -g -Werror'
	$(PROVE) --exec $(QEMU) $(patsubst $(BUILD)/%,$(BUILD)/arm64/%,$(UNIT_TESTS)) $(BUILD)/arm64/faults/api
	tests/lib/wrap $(BUILD)/arm64 $(BUILD)/qemu $(QEMU)
	@BUILD='$(BUILD)/qemu' $(CHECK) $(WRAPPED_STACK)

SOURCES = $(wildcard fcgi/*.c ws/*.c ws/lib/*.c ws/lib/*/*.c)
ANALYZE = -std=c11 -D_GNU_SOURCE -Iws/lib -DDUPLEX_VERSION='"$(VERSION)"'
# What cppcheck must not report: the parameters of a view are those of every view, it takes an array at the end of a constant for
# one that changes, an empty loop has a "continue", it need not say where it did not try every branch, it cannot evaluate
# __has_include, and without TLS it knows the reason why there is none.
SUPPRESSED = constParameterPointer constParameterCallback constVariablePointer redundantContinue normalCheckLevelMaxBranches preprocessorErrorDirective knownConditionTrueFalse
analyze: ## look for mistakes with gcc -fanalyzer, clang-tidy and cppcheck
	for source in $(SOURCES); do gcc $(ANALYZE) $(WARNINGS) -Werror -O2 -fanalyzer -c -o /dev/null $$source || exit 1; done
	clang-tidy --quiet $(SOURCES) -- $(ANALYZE)
	cppcheck --quiet --error-exitcode=1 --enable=warning,style,performance,portability --inline-suppr --std=c11 \
		$(SUPPRESSED:%=--suppress=%) -D_GNU_SOURCE -DDUPLEX_VERSION='""' -Iws/lib fcgi ws

# Coverage does not heed what the tests find: "make check" does.
COVERED = $(UNIT_TESTS) $(BUILD)/faults/api $(wildcard tests/faults/*.t) \
          $(patsubst %,tests/ws/%.t,echo websocket flood fair query chat chat-limits chat-resident push-resident push-redis-gone endpoint-end resident resident-edges resident-fair) \
          $(patsubst %,tests/fcgi/%.t,fastcgi http slow-post waiting chat-http chat-dns chat-tls) tests/html/chat-page.t
# TLS for Redis is reached only where hiredis has it.
GCOVR   = gcovr --root . --filter fcgi/ --filter ws/ $(if $(wildcard /usr/include/hiredis/hiredis_ssl.h),,--exclude ws/lib/push/redis-tls.c) --fail-under-line 97 --fail-under-branch 93 $(BUILD)
coverage: ## measure how much of fcgi/ and ws/ the tests reach: 97 % of the lines and 93 % of the branches, or it fails
	rm -rf $(BUILD)/coverage
	$(MAKE) run-coverage BUILD=$(BUILD)/coverage HARDENING= CFLAGS='-O0 -g --coverage -fprofile-abs-path'
run-coverage: all unit
	-@BUILD='$(BUILD)' $(CHECK) $(COVERED) >$(BUILD)/log 2>&1
	$(GCOVR)
	$(GCOVR) --branches

fuzz: ## look for bugs with libFuzzer, for TIME=60 seconds a target
	$(MAKE) $(FUZZED:%=$(BUILD)/fuzz/libfuzzer/%) BUILD=$(BUILD)/fuzz CC=clang WATCHED=-fsanitize=fuzzer-no-link \
		CFLAGS='-O2 -g -fsanitize=address,undefined -fno-sanitize-recover=all $(WERROR)'
	cp -r tests/fuzz/corpus $(BUILD)/fuzz/
	@cd $(BUILD)/fuzz && status=0; for target in $(FUZZED); do echo "fuzz: $$target"; \
		libfuzzer/$$target -max_total_time=$(TIME) -timeout=10 -verbosity=0 -print_final_stats=1 corpus/$$target || status=1; \
	done; exit $$status

bench: all bench-programs ## measure it, beside floors and peers (BENCH_ROUNDS=9 BENCH_SECONDS=1): tables and plots in build/bench
	@BUILD='$(BUILD)' PYTHONDONTWRITEBYTECODE=1 tests/bench/run

.PHONY: unit generators bench-programs all-bench-programs deps-check deps-bench check run-check check-slow check-mutants check-fresh check-asan \
        check-valgrind check-arm64 deps-arm64 run-arm64 analyze coverage run-coverage fuzz bench
