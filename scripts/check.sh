#!/bin/bash
# Everything that can be checked on this machine: text and layers, builds by two compilers with warnings as
# errors, the engine's tests (plain and under sanitizers), fuzz targets, SQL, isolation and TAP tests on private
# servers.
#
#   scripts/check.sh            all
#   scripts/check.sh STEP...    some of: style build engine sanitize fuzz regress isolation tap
#   scripts/check.sh upstream   no part of all: some of PostgreSQL's own tests (scripts/upstream_tests.sh --quick)
#   scripts/check.sh versions   no part of all: SQL and isolation tests and a choice of TAP tests with the PostgreSQL
#                               of other releases of Debian, each in a tree of its own (scripts/debian_tree.sh)
#   scripts/check.sh versions --all     with those of Debian sid, too
#
# NVMKV_TAP='05*' or '@(001|002)*' takes only those TAP tests, NVMKV_REGRESS='scan|dml' only those SQL tests, NVMKV_ISOLATION='upsert_conflict'
# only those isolation tests; PG_CONFIG=... takes the server of that pg_config in place of Debian's.
# NVMKV_SETTINGS='name=value ...' adds to the settings of the servers of SQL and isolation tests.  With
# NVMKV_PACKAGES_ARE_THERE=1 nothing looks whether packages are missing: for those who call this again and again.
#
# Times that something may take are far above what it takes, so that a busy machine is no failure.
#
# All of it runs even if something fails.  Logs are in build/check/log.  The last line is "N passed, N failed";
# the exit code is 0 only if something passed and nothing failed.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

shopt -s extglob
work=$build/check # builds and logs
log=$work/log
all_steps="style build engine sanitize fuzz regress isolation tap"
other_steps="upstream versions"
all_versions=""
parse_options "--all all_versions flag" "words 0 any" -- "$@"
steps=" ${arguments[*]:-$all_steps} "
total_passed=0
total_failed=0
failures=()

for step in $steps; do
	[[ " $all_steps $other_steps " == *" $step "* ]] || wrong_usage "unknown step: $step"
done
[ -z "$all_versions" ] || [[ $steps == *" versions "* ]] || wrong_usage "--all is for versions"
cd "$root" || exit 1
rm -rf "$log"
mkdir -p "$log"

wanted() { [[ $steps == *" $1 "* ]]; }

# Takes a result into account: count name passed failed [seconds]
count() {
	printf '%-28s %6d passed %4d failed %6d s\n' "$1" "$2" "$3" "${4:-0}"
	total_passed=$((total_passed + $2))
	total_failed=$((total_failed + $3))
	[ "$3" -eq 0 ] || failures+=("$1")
}

# The end of a log, indented.
show() { [ ! -s "$1" ] || tail -n "${2:-40}" "$1" | cut -c 1-300 | sed 's/^/    | /'; }

# A command that passes or fails as one: simple name command...
simple() {
	local name=$1 started=$SECONDS out=$log/${1// /_}.log
	shift
	if "$@" >"$out" 2>&1 </dev/null; then
		count "$name" 1 0 $((SECONDS - started))
	else
		count "$name" 0 1 $((SECONDS - started))
		show "$out"
		return 1
	fi
}

# Engine tests: engine_tests name argument of make...
engine_tests() {
	local name=$1 started=$SECONDS out=$log/${1// /_}.log summary rc
	shift
	make --no-print-directory -f test/engine.mk engine-test "$@" >"$out" 2>&1 </dev/null
	rc=$?
	summary=$(tail -n 20 "$out" | grep -E '^[0-9]+ passed, [0-9]+ failed$' | tail -n 1)
	[ -n "$summary" ] || summary="0 passed, 1 failed"
	set -- $summary
	# Ended before it could count all of them.
	[ "$rc" -eq 0 ] || [ "$3" -gt 0 ] || set -- "$1" passed, 1
	if grep -q '^some engine tests do not build' "$out"; then
		grep -E 'error|Error' "$out" | head -n 20 | sed 's/^/    | /'
	fi
	count "$name" "$1" "$3" $((SECONDS - started))
	[ "$3" -eq 0 ] || sed -n '/ passed *[1-9][0-9]* failed/,/ passed *0 failed/p' "$out" | head -n 200 | sed 's/^/    | /'
}

# Fuzz targets, some seconds each, from a fixed seed.  They run beside the tests of servers, which wait much.
start_fuzz() {
	local out=$log/fuzz.log
	if ! echo 'int LLVMFuzzerTestOneInput(const char *p, long n) { return n < 0 || p == 0; }' |
		clang -w -x c -fsanitize=fuzzer,address -o "$work/has_fuzzer" - 2>"$out"; then
		echo "fuzz: skipped: clang has no libFuzzer (package libclang-rt-NN-dev)"
		return
	fi
	nice -n 5 make --no-print-directory -j "$(nproc)" -f test/engine.mk fuzz FUZZ_BUILD="$work/fuzz" WERROR=1 >"$out" 2>&1 </dev/null &
	fuzz_pid=$!
	fuzz_started=$SECONDS
}

end_fuzz() {
	local out=$log/fuzz.log summary
	[ -n "$fuzz_pid" ] || return
	wait "$fuzz_pid"
	summary=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$out" | tail -n 1)
	set -- ${summary:-0 passed, 1 failed}
	count "fuzz" "$1" "$3" $((SECONDS - fuzz_started))
	[ "$3" -eq 0 ] || show "$out" 60
}

# Data of servers under test is in memory where there is room: what is tested is what they write, not the disk.
choose_data() {
	local dir
	server_data=$server_work
	[ "$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 { print $4 }')" -gt 6000000 ] &&
		[ "$(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo)" -gt 8000000 ] || return 0
	dir=/dev/shm/nvmkv_check.$(id -u).$(path_key "$root")
	if mkdir -p "$dir" 2>/dev/null && [ -d "$dir" ] && [ ! -L "$dir" ] && [ -O "$dir" ] && chmod 755 "$dir"; then
		server_data=$dir
		trap 'rm -rf "$server_data"' EXIT
	fi
}

# What a failed test leaves is kept on disk: keep_dir DIR
keep_dir() {
	local to=$server_work/${1##*/}
	[ "$1" != "$to" ] || return 0
	rm -rf "$to"
	mv "$1" "$to"
}

# A new directory that the servers' user owns, with copies of test files: it may not be able to read ours.
# fresh_dir name file...
fresh_dir() {
	local dir=$server_data/$1
	shift
	rm -rf "$dir"
	make_server_dir "$dir" || return
	[ $# -eq 0 ] || cp -r "$@" "$dir/" || return
	[ -z "${NVMKV_SETTINGS:-}" ] || [ ! -e "$dir/server.conf" ] || printf '%s\n' $NVMKV_SETTINGS >>"$dir/server.conf" || return
	[ "$EUID" -ne 0 ] || chown -R "$run_user:$(id -g "$run_user")" "$dir"
	printf '%s\n' "$dir"
}

# pg_regress and pg_isolation_regress on an instance of their own: run_regress name program inputs test...
# What came of it goes to $log/NAME.result: seconds.
run_regress() {
	local name=$1 program=$2 inputs=$3 started=$SECONDS dir test
	shift 3
	dir=$(fresh_dir "$name" "$inputs" expected test/server.conf) || return
	# pg_regress gives up where a file is missing; so such a test fails alone.
	for test in "$@"; do
		[ -e "$dir/expected/$test.out" ] || : >"$dir/expected/$test.out"
	done
	as_server env PGISOLATIONTIMEOUT="${NVMKV_ISOLATION_TIMEOUT:-300}" timeout -k 30 3600 "$program" --bindir="$check_bin" --inputdir="$dir" --outputdir="$dir" \
		--temp-instance="$dir/instance" --temp-config="$dir/server.conf" --load-extension=nvmkv_fdw \
		--dbname="nvmkv_$name" --encoding=UTF8 --no-locale "$@" >"$log/$name.log" 2>&1 </dev/null
	echo $((SECONDS - started)) >"$log/$name.result"
}

# Takes such a run into account: count_regress name test...
count_regress() {
	local name=$1 out=$log/$1.log dir=$server_data/$1 passed failed
	shift
	if [ $# -eq 0 ]; then
		echo "$name: there are no tests"
		return
	fi
	if [ ! -e "$log/$name.result" ]; then
		count "$name" 0 1
		return
	fi
	# Until version 15 it tells in words of its own, then as TAP tests do.
	passed=$(grep -cE '^(test |     ).* \.\.\. +ok( |$)|^ok [0-9]' "$out")
	failed=$(($# - passed))
	count "$name" "$passed" "$failed" "$(cat "$log/$name.result")"
	if [ "$failed" -gt 0 ]; then
		grep -E 'FAILED|failed|^not ok ' "$out" | sed 's/^/    | /'
		cp "$dir/regression.diffs" "$log/$name.diffs" 2>/dev/null
		cp "$dir/log/postmaster.log" "$log/$name.server.log" 2>/dev/null
		if [ -s "$log/$name.diffs" ]; then
			show "$log/$name.diffs" 150
		else
			show "$out"
		fi
		grep -E 'PANIC|FATAL|TRAP|terminated by signal' "$log/$name.server.log" 2>/dev/null | tail -n 10 | sed 's/^/    | /'
		keep_dir "$dir"
	else
		rm -rf "$dir"
	fi
}

# SQL and isolation tests, those that are wanted, beside each other.
regress() {
	local sql specs jobs=()
	sql=$(find sql -maxdepth 1 -regextype posix-extended -regex "sql/(${NVMKV_REGRESS:-.*})\.sql" ! -name 'nvmkv_fdw--*' -printf '%f\n' | sed 's/\.sql$//' | sort)
	specs=$(find specs -regextype posix-extended -regex "specs/(${NVMKV_ISOLATION:-.*})\.spec" -printf '%f\n' | sed 's/\.spec$//' | sort)
	if wanted regress; then
		run_regress regress "$pgxs/src/test/regress/pg_regress" sql $sql &
		jobs+=($!)
	fi
	if wanted isolation; then
		run_regress isolation "$pgxs/src/test/isolation/pg_isolation_regress" specs $specs &
		jobs+=($!)
	fi
	wait "${jobs[@]}"
	! wanted regress || count_regress regress $sql
	! wanted isolation || count_regress isolation $specs
}

# The programs of test/schedule and test/query, to where TAP tests find them.
build_clients() {
	make -s -j "$(nproc)" -f test/schedule/schedule.mk CC=gcc WERROR=1 SCHEDULE_BUILD="$work/schedule" &&
		make -s -j "$(nproc)" -f test/query/query.mk CC=gcc WERROR=1 QUERY_BUILD="$work/query" || return
	cp "$work"/schedule/nvmkv_{schedules,serial} "$work/query/nvmkv_queries" "$check_bin/"
}

# Ends the servers of a test that was killed: they would go on writing where the next one has its data.
end_servers() {
	local file pid i
	for file in "$1"/tmp_check/*/pgdata/postmaster.pid; do
		pid=$(head -n 1 "$file" 2>/dev/null) || continue
		for ((i = 0; i < 600; i++)); do
			[ "/proc/$pid/cwd" -ef "${file%/*}" ] && kill -QUIT "$pid" 2>/dev/null || break
			sleep 0.1
		done
	done
}

# One TAP test file, into $log/tap_NAME.log; what came of it goes to tap_NAME.result: exit code, seconds.
run_tap() {
	local file=$1 name started=$SECONDS dir rc=1
	name=$(basename "$file" .pl)
	if dir=$(fresh_dir "tap_$name" t test/server.conf README.md doc scripts/{options,sizing}.sh scripts/{shards.sql,follow.py}) && make_server_dir "$dir"/tmp_check{,/log}; then
		(
			# Until version 15 the tests' library knows only TESTDIR, and does the rest by itself.
			export PATH=$check_bin:$PATH TESTDIR=$dir TESTDATADIR=$dir/tmp_check TESTLOGDIR=$dir/tmp_check/log PGPORT=65432 \
				PG_REGRESS=$pgxs/src/test/regress/pg_regress PG_TEST_TIMEOUT_DEFAULT=600 PGCTLTIMEOUT=600 \
				PG_TEST_PORT_DIR=$server_work/ports NVMKV_TEMPLATE=$server_data/template
			cd "$dir" && as_server timeout -k 30 "${NVMKV_TAP_TIMEOUT:-3600}" perl -I "$pgxs/src/test/perl" -I "$dir/t" \
				"$dir/t/$name.pl"
		) >"$log/tap_$name.log" 2>&1 </dev/null
		rc=$?
		[ $rc -lt 124 ] || end_servers "$dir"
	fi
	echo "$rc $((SECONDS - started))" >"$log/tap_$name.result"
}

# Takes a TAP test that has run into account: its points are counted; a file that dies, or stops short of its plan, is a
# failure more.
count_tap() {
	local file=$1 name out dir passed failed rc seconds
	name=$(basename "$file" .pl)
	out=$log/tap_$name.log
	dir=$server_data/tap_$name
	read -r rc seconds <"$log/tap_$name.result"
	passed=$(grep -cE '^ok ' "$out")
	failed=$(grep -cE '^not ok ' "$out")
	if grep -qE '^1\.\.0' "$out"; then
		echo "tap $name: skipped: $(grep -oE '^1\.\.0.*' "$out")"
		return
	fi
	if [ "$failed" -eq 0 ] && { [ "$rc" -ne 0 ] || ! grep -qE '^1\.\.[0-9]+' "$out"; }; then
		failed=1
	fi
	count "tap $name" "$passed" "$failed" "$seconds"
	if [ "$failed" -gt 0 ]; then
		grep -E -A 8 '^not ok ' "$out" | head -n 60 | cut -c 1-1000 | sed 's/^/    | /'
		show "$out" 20
		for file in "$dir"/tmp_check/log/{regress_log_*,*.log}; do
			[ -e "$file" ] || continue
			cp "$file" "$log/tap_${name}_$(basename "$file")"
			echo "    | ---- $(basename "$file")"
			show "$file" 15
		done
		keep_dir "$dir"
	else
		rm -rf "$dir"
	fi
}

# Counts those of "running", which are process ids and files, that have ended.
count_finished() {
	local job alive still=()
	for job in "${running[@]}"; do
		alive=
		! kill -0 "${job% *}" 2>/dev/null || alive=1
		if [ -e "$log/tap_$(basename "${job#* }" .pl).result" ]; then
			count_tap "${job#* }"
		elif [ -n "$alive" ]; then
			still+=("$job")
		else # killed before it could tell
			count "tap $(basename "${job#* }" .pl)" 0 1
		fi
	done
	running=("${still[@]}")
}

# Empty clusters, made as the tests' library does; they copy them.
make_templates() {
	local i made=()
	for i in 1 2 3; do
		rm -rf "$server_data/template.$i"
		make_server_dir -m 700 "$server_data/template.$i"
		as_server env -u LC_ALL -u LANGUAGE LANG="${LANG:-C.UTF-8}" LC_MESSAGES=C "$check_bin/initdb" -D "$server_data/template.$i" -A trust -N \
			>"$log/template.$i.log" 2>&1 </dev/null &
		made+=($!)
	done
	for i in 1 2 3; do
		wait "${made[i - 1]}" || {
			count "tap" 0 1
			show "$log/template.$i.log"
			return 1
		}
	done
}

# All TAP tests, five at a time: they wait much more than they compute.
tap() {
	local file running=() tap_long='/(022|020|090|021|053_agreement|070|050|063|058|054|055|062|074|030|056|009|041|044)'
	make_server_dir "$server_work/ports" # so that no two take the same
	make_templates || return
	# The longest first, since they decide when the last one ends; of the others size is near enough.
	for file in $(ls -S t/${NVMKV_TAP:-*}.pl | grep -E "$tap_long"; ls -S t/${NVMKV_TAP:-*}.pl | grep -vE "$tap_long"); do
		run_tap "$file" &
		running+=("$! $file")
		while [ ${#running[@]} -ge 5 ]; do
			# Of these alone: other jobs that have ended may be told of, too.
			wait -n "${running[@]% *}"
			count_finished
		done
	done
	while [ ${#running[@]} -gt 0 ]; do
		wait -n "${running[@]% *}"
		count_finished
	done
}

# Releases that are not this system's.
releases() {
	local release
	for release in bookworm trixie ${all_versions:+sid}; do
		[ "$release" = "$(. /etc/os-release && echo "${VERSION_CODENAME:-}")" ] || printf '%s\n' "$release"
	done
}

# What of the TAP tests takes some minutes: restarts, kills, standbys, copies, families, comparisons with heap tables.
quick_tap='@(001|002|003|004|009|010|030|034|035|036|040|041|059|070|071|084|092)*'

# The same in trees of other releases: what is counted in each of them is counted here.  A directory goes from this system
# to each of them in turn and back here, in which t/084 leaves what other versions have to take, or to refuse.
versions() {
	local release line counted handed=$server_work/versions in_tree=/var/tmp/nvmkv_versions
	rm -rf "$handed"
	make_server_dir "$handed"
	[ -z "$prepared" ] || NVMKV_TAP='084_other*' NVMKV_VERSIONS=$handed tap
	for release in $(releases); do
		simple "$release tree" scripts/debian_tree.sh "$release" || continue
		counted=""
		tar -cC "$handed" . | scripts/debian_tree.sh "$release" -- \
			sh -c "rm -rf $in_tree && mkdir -m 777 $in_tree && tar -xC $in_tree --no-same-owner --no-overwrite-dir"
		while IFS= read -r line; do
			if [[ $line =~ ^([^ ].*[^ ])\ +([0-9]+)\ passed\ +([0-9]+)\ failed\ +([0-9]+)\ s$ ]]; then
				count "$release ${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}" "${BASH_REMATCH[3]}" "${BASH_REMATCH[4]}"
			elif [[ $line =~ ^[0-9]+\ passed,\ [0-9]+\ failed$ ]]; then
				counted=1
			elif [[ ! $line =~ ^(failed:|took)\  ]]; then
				printf '%s\n' "$line"
			fi
		done < <(NVMKV_TAP=${NVMKV_TAP:-$quick_tap} NVMKV_VERSIONS=$in_tree scripts/debian_tree.sh "$release" -- \
			scripts/check.sh regress isolation tap 2>&1 </dev/null)
		[ -n "$counted" ] || count "$release" 0 1
		mkdir -p "$log/$release"
		scripts/debian_tree.sh "$release" -- tar -cC build/check/log . | tar -xC "$log/$release" --no-same-owner
		scripts/debian_tree.sh "$release" -- tar -cC $in_tree . | tar -xC "$handed" --no-same-owner --no-overwrite-dir
	done
	[ -z "$prepared" ] || NVMKV_TAP='084_other*' NVMKV_VERSIONS=$handed tap
}

# PostgreSQL's own tests on foreign tables, those that are quick: its source is fetched once.
upstream() {
	if [ "$pg_version" -ne 15 ]; then
		echo "upstream: skipped: the lists of test/upstream are those of PostgreSQL 15"
	elif ! scripts/postgres_source.sh >"$log/source.log" 2>&1 </dev/null; then
		echo "upstream: skipped: PostgreSQL's source cannot be fetched"
		show "$log/source.log" 3
	else
		simple "upstream" scripts/upstream_tests.sh --quick
	fi
}

# Every step needs some of them, if only make.
[ -n "${NVMKV_PACKAGES_ARE_THERE:-}" ] || simple "packages" scripts/setup.sh --packages

if wanted style; then
	simple "layers" scripts/check_layers.sh
	simple "style" scripts/check_style.sh
	simple "usage" scripts/check_usage.sh
	simple "refusals of make" scripts/check_build.sh
	simple "docs" scripts/check_docs.sh
	simple "list of mistakes" scripts/mutants.sh -l
fi

prepared=
if wanted build || wanted regress || wanted isolation || wanted tap || wanted upstream || wanted versions; then
	choose_places
	server_work=$state/check # what servers and their tests write
	choose_data
	check_prefix=$server_work/pg$variant
	check_bin=$check_prefix$system_bin
	pgxs=$check_prefix$system_lib/pgxs
	if copy_server "$check_prefix" &&
		simple "build gcc" build_extension "$work/gcc$variant" "$check_prefix" CC=gcc WERROR=1 ASSERT=1; then
		prepared=1
		printf 'server: %s\n' "$("$check_bin/postgres" --version)"
	fi
	! wanted build && ! wanted tap && ! wanted versions || simple "build clients" build_clients
	if wanted build; then
		[ -z "$prepared" ] || simple "exports" scripts/check_exports.sh "$work/gcc$variant"
		[ -z "$prepared" ] || simple "calls" scripts/check_layers.sh "$work/gcc$variant"
		# It is not run: only what clang says of it is wanted.
		simple "build clang" build_extension "$work/clang$variant" "" CC=clang WERROR=1 COPT='-O0 -Wno-#warnings'
	fi
fi

if wanted engine; then
	engine_tests "engine" CC=gcc WERROR=1 BUILD="$work/engine"
	simple "calls with tools" scripts/check_layers.sh "$work/engine"
fi
if wanted sanitize; then
	# With more memory that was freed and is not given out again most of the time goes into fresh pages.
	ASAN_OPTIONS=${ASAN_OPTIONS:-quarantine_size_mb=16:malloc_context_size=8} \
		engine_tests "engine address+undefined" CC=gcc OPT="-O1 -g1" SANITIZE=address BUILD="$work/engine-address"
fi

fuzz_pid=
! wanted fuzz || start_fuzz

if wanted regress || wanted isolation || wanted tap || wanted upstream; then
	if [ -z "$prepared" ]; then
		count "regress, isolation, tap, upstream" 0 1
		echo "    | not run: the extension was not built"
	else
		regress
		! wanted tap || tap
		! wanted upstream || upstream
	fi
fi

end_fuzz

! wanted versions || versions

[ ${#failures[@]} -eq 0 ] || printf 'failed: %s\n' "${failures[@]}"
printf 'took %d min %d s; logs in %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "${log#"$root"/}"
printf '%d passed, %d failed\n' "$total_passed" "$total_failed"
[ "$total_failed" -eq 0 ] && [ "$total_passed" -gt 0 ]
