#!/bin/bash
# Runs fuzz targets; each starts from the inputs it makes itself.
#
#   test/fuzz/run.sh [-s seconds] [-o dir] target...
#
# Without -s every target does a fixed number of runs from a fixed seed, some seconds' worth: the same at every call,
# as far as the system lets addresses be the same.
# Inputs that fail are left in the directory (default: the target's) under the target's name.
# The last line is "N passed, N failed".
set -u
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/options.sh"

seconds=
out=
parse_options "-s seconds number" "-o out text" "words 0 any" -- "$@"
set -- "${arguments[@]}"

# How many runs take some three seconds; how long an input may be, and how fast it may become so (0: at once).
limits() {
	case $1 in
	batch) echo 150000 1024 100 ;;
	edit) echo 100000 4096 100 ;;
	log) echo 8000 100000 100 ;;
	sst) echo 4000 16384 100 ;;
	row) echo 500 256 0 ;;
	open) echo 200 128 0 ;;
	header) echo 30000 512 0 ;;
	*) echo 1000 4096 100 ;;
	esac
}

# The fuzzer learns from values that are compared, addresses too: these must not change from call to call.
fixed_addresses=()
setarch -R true 2>/dev/null && fixed_addresses=(setarch -R)

scratch=$(mktemp -d -p /dev/shm nvmkv-fuzz.XXXXXX 2>/dev/null || mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
passed=0
failed=0
for target in "$@"; do
	name=$(basename "$target" _fuzz)
	dir=${out:-$(dirname "$target")}
	corpus=$scratch/$name
	mkdir -p "$corpus" "$dir"
	read -r runs length control < <(limits "$name")
	started=$(date +%s%N)
	TMPDIR=$scratch NVMKV_FUZZ_SEEDS=$corpus ASAN_OPTIONS=${ASAN_OPTIONS:-allocator_may_return_null=1} \
		"${fixed_addresses[@]}" "$target" -seed=1 -max_len="$length" -len_control="$control" -timeout=300 -rss_limit_mb=3000 -print_final_stats=1 -verbosity=1 \
		-artifact_prefix="$dir/${name}_" \
		$([ -n "$seconds" ] && echo "-max_total_time=$seconds" || echo "-runs=$runs") "$corpus" >"$dir/$name.log" 2>&1 </dev/null
	rc=$?
	elapsed=$((($(date +%s%N) - started) / 1000000))
	done_runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$dir/$name.log")
	coverage=$(grep -oE 'cov: [0-9]+' "$dir/$name.log" | tail -n 1)
	if [ "$rc" -eq 0 ] && [ -n "$done_runs" ]; then
		passed=$((passed + 1))
		printf '%-8s ok      %9s runs  %s %6d ms\n' "$name" "$done_runs" "$coverage" "$elapsed"
	else
		failed=$((failed + 1))
		printf '%-8s FAILED  (exit code %d) %6d ms\n' "$name" "$rc" "$elapsed"
		tail -n 40 "$dir/$name.log" | sed 's/^/    | /'
	fi
done
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
