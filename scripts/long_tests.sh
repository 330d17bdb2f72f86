#!/bin/bash
# The engine's tests with tools that find what a plain run does not, and for longer than a check has time.
#
#   scripts/long_tests.sh address            all tests with AddressSanitizer and UBSan
#   scripts/long_tests.sh thread             tests with threads, ThreadSanitizer
#   scripts/long_tests.sh valgrind           tests of modules under valgrind's memcheck
#   scripts/long_tests.sh nth                every allocation and every file operation of the scenario fails once
#   scripts/long_tests.sh model [SECONDS]    random operations beside a model; the same under many options
#   scripts/long_tests.sh crash [SECONDS]    random scripts, random faults, power loss
#   scripts/long_tests.sh processes [ROUNDS] several processes, killed; threads
#   scripts/long_tests.sh damage [BITS]      so many changed bits of each kind of file
#   scripts/long_tests.sh fuzz [SECONDS]     each fuzz target for so long
#   scripts/long_tests.sh copies [ROUNDS]    servers copied, restored and rewound while they are written, by all tools
#   scripts/long_tests.sh outcomes [COUNT]   so many transactions, and 40 times as many subtransactions, over millions of ids
#   scripts/long_tests.sh life [SECONDS]     a cluster's life at random: crashes, copies, promotions, damage, beside heap twins
#   scripts/long_tests.sh schedules [SECONDS] random schedules of several sessions beside heap tables; serializable transactions;
#                                             sessions that want the same keys
#   scripts/long_tests.sh upstream           PostgreSQL's own tests on nvmkv tables and on heap tables: scripts/upstream_tests.sh
#   scripts/long_tests.sh queries [SECONDS]  random queries and changes beside heap tables
#   scripts/long_tests.sh follow [ROUNDS]    writers, and a follower of their changes; both servers and it are killed
#   scripts/long_tests.sh assertions         SQL, isolation and TAP tests on the server of scripts/assert_server.sh; some SQL
#                                            tests with caches that forget at every chance
#   scripts/long_tests.sh failover           three servers under Patroni, whose primaries go in all ways: scripts/ha_tests.sh
#   scripts/long_tests.sh all [SECONDS]      one after the other
#
# Several words, several runs; a number belongs to the word before it (default: 300 seconds, 100 rounds, 1000 bits,
# 6 rounds of copies, 250000 transactions, 20 rounds of follow).
# Random numbers differ from run to run, unless NVMKV_SEED says otherwise.  Builds are in build/long.  The last line is "N passed, N failed".
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

runs="address thread valgrind nth model crash processes damage fuzz copies outcomes life schedules queries follow upstream assertions failover"
parse_options "words 1 any" -- "$@"
set -- "${arguments[@]}"
is_number "$1" && wrong_usage "which run is \"$1\" for?"
for word in "$@"; do
	is_number "$word" || [[ " $runs all " == *" $word "* ]] || wrong_usage "unknown run: $word"
done

work=$build/long
passed=0
failed=0
cd "$root" || exit 1

# Adds up a run's last line: engine name [make arguments and NAME=value of the environment]
engine() {
	local name=$1 out summary
	shift
	out=$work/$name.log
	mkdir -p "$work"
	echo "== $name"
	make --no-print-directory -f test/engine.mk engine-test "$@" 2>&1 </dev/null | tee "$out" | grep -E 'passed|^ +\|'
	add "$out"
}

add() {
	local summary
	summary=$(grep -aE '^[0-9]+ passed, [0-9]+ failed$' "$1" | tail -n 1)
	set -- ${summary:-0 passed, 1 failed}
	passed=$((passed + $1))
	failed=$((failed + $3))
}

export NVMKV_SEED=${NVMKV_SEED:-random}

plain=(CC=gcc WERROR=1 BUILD="$work/plain")

run() {
	local what=$1 number=${2:-}
	export NVMKV_TEST_TIMEOUT=$((${number:-300} * 3 + 3600))
	case $what in
	address)
		NVMKV_TEST_ALL=1 engine address CC=gcc OPT="-O1 -g" SANITIZE=address BUILD="$work/address"
		;;
	thread)
		NVMKV_MULTIPROC_ROUNDS=20 engine thread CC=gcc OPT="-O1 -g" SANITIZE=thread BUILD="$work/thread" JOBS=1 \
			ONLY="base_test meta_test port_test epoch_test memtable_test log_test multiproc_test"
		;;
	valgrind)
		NVMKV_TEST_PREFIX="valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite" \
			engine valgrind "${plain[@]}" ONLY="base_test meta_test port_test memtable_test log_test sst_test dump_test"
		;;
	nth)
		NVMKV_NTH=all engine nth "${plain[@]}" ONLY=fault/nth
		;;
	model)
		NVMKV_MODEL_SECONDS=${number:-300} NVMKV_OPTIONS_SECONDS=${number:-300} engine model "${plain[@]}" ONLY=model/
		;;
	crash)
		NVMKV_TEST_ALL=1 NVMKV_CRASH_SECONDS=${number:-300} engine crash "${plain[@]}" ONLY="crash/crash crash/power crash/turnover"
		;;
	processes)
		NVMKV_MULTIPROC_ROUNDS=${number:-100} engine processes "${plain[@]}" ONLY=crash/multiproc
		;;
	damage)
		NVMKV_DAMAGES=${number:-1000} engine damage "${plain[@]}" ONLY=fault/damage
		;;
	fuzz)
		echo "== fuzz"
		mkdir -p "$work"
		make --no-print-directory -f test/engine.mk fuzz FUZZ_BUILD="$work/fuzz" FUZZ_SECONDS="${number:-300}" 2>&1 </dev/null |
			tee "$work/fuzz.log" | grep -vE '^ +CC '
		add "$work/fuzz.log"
		;;
	copies)
		echo "== copies"
		mkdir -p "$work"
		"$root/scripts/setup.sh" --copy-packages || die "packages that the tests of copies need are missing"
		NVMKV_LONG=1 NVMKV_COPY_ROUNDS=${number:-6} NVMKV_TAP='05[3-8]*' NVMKV_TAP_TIMEOUT=3600 scripts/check.sh tap 2>&1 </dev/null |
			tee "$work/copies.log" | grep -E 'passed|^ +\|'
		add "$work/copies.log"
		;;
	outcomes)
		echo "== outcomes"
		mkdir -p "$work"
		NVMKV_TRANSACTIONS=${number:-250000} NVMKV_MANY_SUBTRANSACTIONS=$((${number:-250000} * 40)) NVMKV_TAP='05[0-3]*' \
			NVMKV_TAP_TIMEOUT=7200 scripts/check.sh tap 2>&1 </dev/null | tee "$work/outcomes.log" | grep -E 'passed|^ +\|'
		add "$work/outcomes.log"
		;;
	life)
		echo "== life"
		mkdir -p "$work"
		[ "$NVMKV_SEED" != random ] || export NVMKV_SEED=$RANDOM
		NVMKV_LIFE_SECONDS=${number:-300} NVMKV_TAP='090*' NVMKV_TAP_TIMEOUT=$((${number:-300} * 2 + 600)) scripts/check.sh tap 2>&1 </dev/null |
			tee "$work/life.log" | grep -E 'passed|^ +\|'
		add "$work/life.log"
		;;
	schedules)
		echo "== schedules"
		mkdir -p "$work"
		[ "$NVMKV_SEED" != random ] || export NVMKV_SEED=$((RANDOM * 100000))
		NVMKV_SAME_KEYS=$((${number:-300} * 10)) NVMKV_SCHEDULE_SECONDS=${number:-300} NVMKV_TAP='04[13]*' \
			NVMKV_TAP_TIMEOUT=$((${number:-300} * 3 + 600)) scripts/check.sh tap 2>&1 </dev/null |
			tee "$work/schedules.log" | grep -E 'passed|^ +\|'
		grep -ah 'seeds ' build/check/log/tap_041_schedules.log
		add "$work/schedules.log"
		;;
	upstream)
		echo "== upstream"
		mkdir -p "$work"
		if scripts/upstream_tests.sh >"$work/upstream.log" 2>&1 </dev/null; then
			passed=$((passed + 1))
		else
			failed=$((failed + 1))
			grep -E 'without cause' "$work/upstream.log"
		fi
		tail -n 3 "$work/upstream.log"
		;;
	queries)
		echo "== queries"
		mkdir -p "$work"
		[ "$NVMKV_SEED" != random ] || export NVMKV_SEED=$((RANDOM * 100000))
		NVMKV_QUERY_SECONDS=${number:-300} NVMKV_TAP='044*' NVMKV_TAP_TIMEOUT=$((${number:-300} + 900)) scripts/check.sh tap 2>&1 </dev/null |
			tee "$work/queries.log" | grep -E 'passed|^ +\|'
		grep -ah 'seeds ' build/check/log/tap_044_queries.log
		add "$work/queries.log"
		;;
	follow)
		echo "== follow"
		mkdir -p "$work"
		[ "$NVMKV_SEED" != random ] || export NVMKV_SEED=$((RANDOM % 1000))
		NVMKV_FOLLOW_ROUNDS=${number:-20} NVMKV_TAP='095*' scripts/check.sh tap 2>&1 </dev/null |
			tee "$work/follow.log" | grep -E 'passed|^ +\|'
		add "$work/follow.log"
		;;
	failover)
		echo "== failover"
		mkdir -p "$work"
		scripts/ha_tests.sh 2>&1 </dev/null | tee "$work/failover.log" | grep -E '^not ok|again after|passed'
		add "$work/failover.log"
		;;
	assertions)
		echo "== assertions"
		mkdir -p "$work"
		assert_config=$(scripts/assert_server.sh) || die "there is no server with assertions"
		PG_CONFIG=$assert_config NVMKV_TAP_TIMEOUT=1800 scripts/check.sh regress isolation tap 2>&1 </dev/null |
			tee "$work/assertions.log" | grep -E 'passed|^ +\|'
		add "$work/assertions.log"
		PG_CONFIG=$assert_config NVMKV_SETTINGS=debug_discard_caches=1 NVMKV_REGRESS='options|upsert|rescan|locking' \
			scripts/check.sh regress 2>&1 </dev/null | tee "$work/discard.log" | grep -E 'passed|^ +\|'
		add "$work/discard.log"
		;;
	all)
		for what in $runs; do
			case $what in
			model | crash | fuzz | life | schedules | queries) run $what "$number" ;;
			*) run $what ;;
			esac
		done
		;;
	esac
}

while [ $# -gt 0 ]; do
	if is_number "${2:-}"; then
		run "$1" "$2"
		shift 2
	else
		run "$1"
		shift
	fi
done
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
