# duplex: HTTP and WebSocket at one URL. "make help" lists the targets; those of the tests are in tests/tests.mk.

# The version is set here only: --version, the man pages, duplex.pc and CHANGELOG.md follow it.
VERSION = 0.2.0

# What is known of a web server stands in conf/run/NAME.
SERVERS  = $(patsubst conf/run/%/packages,%,$(wildcard conf/run/*/packages))
packages = $(shell cat $(1:%=conf/run/%/packages))
unknown  = $(filter-out $(SERVERS),$(SERVER))

# These and the folders below may be given as arguments or in the environment. So may PORT, BIND and what else
# conf/run/launch names: make passes it on.
SERVER ?= lighttpd
BUILD  ?= build
export BUILD

# The Debian packages that running needs; conf/README.md gives a reason for each.
DEPS_RUN = gcc libc6-dev libfcgi-dev libhiredis-dev libmd-dev pkgconf redis-server websocketd multiwatch spawn-fcgi iproute2

# Where "make install" puts the files. DESTDIR, for packagers, comes before each of these.
PREFIX     ?= /usr/local
sbindir    ?= $(PREFIX)/sbin
libdir     ?= $(PREFIX)/lib
libexecdir ?= $(PREFIX)/libexec
includedir ?= $(PREFIX)/include
datadir    ?= $(PREFIX)/share
mandir     ?= $(datadir)/man
sysconfdir ?= $(PREFIX)/etc
unitdir    ?= $(libdir)/systemd/system
# The programs are installed without what a debugger needs; "make install STRIP=" leaves it in them.
STRIP      ?= strip

ifeq ($(origin CC),default)
CC = gcc
endif
CFLAGS    ?= -O2 -g
WARNINGS   = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wmissing-prototypes
# as Debian hardens its packages
HARDENING         = -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE -Wformat -Werror=format-security
HARDENING_LDFLAGS = -Wl,-z,relro -Wl,-z,now
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -Iws/lib $(WARNINGS) $(HARDENING) $(CFLAGS) $(CPPFLAGS)

# An endpoint is started for each client. Linked statically, it starts faster and takes half the memory. Its address is not
# random: -static-pie would cost each connection 20 KiB, half as much again.
PROGRAM_LDFLAGS  = -pie $(HARDENING_LDFLAGS)
ENDPOINT_LDFLAGS = -static $(HARDENING_LDFLAGS)

# the objects of the sources that these patterns match
objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard $1))

# The library, and what it needs: SHA-1 of libmd and base64 of libresolv, for the handshake.
LIB       = $(BUILD)/libwebsocket.a
LIB_LIBS  = -lmd -lresolv
ENDPOINTS = $(basename $(notdir $(wildcard ws/*.c)))
HTTP_OBJS = $(filter-out %/main.o %/worker.o %/fastcgi.o,$(call objects,fcgi/*.c))

all: $(BUILD)/fcgi/duplex $(ENDPOINTS:%=$(BUILD)/ws/%) $(BUILD)/ws/serialize/echo $(LIB) ## build everything (the default)

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# what --version prints
$(BUILD)/obj/fcgi/main.o $(BUILD)/obj/ws/lib/run.o: CPPFLAGS += -DDUPLEX_VERSION='"$(VERSION)"'
$(BUILD)/obj/fcgi/main.o $(BUILD)/obj/ws/lib/run.o: Makefile

# where the pages say that their source is, if it is given: make SOURCE_URL=https://example.org/duplex
SOURCE_URL =
$(BUILD)/obj/fcgi/files.o: CPPFLAGS += -DDUPLEX_SOURCE='"$(SOURCE_URL)"'

$(LIB): $(call objects,ws/lib/*.c ws/lib/push/*.c ws/lib/resident/*.c)
	rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/fcgi/duplex: $(call objects,fcgi/*.c) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $(PROGRAM_LDFLAGS) -o $@ $^ -lfcgi -lhiredis $(LIB_LIBS) $(LDLIBS)

# /serialize/echo/ is /echo by another name
$(BUILD)/ws/serialize/echo: $(BUILD)/ws/echo
	@mkdir -p $(@D)
	ln -sf ../echo $@

# An endpoint is ws/NAME.c, with further sources of its own in a folder ws/NAME/. ws/NAME.libs names what it is linked with
# beside the library; since that may not exist as a static library, the endpoint is then linked dynamically.
.SECONDEXPANSION:
$(BUILD)/ws/%: $(BUILD)/obj/ws/%.o $$(call objects,ws/$$*/*.c) $(LIB) $$(wildcard ws/$$*.libs)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $(if $(wildcard ws/$*.libs),$(PROGRAM_LDFLAGS),$(ENDPOINT_LDFLAGS)) -o $@ \
		$(filter %.o %.a,$^) $(shell cat ws/$*.libs 2>/dev/null) $(LIB_LIBS) $(LDLIBS)

deps: ## install what running needs, with SERVER= for another server than lighttpd
	$(if $(unknown),$(error SERVER=$(SERVER) is not one of $(SERVERS)))
	@conf/install/packages $(DEPS_RUN) $(call packages,$(or $(SERVER),lighttpd))

run: all ## run it on http://BIND:PORT/echo until Ctrl-C (BIND=127.0.0.1 PORT=8080 SERVER=lighttpd)
	@exec conf/run/launch

DIRECTORIES = sbindir libdir libexecdir includedir datadir mandir sysconfdir unitdir
install: all ## install it under PREFIX=/usr/local, with DESTDIR and the usual variables
uninstall: ## remove what "make install" has installed
install uninstall:
	@VERSION='$(VERSION)' ENDPOINTS='$(ENDPOINTS)' STRIP='$(STRIP)' \
		$(foreach name,BUILD DESTDIR $(DIRECTORIES),$(name)='$(subst ','\'',$($(name)))') conf/install/files $@

dist: ## make a tarball of the sources in build/
	@BUILD='$(BUILD)' VERSION='$(VERSION)' conf/install/dist

# who answers for the packages: make deb MAINTAINER='Your Name <you@example.org>'
MAINTAINER ?= duplex authors <maintainers@duplex.invalid>
DEPS_DEB    = build-essential debhelper libfcgi-dev libhiredis-dev libmd-dev
deps-deb: ## install what "make deb" needs
	@conf/install/packages $(DEPS_DEB)

deb: dist ## build the Debian packages duplex and duplex-dev in build/
	@BUILD='$(BUILD)' VERSION='$(VERSION)' MAINTAINER='$(MAINTAINER)' conf/install/deb

clean: ## remove what was built
	rm -rf $(BUILD)

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.* ## /\1\t/p' Makefile $(wildcard tests/tests.mk) | expand -t 16

.PHONY: all deps run install uninstall dist deps-deb deb clean help
.SECONDARY:
# With -j too, what "make deps run" installs is there before anything is built.
ifneq ($(filter deps%,$(MAKECMDGOALS)),)
.NOTPARALLEL:
endif
-include tests/tests.mk
-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
