# The engine benchmark: one executable an engine.
#
#   make engine-bench        build/bench/bench_nvmkv, bench_leveldb, bench_rocksdb
#
# The peers are those that bench/peers.sh has built; one that is missing is left out, with a word.
# PEERS=debian takes Debian's own packages instead.  Switches: CC=, OPT=, BENCH_BUILD= where to build.

SRCDIR ?= .
BENCH_BUILD ?= build/bench
OPT ?= -O2 -g
PEERS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/nvmkv_fdw/peers

include $(SRCDIR)/test/warnings.mk

SRC = $(SRCDIR)/bench/engine
LIB = $(BENCH_BUILD)/engine/libnvmkv.a
COMMON = $(filter-out store_%,$(notdir $(wildcard $(SRC)/*.c)))
COMMON_OBJS = $(COMMON:%.c=$(BENCH_BUILD)/%.o)

CPPFLAGS_ALL = -I$(SRCDIR)/bench -I$(SRCDIR)/src -D_GNU_SOURCE $(CPPFLAGS)
CFLAGS_ALL = -std=gnu11 $(OPT) -MMD -MP $(ENGINE_WARNINGS) $(if $(WERROR),-Werror) $(CFLAGS)

ifeq ($(PEERS),debian)
HAVE = $(foreach peer,leveldb rocksdb,$(if $(wildcard /usr/include/$(peer)/c.h),$(peer)))
peer_library = -l$(1)
else
HAVE = $(foreach peer,leveldb rocksdb,$(if $(wildcard $(PEERS)/$(peer)/done),$(peer)))
peer_library = $(PEERS)/$(1)/lib/lib$(1).a
endif

PROGRAMS = $(patsubst %,$(BENCH_BUILD)/bench_%,nvmkv $(HAVE))

bench: $(PROGRAMS)
	@$(foreach peer,$(filter-out $(HAVE),leveldb rocksdb),echo "$(peer) is not there: run bench/peers.sh" >&2;)

# The engine as it is shipped: without assertions.
$(LIB): engine-library

engine-library:
	@$(MAKE) --no-print-directory -f $(SRCDIR)/test/engine.mk SRCDIR=$(SRCDIR) BUILD=$(BENCH_BUILD)/engine ASSERT=0 \
		OPT="$(OPT) -DNDEBUG" engine

$(BENCH_BUILD)/%.o: $(SRC)/%.c
	@mkdir -p $(dir $@)
	@echo "  CC bench/engine/$(notdir $<)"
	@$(CC) $(CPPFLAGS_ALL) $(if $(filter debian,$(PEERS)),,$(foreach peer,$(HAVE),-isystem $(PEERS)/$(peer)/include)) \
		$(CFLAGS_ALL) -c -o $@ $<

# What the engine's library needs of the system is test/engine.mk's to know.
ENGINE_LDLIBS = $(shell sed -n 's/^LDLIBS_ALL = //p' $(SRCDIR)/test/engine.mk | sed 's/$$(LDLIBS)//')

$(BENCH_BUILD)/bench_nvmkv: $(COMMON_OBJS) $(BENCH_BUILD)/store_nvmkv.o $(LIB)
	@$(CC) $(CFLAGS_ALL) $(LDFLAGS) -o $@ $^ $(ENGINE_LDLIBS) -lm

$(BENCH_BUILD)/bench_leveldb: $(COMMON_OBJS) $(BENCH_BUILD)/store_leveldb.o $(BENCH_BUILD)/store_peer.o
	@$(CXX) $(LDFLAGS) -o $@ $^ $(call peer_library,leveldb) -lsnappy -lpthread -lm

$(BENCH_BUILD)/bench_rocksdb: $(COMMON_OBJS) $(BENCH_BUILD)/store_rocksdb.o $(BENCH_BUILD)/store_peer.o
	@$(CXX) $(LDFLAGS) -o $@ $^ $(call peer_library,rocksdb) -llz4 -lzstd -lpthread -ldl -lm

.PHONY: bench engine-library
.SECONDARY:

-include $(wildcard $(BENCH_BUILD)/*.d)
