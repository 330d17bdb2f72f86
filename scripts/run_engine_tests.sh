#!/bin/bash
# Runs engine test executables and adds up their "N passed, N failed" lines.
#
#   scripts/run_engine_tests.sh [-j jobs] test...
#
# A test that is missing, crashes, hangs, is not run to its end or prints no such
# line counts as one failure.  Output goes to <test>.log; of failures the end is shown.
# NVMKV_TEST_TIMEOUT: seconds for one executable (default 3600).
# NVMKV_TEST_PREFIX: words to put before it, as "valgrind -q".
# Without TMPDIR the tests' files are in memory (/dev/shm) where there is room: they test what is written, not the disk.
set -u
. "$(dirname "${BASH_SOURCE[0]}")/options.sh"

jobs=1
parse_options "-j jobs number" "words 0 any" -- "$@"
set -- "${arguments[@]}"

if [ -z "${TMPDIR:-}" ] && [ -w /dev/shm ] && [ "$(df -Pk /dev/shm | awk 'NR == 2 { print $4 }')" -gt 2000000 ]; then
	export TMPDIR=/dev/shm
fi

# One test, in a process of its own; prints one line of result.
run_one() {
	local test=$1 name log=$1.log dir started elapsed rc summary passed failed
	name=$(basename "$(dirname "$test")")/$(basename "$test")
	started=$(date +%s%N)
	if [ ! -x "$test" ]; then
		echo "not built" >"$log"
		rc=127
	else
		dir=$(mktemp -d "${TMPDIR:-/tmp}/nvmkv_test.XXXXXX") || exit 1
		TMPDIR=$dir timeout -k 10 "${NVMKV_TEST_TIMEOUT:-3600}" ${NVMKV_TEST_PREFIX:-} "$test" >"$log" 2>&1 </dev/null
		rc=$?
		rm -rf "$dir"
	fi
	elapsed=$((($(date +%s%N) - started) / 1000000))
	summary=$(tail -n 20 "$log" | grep -aE '^[0-9]+ passed, [0-9]+ failed$' | tail -n 1)
	if [ -n "$summary" ]; then
		passed=${summary%% *}
		failed=${summary#*, }
		failed=${failed%% *}
		[ "$rc" -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
	else
		passed=0
		failed=1
	fi
	printf '%-36s %5d passed %3d failed %7d ms%s\n' "$name" "$passed" "$failed" "$elapsed" \
		"$([ "$rc" -eq 0 ] || echo "  (exit code $rc)")"
	if [ "$failed" -gt 0 ]; then
		tail -n 30 "$log" | sed 's/^/    | /'
	fi
}

export -f run_one
if [ $# -eq 0 ]; then
	echo "0 passed, 0 failed"
	exit 1
fi

# xargs: whole result blocks must not interleave, hence one write per test.
printf '%s\0' "$@" |
	xargs -0 -n 1 -P "$jobs" bash -c 'out=$(run_one "$1"); printf "%s\n" "$out"' run_one |
	awk -v tests=$# '{ print; fflush() }
		/ passed +[0-9]+ failed +[0-9]+ ms/ { passed += $2; failed += $4; told++ }
		END { failed += tests - told; printf "%d passed, %d failed\n", passed, failed; exit failed > 0 || passed == 0 }'
