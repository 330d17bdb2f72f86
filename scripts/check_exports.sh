#!/bin/bash
# Does the library show the server only what it should, and does the engine keep to what it may call?
#
#   check_exports.sh BUILD_DIR     where nvmkv_fdw.so and the objects are
#
# Modules live in one name space with the server, so every visible name starts with nvmkv.  The engine runs
# inside backends: it must not print, end the process, start threads or jump.
# Prints what is wrong; the exit code says whether anything is.
dir=${1:?usage: check_exports.sh BUILD_DIR}
bad=0

[ -r "$dir/nvmkv_fdw.so" ] || {
	echo "$dir/nvmkv_fdw.so does not exist"
	exit 2
}

names=$(nm -D --defined-only "$dir/nvmkv_fdw.so" | awk '{ print $NF }' |
	grep -vE '^(nvmkv.*|pg_finfo_nvmkv.*|_PG_init|Pg_magic_func)$')
if [ -n "$names" ]; then
	printf 'visible outside the library: %s\n' $names
	bad=1
fi

while IFS= read -r object; do
	names=$(nm -u "$object" | awk '{ print $NF }' | sed 's/@.*//' |
		grep -xE 'abort|_?exit|printf|puts|putchar|fprintf|vfprintf|__v?f?printf_chk|perror|pthread_create|longjmp|_longjmp|siglongjmp|setjmp|_setjmp|__sigsetjmp|system|signal|sigaction')
	if [ -n "$names" ]; then
		printf '%s calls %s\n' "${object#"$dir"/}" "$(echo $names)"
		bad=1
	fi
done < <(find "$dir/src/engine" -name '*.o' -not -path '*/port/*')

exit $bad
