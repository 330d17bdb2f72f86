#!/bin/bash
# PostgreSQL's own tests on nvmkv tables: the isolation specs and the regress files of Debian's source package are run on
# heap tables and, with default_table_access_method = nvmkv, on nvmkv tables, by the server that is installed.  What the
# two say differently is listed by cause: test/upstream/causes leads from a difference to a line of doc/limits.md,
# test/upstream/heap_tables names the tables that stay heap tables (test/upstream/nvmkv_upstream.c).
#
#   scripts/upstream_tests.sh [OPTION]... [SUITE[/TEST]...]    SUITE: isolation, regress; both without arguments
#   --learn      finds the tables for test/upstream/heap_tables: runs until no more are needed, and writes the file
#   --verbose    lists every difference, not only those without a cause
#   --quick      the tests of test/upstream/quick: identity of rows, locks, what waits and what is seen behind it
#
# The source is that of scripts/postgres_source.sh; answers of heap tables are kept in build/upstream.  Single regress
# tests run after test_setup alone: not all can do with that.
# The last lines are totals.  The exit code is 0 if every difference has a cause, 1 if not, 2 for wrong usage.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

learn=""
verbose=""
quick=""
parse_options "--learn learn flag" "--verbose verbose flag" "--quick quick flag" "words 0 any" -- "$@"
options=(${verbose:+--verbose})
wanted=("${arguments[@]}")
for one in "${wanted[@]}"; do
	[[ $one =~ ^(isolation|regress)(/.+)?$ ]] || wrong_usage "no suite: $one"
done
cd "$root" || exit 1
[ -z "$quick" ] || wanted+=($(grep -v '^#' test/upstream/quick))
[ ${#wanted[@]} -gt 0 ] || wanted=(isolation regress)

cache=$build/upstream
mkdir -p "$cache" || die "cannot write to $cache"
exec 9>"$cache/.lock" || die "cannot write to $cache"
flock -n 9 || die "another run is under way"

# The server with the extension, and what the tests load; in $prefix.
prepare_server() {
	local include lib share
	work=$state/upstream$variant
	prefix=$work/pg
	answers=$work/answers${quick:+.quick}
	make_server_dir "$work" "$answers"
	copy_server "$prefix"
	build_extension "$build/check/gcc$variant" "$prefix" CC=gcc WERROR=1 ASSERT=1 >&2 || die "the extension does not build"
	include=$("$system_bin/pg_config" --includedir-server)
	lib=$prefix$("$system_bin/pg_config" --pkglibdir)
	share=$prefix$system_share/extension
	gcc -std=gnu11 -Wall -Wextra -Wno-unused-parameter -O2 -g -fPIC -shared -I"$include" -o "$lib/nvmkv_upstream.so" \
		test/upstream/nvmkv_upstream.c || die "test/upstream does not build"
	gcc -w -O2 -fPIC -shared -I"$include" -o "$lib/regress.so" "$source/regress/regress.c" ||
		die "regress.c does not build"
	cp test/upstream/nvmkv_upstream.control test/upstream/nvmkv_upstream--1.0.sql "$share/" || die "cannot write to $share"
}

# The names of a suite's tests, in their order.
tests_of() {
	local suite=$1 one names=() all=""
	for one in "${wanted[@]}"; do
		case $one in
		"$suite") all=1 ;;
		"$suite"/*) names+=("${one#*/}") ;;
		esac
	done
	if [ -n "$all" ]; then
		sed -n 's/^test: *//p' "$source/$suite/"{isolation,parallel}_schedule 2>/dev/null | tr -s ' ' '\n'
	elif [ ${#names[@]} -gt 0 ]; then
		[ "$suite" = isolation ] || printf 'test_setup\n'
		printf '%s\n' "${names[@]}" | grep -vx test_setup
	fi
}

# Runs a suite: suite flavour test...; its answers are then in $answers/SUITE.FLAVOUR/results.
run_suite() {
	local suite=$1 flavour=$2 dir=$answers/$1.$2 program stamp
	shift 2
	stamp="$(cat "$prefix/.version" "$source/../../../version") $*"
	if [ "$flavour" = heap ] && [ "$(cat "$dir/stamp" 2>/dev/null)" = "$stamp" ]; then
		return
	fi
	rm -rf "$dir" && make_server_dir "$dir" || die "cannot make $dir"
	cp -r "$source/$suite"/{sql,specs,data,expected} "$dir/" 2>/dev/null
	cp test/upstream/heap_tables "$dir/" || die "cannot write to $dir"
	{
		cat test/server.conf
		echo 'jit = off' # a scan that a test has made dear is not to be compiled
		printf '%s\n' "shared_preload_libraries = 'nvmkv_fdw, nvmkv_upstream'" "log_line_prefix = '%m [%p] %a '" \
			"default_table_access_method = $flavour"
		[ "$flavour" = heap ] || echo "upstream.heap_tables = '$dir/heap_tables'"
	} >"$dir/server.conf"
	[ "$EUID" -ne 0 ] || chown -R "$run_user:$(id -g "$run_user")" "$dir"
	program=$prefix$system_lib/pgxs/src/test/$suite/pg_regress
	[ "$suite" = regress ] || program=$(dirname "$program")/pg_isolation_regress
	as_server env PGISOLATIONTIMEOUT=300 timeout -k 30 3600 "$program" --bindir="$prefix$system_bin" --inputdir="$dir" \
		--outputdir="$dir" --dlpath="$prefix$("$system_bin/pg_config" --pkglibdir)" --temp-instance="$dir/instance" \
		--temp-config="$dir/server.conf" --load-extension=nvmkv_fdw --load-extension=nvmkv_upstream \
		--dbname="$([ "$suite" = regress ] && echo regression || echo isolation_regression)" --encoding=UTF8 --no-locale \
		"$@" >"$dir/run.log" 2>&1 </dev/null 9>&-
	if [ ! -d "$dir/results" ] || grep -q 'Bail out\|could not' "$dir/run.log"; then
		tail -n 20 "$dir/run.log" "$dir/log/postmaster.log" >&2
		die "$suite tests did not run on $flavour tables"
	fi
	rm -rf "$dir/instance"
	printf '%s' "$stamp" >"$dir/stamp"
}

choose_places
is_installed "postgresql-$pg_version" && is_installed "postgresql-server-dev-$pg_version" || die "run scripts/setup.sh first"
source=$(scripts/postgres_source.sh)/src/test || exit 1
for one in "${wanted[@]}"; do
	[[ $one != */* ]] || ls "$source/${one%%/*}"/s*/"${one#*/}".s* >/dev/null 2>&1 || wrong_usage "no test $one"
done
prepare_server

status=0
for suite in isolation regress; do
	names=($(tests_of "$suite"))
	[ ${#names[@]} -gt 0 ] || continue
	while :; do
		run_suite "$suite" heap "${names[@]}" &
		heap=$!
		run_suite "$suite" nvmkv "${names[@]}" || exit 1
		wait "$heap" || exit 1
		perl test/upstream/compare.pl ${learn:+--learn} "${options[@]}" "$suite" "$answers" "${names[@]}"
		case $? in
		0) break ;;
		3) say "more tables stay heap tables: once more" ;; # with --learn
		1)
			status=1
			break
			;;
		*) exit 1 ;;
		esac
	done
done
exit $status
