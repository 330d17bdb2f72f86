# nvmkv_fdw
#
#   make                     the extension, nvmkv_dump and nvmkv_upgrade, for the PostgreSQL of pg_config
#   make install             into that server, with man pages (DESTDIR= for elsewhere); make uninstall
#   make installcheck        SQL, isolation and TAP tests against that server: scripts/installcheck.sh
#   make engine-test         the engine and its own tests, without PostgreSQL
#   make engine-bench        the engine's benchmark in build/bench (see doc/benchmarks.md)
#   make tools               build/engine-cc/tools/nvmkv_dump, which shows files
#   make fuzz                fuzz targets, FUZZ_SECONDS= each (needs clang)
#   scripts/check.sh         everything, with a private server
#
# Switches: WERROR=1 warnings are errors, ASSERT=1 assertions on,
#           SANITIZE=address|thread for engine-test.
# Building elsewhere: mkdir b && cd b && make -f /path/to/Makefile, or also VPATH=/path/to

topdir := $(patsubst %/,%,$(dir $(firstword $(MAKEFILE_LIST))))

ifneq ($(filter engine% tools fuzz,$(MAKECMDGOALS)),)

# The engine stands alone: no pg_config is asked for.
engine engine-test engine-clean tools fuzz:
	@$(MAKE) --no-print-directory -f $(topdir)/test/engine.mk SRCDIR=$(topdir) $@
engine-bench:
	@$(MAKE) --no-print-directory -f $(topdir)/bench/bench.mk SRCDIR=$(topdir)
.PHONY: engine engine-test engine-bench engine-clean tools fuzz

else

EXTENSION = nvmkv_fdw
MODULE_big = nvmkv_fdw
DATA = $(sort $(patsubst $(topdir)/%,%,$(wildcard $(topdir)/sql/nvmkv_fdw--*.sql)))
SCRIPTS_built = nvmkv_dump nvmkv_upgrade
MAN1 = $(topdir)/doc/nvmkv_dump.1 $(topdir)/doc/nvmkv_upgrade.1
PGFILEDESC = "nvmkv_fdw - foreign tables in an LSM tree with level 0 in persistent memory"

# Object lists.  The server's port replaces the library's.
sources = $(sort $(patsubst $(topdir)/%,%,$(foreach dir,$(1),$(wildcard $(topdir)/$(dir)/*.c))))
PORT_OBJS = src/engine/port/port_pg.o
ENGINE_OBJS = $(filter-out $(PORT_OBJS) src/engine/port/port_posix.o, \
	$(patsubst %.c,%.o,$(call sources,src/engine src/engine/*)))
HOST_OBJS = $(patsubst %.c,%.o,$(call sources,src/fdw src/fdw/* bgworker))
OBJS = $(HOST_OBJS) $(PORT_OBJS) $(ENGINE_OBJS)

# The tools are the same engine on the other port; each has a main of its own.
TOOL_OBJS = $(patsubst %.c,%.o,$(call sources,tools)) src/engine/port/port_posix.o

NO_INSTALLCHECK = 1

PG_CPPFLAGS = -I$(srcdir)/src -I$(srcdir) -D_GNU_SOURCE
PG_CFLAGS = -MMD -MP
SHLIB_LINK = -lpmem -llz4 -lzstd -Wl,--version-script=$(topdir)/src/nvmkv_fdw.map
EXTRA_CLEAN = server_version $(OBJS:.o=.d) $(TOOL_OBJS) $(TOOL_OBJS:.o=.d)

ifdef ASSERT
PG_CPPFLAGS += -DUSE_ASSERT_CHECKING=1
endif
ifdef WERROR
PG_CFLAGS += -Werror
endif

# Bitcode would go stale and serves nothing here.
override with_llvm = no

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifeq ($(PGXS),)
$(error $(PG_CONFIG) not found: install the package postgresql-server-dev-NN of your version, or run scripts/setup.sh)
endif
include $(PGXS)

# What foreign tables are told of the end of an INSERT's rows has come with that minor release.
ifeq ($(filter 15 16 17 18,$(MAJORVERSION)),)
$(error PostgreSQL 15, 16, 17 or 18 is needed, $(PG_CONFIG) is of version $(VERSION))
endif
ifneq ($(filter 15.0 15.1,$(VERSION)),)
$(error PostgreSQL 15.2 or a later minor release of 15 is needed, $(PG_CONFIG) is of version $(VERSION))
endif

include $(topdir)/test/warnings.mk

# Hidden, so that no engine function can be taken for one of the server's; the
# server's own warning choices do not apply to it.
$(ENGINE_OBJS) $(TOOL_OBJS): override CFLAGS := $(filter-out -Wdeclaration-after-statement,$(CFLAGS)) \
	-std=gnu11 -fvisibility=hidden $(ENGINE_WARNINGS)
# PostgreSQL 15's headers are not C23, which newer compilers take unless they are told.
$(HOST_OBJS) $(PORT_OBJS): override CFLAGS := $(CFLAGS) -std=gnu11 $(HOST_WARNINGS)

$(SCRIPTS_built): $(TOOL_OBJS) $(ENGINE_OBJS)
	$(CC) $(CFLAGS) $(filter-out $(patsubst %,tools/%.o,$(filter-out $@,$(SCRIPTS_built))),$^) $(LDFLAGS) $(LDFLAGS_EX) -lpmem -llz4 -lzstd -lpthread -o $@

install: install-man
uninstall: uninstall-man

install-man:
	$(MKDIR_P) '$(DESTDIR)$(mandir)/man1'
	$(INSTALL_DATA) $(MAN1) '$(DESTDIR)$(mandir)/man1/'

uninstall-man:
	rm -f $(addprefix '$(DESTDIR)$(mandir)/man1'/,$(notdir $(MAN1)))

installcheck:
	PG_CONFIG='$(PG_CONFIG)' $(topdir)/scripts/installcheck.sh
.PHONY: install-man uninstall-man installcheck

# Built elsewhere: folders for the objects; and only sources are looked for in
# the source tree, never objects that were built in it.  (Who names the source tree by VPATH has srcdir from that.)
ifneq ($(srcdir),.)
srcdir := $(srcdir)
$(shell mkdir -p $(sort $(dir $(OBJS) $(TOOL_OBJS))))
override VPATH :=
vpath %.c $(srcdir)
vpath %.control $(srcdir)
endif

# What a change of switches, or another server, must rebuild.
$(OBJS) $(TOOL_OBJS): $(topdir)/Makefile $(topdir)/test/warnings.mk server_version
server_version: FORCE
	@printf '%s\n' '$(PG_CONFIG) $(VERSION)' | cmp -s - $@ || printf '%s\n' '$(PG_CONFIG) $(VERSION)' >$@
FORCE:
.PHONY: FORCE
-include $(OBJS:.o=.d) $(TOOL_OBJS:.o=.d)

endif
