# Random queries, on heap tables and on nvmkv tables: a client of a server.
#
#   make -f test/query/query.mk     $(QUERY_BUILD)/nvmkv_queries
#
# Switches: CC=, OPT=, WERROR=1, QUERY_BUILD= where to build.  Needs libpq-dev.

SRCDIR ?= .
QUERY_BUILD ?= build/query
OPT ?= -O2 -g

include $(SRCDIR)/test/warnings.mk

SRC = $(SRCDIR)/test
SHARED = schedule/text
OBJS = $(patsubst $(SRC)/%.c,$(QUERY_BUILD)/%.o,$(sort $(wildcard $(SRC)/query/*.c)) $(SHARED:%=$(SRC)/%.c))

CPPFLAGS_ALL = -I$(SRC) -D_GNU_SOURCE $(CPPFLAGS)
CFLAGS_ALL = -std=gnu11 $(OPT) -MMD -MP $(ENGINE_WARNINGS) $(if $(WERROR),-Werror) $(CFLAGS)

$(QUERY_BUILD)/nvmkv_queries: $(OBJS)
	@$(CC) $(CFLAGS_ALL) $(LDFLAGS) -o $@ $^ -lpq

$(QUERY_BUILD)/%.o: $(SRC)/%.c
	@mkdir -p $(dir $@)
	@echo "  CC test/$*.c"
	@$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -c -o $@ $<

-include $(OBJS:.o=.d)
