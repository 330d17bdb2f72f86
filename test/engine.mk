# The engine as a library and its tests, without PostgreSQL.
#
#   make engine                       build/engine.../libnvmkv.a
#   make engine-test                  unit, model and crash tests, each one executable
#   make engine-test SANITIZE=address with AddressSanitizer and UBSan, or SANITIZE=thread
#   make engine-test ONLY=memtable    only the tests whose path contains the word
#
# Switches: CC=, OPT=, WERROR=1, ASSERT=0 (assertions are on by default here),
#           BUILD= where to build, JOBS= tests at a time.

SRCDIR ?= .
SANITIZE ?=
ASSERT ?= 1
OPT ?= -O2 -g
JOBS ?= $(shell nproc)
BUILD ?= build/engine-$(notdir $(CC))$(if $(SANITIZE),-$(SANITIZE))$(if $(filter 0,$(ASSERT)),-noassert)

include $(SRCDIR)/test/warnings.mk

CPPFLAGS_ALL = -I$(SRCDIR)/src -I$(SRCDIR)/test -D_GNU_SOURCE $(if $(filter 0,$(ASSERT)),,-DUSE_ASSERT_CHECKING=1) $(CPPFLAGS)
CFLAGS_ALL = -std=gnu11 $(OPT) -MMD -MP $(ENGINE_WARNINGS) $(if $(WERROR),-Werror) $(CFLAGS)
LDLIBS_ALL = -lpmem -lpthread $(LDLIBS)

ifeq ($(SANITIZE),address)
CFLAGS_ALL += -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
else ifeq ($(SANITIZE),thread)
CFLAGS_ALL += -fsanitize=thread
else ifneq ($(SANITIZE),)
$(error SANITIZE is address or thread)
endif

# A failed CHECK goes on, so a test may seem to use what a call left unset.
ifeq ($(COMPILER_IS_CLANG),0)
$(BUILD)/test/%.o: CFLAGS_ALL += -Wno-maybe-uninitialized
endif

relative = $(patsubst $(SRCDIR)/%,%,$(1))
objects = $(patsubst %.c,$(BUILD)/%.o,$(call relative,$(1)))

LIB_SRC = $(filter-out %/port_pg.c,$(sort $(wildcard $(SRCDIR)/src/engine/*.c $(SRCDIR)/src/engine/*/*.c)))
HARNESS_SRC = $(sort $(wildcard $(SRCDIR)/test/lib/*.c))
TEST_SRC = $(sort $(wildcard $(SRCDIR)/test/unit/*_test.c $(SRCDIR)/test/model/*.c $(SRCDIR)/test/crash/*.c))

LIB = $(BUILD)/libnvmkv.a
HARNESS_OBJS = $(call objects,$(HARNESS_SRC))
TESTS = $(patsubst %.c,$(BUILD)/%,$(call relative,$(TEST_SRC)))
RUN_TESTS = $(if $(ONLY),$(foreach test,$(TESTS),$(if $(findstring $(ONLY),$(test)),$(test))),$(TESTS))

engine: $(LIB)

$(LIB): $(call objects,$(LIB_SRC))
	@rm -f $@
	@$(AR) rcs $@ $^

$(BUILD)/%.o: $(SRCDIR)/%.c
	@mkdir -p $(dir $@)
	@echo "  CC $(call relative,$<)"
	@$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -c -o $@ $<

$(TESTS): %: %.o $(HARNESS_OBJS) $(LIB)
	@$(CC) $(CFLAGS_ALL) $(LDFLAGS) -o $@ $^ $(LDLIBS_ALL)

# Every test is tried, whatever the others do: one that does not build counts
# as failed, like one that does not pass.
engine-test:
	@$(MAKE) --no-print-directory -k -f $(SRCDIR)/test/engine.mk SRCDIR=$(SRCDIR) BUILD=$(BUILD) engine-test-build \
		|| echo "some engine tests do not build"
	@$(SRCDIR)/scripts/run_engine_tests.sh -j $(JOBS) $(RUN_TESTS)

engine-test-build: $(RUN_TESTS)

engine-clean:
	rm -rf $(BUILD)

.PHONY: engine engine-test engine-test-build engine-clean
.SECONDARY:

-include $(patsubst %.c,$(BUILD)/%.d,$(call relative,$(LIB_SRC) $(HARNESS_SRC) $(TEST_SRC)))
