# The engine as a library and its tests, without PostgreSQL.
#
#   make engine                       build/engine.../libnvmkv.a
#   make engine-test                  unit, model and crash tests, each one executable
#   make engine-test SANITIZE=address with AddressSanitizer and UBSan, or SANITIZE=thread
#   make engine-test ONLY=memtable    only the tests whose path contains the word (one of the words)
#   make -f test/engine.mk fuzz       fuzz targets, some seconds each; FUZZ_SECONDS=n for longer, ONLY=sst for one
#   make tools                        build/engine.../tools/nvmkv_dump and nvmkv_upgrade
#
# Switches: CC=, OPT=, WERROR=1, ASSERT=0 (assertions are on by default here),
#           BUILD= where to build, JOBS= tests at a time; TEST_OPT= how the tests themselves are optimised.

SRCDIR ?= .
SANITIZE ?=
ASSERT ?= 1
OPT ?= -O2 -g
TEST_OPT ?= $(if $(SANITIZE),-O0,-O1) # they are compiled more often than they run
JOBS ?= $(shell nproc)
BUILD ?= build/engine-$(notdir $(CC))$(if $(SANITIZE),-$(SANITIZE))$(if $(filter 0,$(ASSERT)),-noassert)

include $(SRCDIR)/test/warnings.mk

CPPFLAGS_ALL = -I$(SRCDIR)/src -I$(SRCDIR)/test -I$(SRCDIR) -D_GNU_SOURCE $(if $(filter 0,$(ASSERT)),,-DUSE_ASSERT_CHECKING=1) $(CPPFLAGS)
CFLAGS_ALL = -std=gnu11 $(OPT) -MMD -MP $(ENGINE_WARNINGS) $(if $(WERROR),-Werror) $(CFLAGS)
LDLIBS_ALL = -lpmem -llz4 -lzstd -lpthread $(LDLIBS)

ifeq ($(SANITIZE),address)
CFLAGS_ALL += -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
else ifeq ($(SANITIZE),thread)
CFLAGS_ALL += -fsanitize=thread
else ifeq ($(SANITIZE),fuzz)
CFLAGS_ALL += -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
else ifneq ($(SANITIZE),)
$(error SANITIZE is address, thread or fuzz)
endif

$(BUILD)/test/%.o: CFLAGS_ALL += $(TEST_OPT)

# A failed CHECK goes on, so a test may seem to use what a call left unset.
ifeq ($(COMPILER_IS_CLANG),0)
$(BUILD)/test/%.o: CFLAGS_ALL += -Wno-maybe-uninitialized
endif

relative = $(patsubst $(SRCDIR)/%,%,$(1))
objects = $(patsubst %.c,$(BUILD)/%.o,$(call relative,$(1)))

LIB_SRC = $(filter-out %/port_pg.c,$(sort $(wildcard $(SRCDIR)/src/engine/*.c $(SRCDIR)/src/engine/*/*.c)))
HARNESS_SRC = $(sort $(wildcard $(SRCDIR)/test/lib/*.c))
TEST_SRC = $(sort $(wildcard $(SRCDIR)/test/unit/*_test.c $(SRCDIR)/test/model/*.c $(SRCDIR)/test/crash/*_test.c \
	$(SRCDIR)/test/fault/*_test.c))
CRASH_OBJS = $(call objects,$(sort $(filter-out %_test.c,$(wildcard $(SRCDIR)/test/crash/*.c))))

LIB = $(BUILD)/libnvmkv.a
HARNESS_OBJS = $(call objects,$(HARNESS_SRC))
TESTS = $(patsubst %.c,$(BUILD)/%,$(call relative,$(TEST_SRC)))
# The longest first: else the last one runs alone.
LONG_TESTS = $(filter %/turnover_test %/crash_test %/nth_test %/value_test %/nvm_test %/db_test %/options_test,$(TESTS))
RUN_TESTS = $(if $(ONLY),$(sort $(foreach word,$(ONLY),$(foreach test,$(TESTS),$(if $(findstring $(word),$(test)),$(test))))),$(LONG_TESTS) $(filter-out $(LONG_TESTS),$(TESTS)))

FUZZ_SRC = $(sort $(wildcard $(SRCDIR)/test/fuzz/*_fuzz.c))
FUZZ_LIB_OBJS = $(BUILD)/test/fuzz/fuzz.o
FUZZERS = $(patsubst %.c,$(BUILD)/%,$(call relative,$(FUZZ_SRC)))
RUN_FUZZERS = $(if $(ONLY),$(foreach fuzzer,$(FUZZERS),$(if $(findstring $(ONLY),$(fuzzer)),$(fuzzer))),$(FUZZERS))

# Fuzzing looks behind the checksums.
ifeq ($(SANITIZE),fuzz)
LIB_SRC := $(filter-out %/crc32c.c,$(LIB_SRC)) $(SRCDIR)/test/fuzz/no_crc.c
endif

TOOL_SRC = $(sort $(wildcard $(SRCDIR)/tools/*.c))
TOOLS = $(BUILD)/tools/nvmkv_dump $(BUILD)/tools/nvmkv_upgrade
DUMP_OBJS = $(call objects,$(filter-out %/nvmkv_dump.c %/nvmkv_upgrade.c,$(TOOL_SRC)))

engine: $(LIB)

tools: $(TOOLS)

$(LIB): $(call objects,$(LIB_SRC))
	@rm -f $@
	@$(AR) rcs $@ $^

$(BUILD)/%.o: $(SRCDIR)/%.c
	@mkdir -p $(dir $@)
	@echo "  CC $(call relative,$<)"
	@$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -c -o $@ $<

$(TESTS): %: %.o $(HARNESS_OBJS) $(LIB)
	@$(CC) $(CFLAGS_ALL) $(LDFLAGS) -o $@ $(filter-out $(LIB),$^) $(LIB) $(LDLIBS_ALL)

# It makes any allocation fail, not only those by port_alloc.
$(BUILD)/test/fault/nth_test $(BUILD)/test/unit/lost_test: LDFLAGS += -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc

# It has a clock of its own.
$(BUILD)/test/unit/write_control_test: LDFLAGS += -Wl,--wrap=port_now_us -Wl,--wrap=port_cond_wait

$(TOOLS): %: %.o $(DUMP_OBJS) $(LIB)
	@$(CC) $(CFLAGS_ALL) $(LDFLAGS) -o $@ $^ $(LDLIBS_ALL)

# These come in between.
$(BUILD)/test/unit/order_test: LDFLAGS += -Wl,--wrap=epoch_retire_stamp -Wl,--wrap=mempool_list
$(BUILD)/test/unit/memtable_test: LDFLAGS += -Wl,--wrap=filter_add_atomic
$(BUILD)/test/unit/port_test: LDFLAGS += -Wl,--wrap=fsync -Wl,--wrap=fdatasync -Wl,--wrap=pread -Wl,--wrap=pwrite

# These share what plays a life.
$(patsubst %,$(BUILD)/test/crash/%_test,crash power turnover): $(CRASH_OBJS)

# These tests call the tool's parts.
$(BUILD)/test/unit/dump_test $(BUILD)/test/unit/agreement_test $(BUILD)/test/unit/lost_test: $(DUMP_OBJS)

$(FUZZERS): %: %.o $(FUZZ_LIB_OBJS) $(HARNESS_OBJS) $(LIB)
	@$(CC) $(CFLAGS_ALL) -fsanitize=fuzzer $(LDFLAGS) -o $@ $^ $(LDLIBS_ALL)

# Every test is tried, whatever the others do: one that does not build counts
# as failed, like one that does not pass.
engine-test:
	@$(MAKE) --no-print-directory -k $(if $(filter -j%,$(MAKEFLAGS)),,-j $(JOBS)) -f $(SRCDIR)/test/engine.mk SRCDIR=$(SRCDIR) BUILD=$(BUILD) engine-test-build \
		|| echo "some engine tests do not build"
	@$(SRCDIR)/scripts/run_engine_tests.sh -j $(JOBS) $(RUN_TESTS)

engine-test-build: $(RUN_TESTS)

engine-clean:
	rm -rf $(BUILD)

# libFuzzer is clang's.
fuzz: FUZZ_BUILD ?= build/fuzz
fuzz:
	@$(MAKE) --no-print-directory -f $(SRCDIR)/test/engine.mk SRCDIR=$(SRCDIR) CC=clang SANITIZE=fuzz OPT="-O1 -g" \
		BUILD=$(FUZZ_BUILD) fuzz-run

fuzz-run: $(RUN_FUZZERS)
	@$(SRCDIR)/test/fuzz/run.sh $(if $(FUZZ_SECONDS),-s $(FUZZ_SECONDS)) $(RUN_FUZZERS)

.PHONY: engine tools engine-test engine-test-build engine-clean fuzz fuzz-run
.SECONDARY:

-include $(patsubst %.c,$(BUILD)/%.d,$(call relative,$(LIB_SRC) $(HARNESS_SRC) $(wildcard $(SRCDIR)/test/crash/*.c) $(TEST_SRC) $(FUZZ_SRC) $(TOOL_SRC)))
