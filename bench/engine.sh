#!/bin/bash
# The engine benchmark: nvmkv, LevelDB and RocksDB by turns, and what it makes of the goals of bench/goals.txt.
#
#   bench/engine.sh [-s scale] [-r rounds] [-w groups] [-e engines] [-d dir] [-l dir] [-p pool] [-o dir]
#
#   -s	size of everything (keys, memtables, container, caches): 1, or a part of it; quick is 0.1, full is 1
#   -r	rounds; in each, every engine has its turn with every group
#   -w	groups of workloads, see below; all of them: those where peers take part, then nvmkv's own
#   -e	engines
#   -d	where databases go (they are removed)
#   -l	where logs go that are to be in memory
#   -p	the container's file.  On tmpfs it stands for persistent memory (PMEM_IS_PMEM_FORCE=1); elsewhere it is an
#	ordinary file
#   -o	results: table.csv, goals.tsv, run.log, series/, and plots when gnuplot is there
#
# Each engine runs in a fresh directory and process.
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"

scale=0.1
rounds=3
engines="nvmkv leveldb rocksdb"
all_groups="fill4k fill4kdisk fill100 sync syncnvm ycsb writers row light memory recover grow"
groups=$all_groups
dir=${TMPDIR:-/tmp}
log_dir=/dev/shm
pool=/dev/shm/nvmkv_bench.$$.pool
out=$build/bench/results
parse_options "-s scale text" "-r rounds number" "-w groups text" "-e engines text" "-d dir text" "-l log_dir text" \
	"-p pool text" "-o out text" -- "$@"
scale=${scale/full/1} && scale=${scale/quick/0.1}
[[ $scale =~ ^(1(\.0*)?|0?\.[0-9]+)$ ]] || wrong_usage "-s wants 1, a part of it, quick or full, not \"$scale\""
for word in $engines; do
	[[ $word =~ ^(nvmkv|leveldb|rocksdb)$ ]] || wrong_usage "unknown engine: $word"
done
for word in $groups; do
	[[ " $all_groups " == *" $word "* ]] || wrong_usage "unknown group: $word"
done
dir=$dir/nvmkv_bench.$$
log_dir=$log_dir/nvmkv_bench.$$.log

programs=${BENCH_BUILD:-$build/bench}
make -s -f "$root/bench/bench.mk" SRCDIR="$root" BENCH_BUILD="$programs" >/dev/null || die "the driver does not build"
mkdir -p "$dir" "$log_dir" "$(dirname "$pool")" "$out/series" || die "cannot make directories"
rm -f "$out"/*.csv "$out"/*.tsv "$out"/*.log "$out"/series/* "$out"/*.png
finish() { rm -rf "$dir" "$log_dir" "$pool"; }
trap finish EXIT
trap 'exit 130' INT TERM

[ "$(stat -f -c %T "$(dirname "$pool")")" != tmpfs ] || export PMEM_IS_PMEM_FORCE=1

# A number times the scale: scaled number least
scaled() { awk -v n="$1" -v s="$scale" -v least="${2:-1}" 'BEGIN { n *= s; printf "%d", (n > least ? n : least) }'; }
mb=1048576
write_buffer=$(scaled $((64 * mb)) $((4 * mb)))
# At least three memtables, and some extents to turn over.
container=$(scaled $((512 * mb)) $((32 * mb)))
cache=$(scaled $((64 * mb)) $((4 * mb)))

# The driver of one engine: drive engine label round option...
drive() {
	local engine=$1 label=$2 round=$3
	local options=(--dir="$dir" --label="$label" --round="$round" --csv="$out/table.csv" --series="$out/series"
		--write-buffer="$write_buffer" --container="$container" --cache="$cache")
	shift 3
	[ -x "$programs/bench_$engine" ] || return 0
	# Tables and level 1 are as large as the engine wants them, to scale; LevelDB's tables are small anyway.
	case $engine in
	nvmkv) options+=(--pool="$pool" --file-bytes="$(scaled $((32 * mb)) $mb)") ;;
	rocksdb) options+=(--file-bytes="$(scaled $((64 * mb)) $mb)" --level1-bytes="$(scaled $((256 * mb)) $((4 * mb)))") ;;
	esac
	printf '%s round %s: ' "$label" "$round" >>"$out/run.log"
	# A bound, so that a run ends whatever happens.
	timeout 3600 "$programs/bench_$engine" "${options[@]}" "$@" >>"$out/run.log" 2>&1 || {
		tail -n 5 "$out/run.log" >&2
		say "$engine failed in $label"
	}
}

# LevelDB cannot keep its log elsewhere than its tables.
in_memory() { [ "$1" = leveldb ] || printf -- '--log-dir=%s' "$log_dir"; }

reads=$(scaled 1000000 20000)
few=$(scaled 200000 5000)

run_fill4k() {
	drive "$1" fill4k "$2" $(in_memory "$1") --keys="$(scaled 1048576)" --value-bytes=4096 --workloads=fillrandom,settle
}

run_fill4kdisk() {
	drive "$1" fill4kdisk "$2" --keys="$(scaled 1048576)" --value-bytes=4096 --workloads=fillrandom,settle
}

run_fill100() {
	local one=readrandom:reads=$reads:as=readrandom1,readrandom:reads=$reads:threads=4:as=readrandom4
	local writing=readwhilewriting,readwhilewriting:threads=4:as=readwhilewriting4
	drive "$1" fill100 "$2" --keys="$(scaled 10000000)" --reads="$reads" \
		--workloads="fillrandom,overwrite,settle,readrandom,readmissing,readseq,readreverse,seekrandom:reads=$few,$one,attach,$writing,filllevel0,readrandom:as=readfull,drain,readrandom:as=readdrained"
}

run_sync() {
	drive "$1" sync "$2" --keys="$(scaled 200000)" --reads="$(scaled 50000 2000)" --workloads=fillsync
}

run_syncnvm() {
	[ "$1" != leveldb ] || return 0
	drive "$1" syncnvm "$2" $(in_memory "$1") --keys="$(scaled 2000000)" --workloads=fillsync
}

run_ycsb() {
	drive "$1" ycsb "$2" --keys="$(scaled 2000000)" --value-bytes=1024 --reads="$few" \
		--workloads=fillrandom,settle,ycsba,ycsbb,ycsbc,ycsbd,ycsbe:reads=$((few / 10)),ycsbf
}

# What follows concerns nvmkv alone.
run_writers() {
	[ "$1" = nvmkv ] || return 0
	drive "$1" writers1 "$2" --keys="$(scaled 5000000)" --workloads=fillrandom
	drive "$1" writers4 "$2" --keys="$(scaled 5000000)" --threads=4 --workloads=fillrandom
}

run_row() {
	[ "$1" = nvmkv ] || return 0
	drive "$1" row100 "$2" --keys="$(scaled 2000000)" --workloads=fillseq,drain
	drive "$1" row4k "$2" --keys="$(scaled 65536)" --value-bytes=4096 --workloads=fillseq,drain
}

# 10 MB/s for a minute; the container is small enough to be drained several times.
run_light() {
	[ "$1" = nvmkv ] || return 0
	drive "$1" light "$2" --keys=150000 --value-bytes=4096 --load-rate=10M --write-buffer=4M --container=48M --file-bytes=3M \
		--workloads=fillrandom,settle
}

run_memory() {
	[ "$1" = nvmkv ] || return 0
	drive "$1" memory "$2" --keys="$(scaled 5000000)" --reads="$few" \
		--workloads=fillrandom,readrandom,filllevel0,drain,memory:as=empty,filllevel0,memory:as=full
}

# The log is what the last 60 MB of 4 KB values wrote.
run_recover() {
	[ "$1" = nvmkv ] || return 0
	local label keys
	for label in recoversmall:65536 recover:262144; do
		keys=$(scaled "${label#*:}")
		drive "$1" "${label%:*}" "$2" --keys="$keys" --value-bytes=4096 --file-bytes=1M \
			--workloads="fillseq,drain,fillseq:keys=$(scaled 15000),crash"
		drive "$1" "${label%:*}" "$2" --keep --keys="$keys" --value-bytes=4096 --file-bytes=1M --workloads=
	done
}

# The cache stays at a hundredth of the data.
run_grow() {
	[ "$1" = nvmkv ] || return 0
	local gb bytes
	for gb in 1 4 16; do
		bytes=$(scaled $((gb * 1024 * mb)))
		drive "$1" "grow$gb" "$2" --keys=$((bytes / 1040)) --value-bytes=1024 --reads="$few" --cache=$((bytes / 100 + 2 * mb)) \
			--workloads=fillrandom,settle,readrandom
	done
}

for round in $(seq "$rounds"); do
	for group in $groups; do
		for engine in $engines; do
			say "round $round, $group, $engine"
			"run_$group" "$engine" "$round"
		done
	done
done

awk -f "$root/bench/goals.awk" "$root/bench/goals.txt" "$out/table.csv" >"$out/goals.tsv" || exit 1
column -t -s "$(printf '\t')" "$out/goals.tsv"
! command -v gnuplot >/dev/null || "$root/bench/plots.sh" "$out"
