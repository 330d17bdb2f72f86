# Warning sets, shared by the extension's and the engine's build.

ENGINE_WARNINGS = -Wall -Wextra -Wshadow -Wvla -Wformat=2 -Wwrite-strings -Wconversion -Wsign-conversion \
	-Wcast-qual -Wundef -Wswitch-enum -Wstrict-prototypes -Wmissing-prototypes

# Without -Wno-clobbered PG_TRY itself warns; the server's prototypes fight
# -Wwrite-strings and -Wconversion.
HOST_WARNINGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers \
	-Wshadow -Wvla -Wformat=2

COMPILER_IS_CLANG := $(shell $(CC) --version 2>/dev/null | grep -c clang)
ifeq ($(COMPILER_IS_CLANG),0)
HOST_WARNINGS += -Wno-clobbered
else
# The server was configured for gcc: its flags are not all known to clang.
HOST_WARNINGS += -Wno-unknown-warning-option -Wno-ignored-optimization-argument -Wno-ignored-attributes
ENGINE_WARNINGS += -Wno-unknown-warning-option -Wno-ignored-optimization-argument
endif
