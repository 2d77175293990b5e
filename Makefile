# duplex: HTTP and WebSocket at one URL. "make help" lists the targets.

# The Debian packages that each part needs; the README gives a reason for each.
DEPS_RUN      = gcc libc6-dev libfcgi-dev libhiredis-dev redis-server websocketd multiwatch iproute2 $(DEPS_$(SERVER))
DEPS_lighttpd = lighttpd
DEPS_apache   = apache2 spawn-fcgi
DEPS_nginx    = nginx spawn-fcgi
DEPS_caddy    = caddy spawn-fcgi
DEPS_haproxy  = haproxy spawn-fcgi
DEPS_CHECK    = $(sort $(DEPS_RUN) $(foreach server,$(SERVERS),$(DEPS_$(server)))) lighttpd-mod-openssl \
                clang clang-tidy cppcheck gcovr libclang-rt-14-dev valgrind perl shellcheck mandoc pkgconf strace systemd util-linux \
                apache2-utils curl libfcgi-bin openssl libwslay-dev wrk gnuplot-nox \
                python3 python3-websockets python3-selenium chromium chromium-driver chromium-sandbox
DEPS_BENCH    = $(DEPS_RUN) python3 libwslay-dev wrk gnuplot-nox valgrind musl-tools nodejs node-ws python3-aiohttp python3-websockets \
                python3-django python3-django-channels daphne libwebsockets-dev node-redis python3-channels-redis

# The one place: --version, the man pages, duplex.pc and CHANGELOG.md follow it.
VERSION = 0.1.0

SERVERS = lighttpd apache nginx caddy haproxy
SERVER  = lighttpd
BUILD = build
PORT  = 8080
BIND  = 127.0.0.1
JOBS  = $(shell nproc)
TIME  = 60

# Where "make install" puts what; DESTDIR before all of it, for packagers.
PREFIX      = /usr/local
sbindir     = $(PREFIX)/sbin
libdir      = $(PREFIX)/lib
libexecdir  = $(PREFIX)/libexec
includedir  = $(PREFIX)/include
datadir     = $(PREFIX)/share
mandir      = $(datadir)/man
sysconfdir  = $(PREFIX)/etc
unitdir     = $(libdir)/systemd/system

ifeq ($(origin CC),default)
CC = gcc
endif
CFLAGS    ?= -O2 -g
WARNINGS   = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wmissing-prototypes
# as Debian hardens its packages
HARDENING         = -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE -Wformat -Werror=format-security
HARDENING_LDFLAGS = -Wl,-z,relro -Wl,-z,now
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE $(WARNINGS) $(HARDENING) $(CFLAGS) $(CPPFLAGS)

# An endpoint is started once a client: linked statically, it starts faster and takes half the memory. Its address is not
# random: -static-pie would cost each connection 20 KiB, half as much again.
PROGRAM_LDFLAGS  = -pie $(HARDENING_LDFLAGS)
ENDPOINT_LDFLAGS = -static $(HARDENING_LDFLAGS)

# One that uses push.h is linked with hiredis, and so dynamically.
PUSHING = $(patsubst ws/%.c,$(BUILD)/ws/%,$(shell grep -l '"push.h"' ws/*.c))
$(PUSHING): ENDPOINT_LDFLAGS = $(PROGRAM_LDFLAGS)
$(PUSHING): ENDPOINT_LIBS = -lhiredis

# The library is made of these; every other ws/NAME.c is an endpoint.
LIBRARY   = channel descriptor inbox push run websocket
ENDPOINTS = $(filter-out $(LIBRARY),$(basename $(notdir $(wildcard ws/*.c))))
HTTP      = chat http page query records route waiting

LIB        = $(BUILD)/libwebsocket.a
HTTP_OBJS  = $(HTTP:%=$(BUILD)/obj/fcgi/%.o) $(BUILD)/obj/ws/channel.o
FUZZED     = query message
UNIT_TESTS = $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/*.c)) $(FUZZED:%=$(BUILD)/tests/fuzz/%)
TESTS      = $(UNIT_TESTS) $(BUILD)/faults/api $(wildcard tests/*.t)
SELECTED   = $(if $(T),$(filter %/$(T) %/$(T).t,$(TESTS)),$(TESTS))
PROVE      = prove -j$(JOBS)

all: $(BUILD)/fcgi/duplex $(ENDPOINTS:%=$(BUILD)/ws/%) $(BUILD)/ws/serialize/echo $(LIB) ## build everything (the default)

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# what --version prints
$(BUILD)/obj/fcgi/main.o $(BUILD)/obj/ws/run.o: CPPFLAGS += -DDUPLEX_VERSION='"$(VERSION)"'
$(BUILD)/obj/fcgi/main.o $(BUILD)/obj/ws/run.o: Makefile

$(LIB): $(LIBRARY:%=$(BUILD)/obj/ws/%.o)
	rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/ws/%: $(BUILD)/obj/ws/%.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $(ENDPOINT_LDFLAGS) -o $@ $^ $(ENDPOINT_LIBS) $(LDLIBS)

# /serialize/echo/ is /echo by another name
$(BUILD)/ws/serialize/echo: $(BUILD)/ws/echo
	@mkdir -p $(@D)
	ln -sf ../echo $@

$(BUILD)/fcgi/duplex: $(BUILD)/obj/fcgi/main.o $(BUILD)/obj/fcgi/fastcgi.o $(BUILD)/obj/fcgi/worker.o $(HTTP_OBJS)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $(PROGRAM_LDFLAGS) -o $@ $^ -lfcgi -lhiredis $(LDLIBS)

$(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(HTTP_OBJS) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ -lhiredis $(LDLIBS)

# The programs with calls that fail when a test says so, and those of libfcgi and hiredis among them. What these allocate
# they do not check, so that only what we allocate fails.
WRAPPED = accept accept4 calloc clock_gettime connect epoll_create1 epoll_ctl epoll_wait eventfd fcntl fstat getsockname getsockopt \
          malloc open poll read realloc recv send setsockopt sigaction signalfd sigprocmask socket socketpair stat write
FAULTS  = $(ALL_CFLAGS) $(LDFLAGS) $(WRAPPED:%=-Wl,--wrap=%)
FAULTY  = $(addprefix $(BUILD)/faults/,api echo chat chat-and-libraries duplex duplex-and-libraries)
$(FAULTY): $(BUILD)/obj/tests/faults/faults.o
$(BUILD)/faults/api: $(BUILD)/obj/tests/faults/api.o $(LIB)
$(BUILD)/faults/echo: $(BUILD)/obj/ws/echo.o $(LIB)
$(BUILD)/faults/chat $(BUILD)/faults/chat-and-libraries: $(BUILD)/obj/ws/chat.o $(LIB)
$(BUILD)/faults/duplex $(BUILD)/faults/duplex-and-libraries: $(BUILD)/obj/fcgi/main.o $(BUILD)/obj/fcgi/fastcgi.o $(BUILD)/obj/fcgi/worker.o $(HTTP_OBJS)
$(FAULTY): LIBRARIES = -lfcgi -lhiredis
$(BUILD)/faults/chat-and-libraries $(BUILD)/faults/duplex-and-libraries: LIBRARIES = -l:libfcgi.a -l:libhiredis.a
$(FAULTY):
	@mkdir -p $(@D)
	$(CC) $(FAULTS) -o $@ $^ $(LIBRARIES) $(LDLIBS)

# A fuzz target by itself: it replays its corpus.
$(BUILD)/tests/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(BUILD)/obj/tests/fuzz/replay.o $(HTTP_OBJS) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ -lhiredis $(LDLIBS)

# The same with libFuzzer, for "make fuzz", which has it watch what is tested and not the test.
$(BUILD)/libfuzzer/%: $(BUILD)/obj/tests/fuzz/%.o $(HTTP_OBJS) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -fsanitize=fuzzer $(LDFLAGS) -o $@ $^ -lhiredis $(LDLIBS)

$(BUILD)/obj/fcgi/%.o $(BUILD)/obj/ws/%.o: ALL_CFLAGS += $(WATCHED)

unit: $(UNIT_TESTS) $(FAULTY)

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
$(BUILD)/bench/echo-musl: ws/echo.c $(patsubst %,ws/%.c,$(filter-out channel push,$(LIBRARY))) $(wildcard ws/*.h)
	@mkdir -p $(@D)
	musl-gcc $(ALL_CFLAGS) -DDUPLEX_VERSION='"$(VERSION)"' $(ENDPOINT_LDFLAGS) -o $@ $(filter %.c,$^)
generators: $(GENERATORS:%=$(BUILD)/bench/%)
bench-programs: $(BENCH:%=$(BUILD)/bench/%)

deps: ## install what running needs, with SERVER= for another server than lighttpd
	@conf/install-packages $(DEPS_RUN)

deps-check: ## install what the tests need
	@conf/install-packages $(DEPS_CHECK)

deps-bench: ## install what "make bench" needs, and what it compares with
	@conf/install-packages $(sort $(DEPS_BENCH))

run: all ## run it on http://BIND:PORT/echo until Ctrl-C (BIND=127.0.0.1 PORT=8080 SERVER=lighttpd)
	@BUILD='$(BUILD)' PORT='$(PORT)' BIND='$(BIND)' SERVER='$(SERVER)' conf/run/launch

check: all unit generators ## run the tests; T=name runs one of them
	@test -n '$(SELECTED)' || { echo 'check: no test is called $(T)' >&2; exit 2; }
	@BUILD='$(BUILD)' PYTHONDONTWRITEBYTECODE=1 $(PROVE) --exec 'timeout -k 9 600' $(SELECTED) 2>$(BUILD)/check.stderr; status=$$?; \
		cat $(BUILD)/check.stderr >&2; \
		test ! -s $(BUILD)/check.stderr || { echo 'check: a test wrote to standard error' >&2; status=1; }; \
		exit $$status

check-slow: all ## run the tests that take minutes
	BUILD='$(BUILD)' PYTHONDONTWRITEBYTECODE=1 $(PROVE) --exec 'timeout -k 9 1800' $(wildcard tests/slow/*.t)

check-asan: ## run the tests with AddressSanitizer and UndefinedBehaviorSanitizer
	$(MAKE) check BUILD=$(BUILD)/asan ENDPOINT_LDFLAGS= HARDENING= \
		CFLAGS='-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer $(WERROR)'

bench: all bench-programs ## measure it, beside floors and peers (BENCH_ROUNDS=9 BENCH_SECONDS=1): tables and plots in build/bench
	@BUILD='$(BUILD)' PYTHONDONTWRITEBYTECODE=1 tests/bench/run

VALGRIND = valgrind -q --error-exitcode=9 --leak-check=full --child-silent-after-fork=yes
check-valgrind: unit ## run the tests in C under valgrind, and tests of the whole stack with our programs under it
	$(PROVE) --exec '$(VALGRIND)' $(filter-out %/utf8-iconv,$(UNIT_TESTS)) $(BUILD)/faults/api
	$(MAKE) all BUILD=$(BUILD)/memcheck ENDPOINT_LDFLAGS= CFLAGS='-O1 -g'
	tests/valgrind $(BUILD)/memcheck $(BUILD)/valgrind '$(VALGRIND)'
	BUILD=$(BUILD)/valgrind PYTHONDONTWRITEBYTECODE=1 $(PROVE) --exec 'timeout -k 9 600' \
		$(addprefix tests/,echo.t http.t websocket.t)
	@cat $(BUILD)/valgrind/log/* >&2; test -z "$$(cat $(BUILD)/valgrind/log/*)"

SOURCES = $(wildcard fcgi/*.c ws/*.c)
ANALYZE = -std=c11 -D_GNU_SOURCE -DDUPLEX_VERSION='"$(VERSION)"'
analyze: ## look for mistakes with gcc -fanalyzer, clang-tidy and cppcheck
	for source in $(SOURCES); do gcc $(ANALYZE) $(WARNINGS) -Werror -O2 -fanalyzer -c -o /dev/null $$source || exit 1; done
	clang-tidy --quiet $(SOURCES) -- $(ANALYZE)
	cppcheck --quiet --error-exitcode=1 --enable=warning,style,performance,portability --inline-suppr --std=c11 \
		-D_GNU_SOURCE -DDUPLEX_VERSION='""' fcgi ws

# What the tests find is for "make check" to say.
COVERED = $(UNIT_TESTS) $(BUILD)/faults/api $(addprefix tests/,echo.t fastcgi.t faults.t faults-push.t http.t websocket.t flood.t chat-http.t chat-page.t)
GCOVR   = gcovr --root . --filter fcgi/ --filter ws/ --fail-under-line 95 --fail-under-branch 90 $(BUILD)
coverage: ## measure how much of fcgi/ and ws/ the tests reach: 95 % of the lines and 90 % of the branches, or it fails
	rm -rf $(BUILD)/coverage
	$(MAKE) run-coverage BUILD=$(BUILD)/coverage HARDENING= CFLAGS='-O0 -g --coverage -fprofile-abs-path'
run-coverage: all unit
	-BUILD=$(BUILD) PYTHONDONTWRITEBYTECODE=1 $(PROVE) --exec 'timeout -k 9 600' $(COVERED) >$(BUILD)/log 2>&1
	$(GCOVR)
	$(GCOVR) --branches

DIRECTORIES = sbindir libdir libexecdir includedir datadir mandir sysconfdir unitdir
install: all ## install it under PREFIX=/usr/local, with DESTDIR and the usual variables
uninstall: ## remove what "make install" has installed
install uninstall:
	@BUILD='$(BUILD)' VERSION='$(VERSION)' ENDPOINTS='$(ENDPOINTS)' DESTDIR='$(DESTDIR)' \
		$(foreach name,$(DIRECTORIES),$(name)='$($(name))') conf/install-files $@

fuzz: ## look for bugs with libFuzzer, for TIME=60 seconds each in the query and the message code
	$(MAKE) $(FUZZED:%=$(BUILD)/fuzz/libfuzzer/%) BUILD=$(BUILD)/fuzz CC=clang WATCHED=-fsanitize=fuzzer-no-link \
		CFLAGS='-O2 -g -fsanitize=address,undefined -fno-sanitize-recover=all $(WERROR)'
	cp -r tests/fuzz/corpus $(BUILD)/fuzz/
	@cd $(BUILD)/fuzz && status=0; for target in $(FUZZED); do echo "fuzz: $$target"; \
		libfuzzer/$$target -max_total_time=$(TIME) -timeout=10 -verbosity=0 -print_final_stats=1 corpus/$$target || status=1; \
	done; exit $$status

clean: ## remove what was built
	rm -rf $(BUILD)

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.* ## /\1\t/p' Makefile | expand -t 16

.PHONY: all unit bench bench-programs generators deps deps-bench deps-check run check check-slow check-asan check-valgrind analyze \
        coverage run-coverage fuzz install uninstall clean help
.SECONDARY:
-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
