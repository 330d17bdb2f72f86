#!/bin/bash
# Does the library show the server only what it should, and does the engine keep to what it may call?
#
#   scripts/check_exports.sh BUILD_DIR     where nvmkv_fdw.so and the objects are
#
# Modules live in one name space with the server, so every visible name starts with nvmkv.  The engine runs
# inside backends: it must not print, end the process, start threads or jump.
# Prints what is wrong; the exit code says whether anything is.
. "$(dirname "${BASH_SOURCE[0]}")/options.sh"

parse_options "words 1 1" -- "$@"
dir=${arguments[0]}
bad=0

[ -r "$dir/nvmkv_fdw.so" ] || die "$dir/nvmkv_fdw.so does not exist"

names=$(nm -D --defined-only "$dir/nvmkv_fdw.so" | awk '{ print $NF }' |
	grep -vE '^(nvmkv.*|pg_finfo_nvmkv.*|_PG_init|Pg_magic_func)$')
if [ -n "$names" ]; then
	printf 'visible outside the library: %s\n' $names
	bad=1
fi

# One nm for all: "OBJECT:   U NAME@VERSION".
calls=$(cd "$dir" && find src/engine -name '*.o' -not -path '*/port/*' -exec nm -uA {} + |
	sed -nE 's/^([^:]*):[ ]*[Uw] ([^@]*).*/\1 calls \2/p' |
	grep -E ' (abort|_?exit|printf|puts|putchar|fprintf|vfprintf|__v?f?printf_chk|perror|pthread_create|longjmp|_longjmp|siglongjmp|setjmp|_setjmp|__sigsetjmp|system|signal|sigaction)$')
if [ -n "$calls" ]; then
	printf '%s\n' "$calls"
	bad=1
fi

exit $bad
