# Random schedules of several sessions, on heap tables and on nvmkv tables: two clients of a server.
#
#   make -f test/schedule/schedule.mk     $(SCHEDULE_BUILD)/nvmkv_schedules, nvmkv_serial
#
# Switches: CC=, OPT=, WERROR=1, SCHEDULE_BUILD= where to build.  Needs libpq-dev.

SRCDIR ?= .
SCHEDULE_BUILD ?= build/schedule
OPT ?= -O2 -g

include $(SRCDIR)/test/warnings.mk

SRC = $(SRCDIR)/test/schedule
MAINS = schedules serial
SHARED = $(filter-out $(MAINS),$(sort $(basename $(notdir $(wildcard $(SRC)/*.c)))))
SHARED_OBJS = $(SHARED:%=$(SCHEDULE_BUILD)/%.o)
PROGRAMS = $(MAINS:%=$(SCHEDULE_BUILD)/nvmkv_%)

CPPFLAGS_ALL = -I$(SRCDIR)/test -D_GNU_SOURCE $(CPPFLAGS)
CFLAGS_ALL = -std=gnu11 $(OPT) -MMD -MP $(ENGINE_WARNINGS) $(if $(WERROR),-Werror) $(CFLAGS)

schedule: $(PROGRAMS)

$(PROGRAMS): $(SCHEDULE_BUILD)/nvmkv_%: $(SCHEDULE_BUILD)/%.o $(SHARED_OBJS)
	@$(CC) $(CFLAGS_ALL) $(LDFLAGS) -o $@ $^ -lpq

$(SCHEDULE_BUILD)/%.o: $(SRC)/%.c
	@mkdir -p $(dir $@)
	@echo "  CC test/schedule/$(notdir $<)"
	@$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -c -o $@ $<

.PHONY: schedule
.SECONDARY:

-include $(wildcard $(SCHEDULE_BUILD)/*.d)
