#!/bin/bash
# Places full of deleted rows: work that inserts at one end of a key range and deletes at the other, on a heap table and
# on a foreign table of nvmkv_fdw, turn and turn about in one run.
#
#   bench/queue.sh [-j jobs] [-c clients] [-w "workload ..."] [-o file.csv]
#
# Workloads, each transaction of which inserts a row and takes one away:
#   key        a queue in the order of its key: SELECT .. ORDER BY .. LIMIT 1 FOR UPDATE SKIP LOCKED, DELETE
#   index      the same by (status, number), a secondary index; a job that is done gets another status
#   window     the newest thousand rows of a time series: INSERT, DELETE of the oldest, SELECT min(key)
#   snapshot   "key" while a transaction keeps a snapshot from before the first job
# and one that does not:
#   pruned     DELETE of five sixths of the keys, then SELECT .. ORDER BY .. LIMIT 1 and min(key)
#
# Defaults: 8000 jobs a table and workload (a minute or two), 8 clients, all workloads; -j 2000000 is the full size, but of
# "snapshot", which takes at most 20000.  -o gets the transactions of each tenth of a second, for bench/plots.sh.  Commits are not synced, autovacuum is on.  Prints transactions a second of each
# tenth of the jobs, and how many versions nvmkv passed for the row it read at the tenth's end; at last medians and ratios.
. "$(dirname "${BASH_SOURCE[0]}")/server.sh"

jobs=8000
clients=8
csv=
workloads="key index window snapshot pruned"
parse_options "-j jobs number" "-c clients number" "-w workloads text" "-o csv text" -- "$@"
for workload in $workloads; do
	[[ $workload =~ ^(key|index|window|snapshot|pruned)$ ]] || wrong_usage "unknown workload: $workload"
done
[ "$jobs" -ge $((clients * 10)) ] || die "$jobs jobs are not ten tenths for $clients clients"

settings=(shared_buffers=256MB max_wal_size=4GB jit=off synchronous_commit=off autovacuum_naptime=10s)
start_server bench_queue "${settings[@]}"
export PGOPTIONS="-c client_min_messages=warning"
query -c "CREATE EXTENSION nvmkv_fdw"
say "$jobs jobs, $clients clients; $(nproc) processors; ${settings[*]}"

# definition workload table: the table, with a thousand rows that wait
definition() {
	local using=""
	[ "$2" != nvmkv ] || using="USING nvmkv"
	case $1 in
	index)
		echo "CREATE TABLE $2 (name text PRIMARY KEY, status int NOT NULL, number bigserial, job text) $using;"
		echo "CREATE INDEX ON $2 (status, number);"
		echo "INSERT INTO $2 SELECT md5(g::text), 0, nextval('$2_number_seq'), repeat('x', 60) FROM generate_series(1, 1000) g;"
		;;
	*)
		echo "CREATE TABLE $2 (id bigserial PRIMARY KEY, job text) $using;"
		echo "INSERT INTO $2 (job) SELECT repeat('x', 60) FROM generate_series(1, 1000) g;"
		;;
	esac
	echo "ANALYZE $2;"
}

# look workload table: the statement whose speed is in question
look() {
	case $1 in
	index) echo "SELECT name FROM $2 WHERE status = 0 ORDER BY number LIMIT 1" ;;
	window) echo "SELECT min(id) FROM $2" ;;
	*) echo "SELECT id FROM $2 ORDER BY id LIMIT 1" ;;
	esac
}

# script workload table: a transaction
script() {
	local taken
	taken="$(look "$@") FOR UPDATE SKIP LOCKED"
	case $1 in
	index)
		printf '%s\n' "INSERT INTO $2 (name, status, job) VALUES (gen_random_uuid()::text, 0, repeat('x', 60));" \
			"UPDATE $2 SET status = 1 WHERE name = ($taken);"
		;;
	window)
		printf '%s\n' "INSERT INTO $2 (job) VALUES (repeat('x', 60));" \
			"DELETE FROM $2 WHERE id = currval('$2_id_seq') - 1000;" "$(look "$@");"
		;;
	*)
		printf '%s\n' "INSERT INTO $2 (job) VALUES (repeat('x', 60));" "DELETE FROM $2 WHERE id = ($taken);"
		;;
	esac
}

# Versions that the statement passes; what it reads is one row.
passed() {
	query -c "EXPLAIN (ANALYZE, FORMAT JSON) $(look "$1" nvmkv)" | awk -F '[:,]' '/"Versions Passed"/ { n += $2 } END { print n + 0 }'
}

# Transactions a second of a tenth.
rate() {
	rm -f "$work"/log.*
	"$bin/pgbench" -n -M prepared -c "$clients" -j 1 -t $(($3 / 10 / clients)) ${csv:+-l --log-prefix="$work/log"} \
		-f "$work/$1.$2.sql" >"$work/pgbench.out" 2>&1 || {
		cat "$work/pgbench.out" >&2
		die "pgbench failed"
	}
	[ -z "$csv" ] || note_tenths "$1" "$2" >>"$csv"
	awk '/^tps = / { printf "%.0f\n", $3 }' "$work/pgbench.out"
}

# What ended in each tenth of a second, from pgbench's log: note_tenths workload table
note_tenths() {
	cat "$work"/log.* | awk '{ printf "%.0f\n", $5 * 10 + int($6 / 100000) }' | sort -n | awk -v workload="$1" -v table="$2" '
		{ if (NR == 1) first = $1; n[$1 - first]++; last = $1 - first }
		END { for (i = 0; i <= last; i++) printf "%s,%s,%d,100\n", workload, table, n[i] }'
}

# Which of the two goes first changes from tenth to tenth.
both() { if [ $(($1 % 2)) -eq 0 ]; then echo heap nvmkv; else echo nvmkv heap; fi; }

# Milliseconds of a statement: time_of sql
time_of() { query -c '\timing on' -c "$1" | awk '/^Time:/ { print $2 }'; }

summary() {
	awk -F '\t' -v workload="$1" '
		{ value[$1, ++count[$1]] = $2 }
		function middle(key,  i, j, n, v, t) {
			n = count[key]
			for (i = 1; i <= n; i++) v[i] = value[key, i]
			for (i = 2; i <= n; i++)
				for (j = i; j > 1 && v[j] + 0 < v[j - 1] + 0; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
			return (v[int((n + 1) / 2)] + v[int(n / 2) + 1]) / 2
		}
		END { printf "%-10s %7s %12.1f %12.1f %8.2f\n\n", workload, "median", middle("heap"), middle("nvmkv"), middle("nvmkv") / middle("heap") }
	' "$results"
}

hold_snapshot() {
	coproc HOLDER { "$bin/psql" -X -q -A -t 2>&1; }
	echo "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1;" >&"${HOLDER[1]}"
	read -r _ <&"${HOLDER[0]}" || die "the server did not answer"
}
release_snapshot() {
	local pid=$HOLDER_PID
	echo "COMMIT;" >&"${HOLDER[1]}"
	eval "exec ${HOLDER[1]}>&-"
	wait "$pid"
}

# A queue or a window, tenth by tenth.
run() {
	local workload=$1 count=$2 tenth table
	local -A tps=()
	for table in heap nvmkv; do
		definition "$workload" "$table" | query -f -
		script "$workload" "$table" >"$work/$workload.$table.sql"
	done
	[ "$workload" != snapshot ] || hold_snapshot
	printf '%-10s %7s %12s %12s %8s %16s\n' "$workload" tenth "heap tps" "nvmkv tps" ratio "versions passed"
	for ((tenth = 1; tenth <= 10; tenth++)); do
		for table in $(both "$tenth"); do
			tps[$table]=$(rate "$workload" "$table" "$count") || exit 1
			printf '%s\t%s\n' "$table" "${tps[$table]}" >>"$results"
		done
		awk -v workload="$workload" -v tenth="$tenth" -v heap="${tps[heap]}" -v ours="${tps[nvmkv]}" -v passed="$(passed "$workload")" \
			'BEGIN { printf "%-10s %7d %12d %12d %8.2f %16d\n", workload, tenth, heap, ours, ours / heap, passed }'
	done
	[ "$workload" != snapshot ] || release_snapshot
	summary "$workload"
}

# Keys that go at once; then the first reads, which have to find out, and those after them.
pruned() {
	local table statement turn n
	for table in heap nvmkv; do
		definition pruned "$table" | query -f -
		query -c "INSERT INTO $table (job) SELECT repeat('x', 60) FROM generate_series(1, $1)" -c "ANALYZE $table" \
			-c "DELETE FROM $table WHERE id <= $1 / 6 * 5" -c CHECKPOINT
	done
	printf '%-10s %7s %12s %12s %8s\n' pruned read "heap ms" "nvmkv ms" ratio
	for ((turn = 1; turn <= 5; turn++)); do
		for table in $(both "$turn"); do
			for statement in "$(look pruned "$table")" "$(look window "$table")"; do
				printf '%s\t%s\n' "$table" "$(time_of "$statement")" >>"$results"
			done
		done
		awk -F '\t' -v turn="$turn" '{ last[$1] = before[$1]; before[$1] = $2; n[$1] = last[$1] + $2 }
			END { printf "%-10s %7d %12.3f %12.3f %8.2f\n", "pruned", turn, n["heap"] / 2, n["nvmkv"] / 2, n["nvmkv"] / n["heap"] }' "$results"
	done
	n=$(passed pruned)
	printf '%-10s %s\n' pruned "versions passed at last: $n"
	summary pruned
}

[ -z "$csv" ] || echo workload,tab,transactions,ms >"$csv" || die "cannot write $csv"
for workload in $workloads; do
	: >"$results"
	case $workload in
	pruned) pruned "$((jobs > 300000 ? jobs : 300000))" ;;
	snapshot) run snapshot "$((jobs < 20000 ? jobs : 20000))" ;;
	*) run "$workload" "$jobs" ;;
	esac
	query -c "DROP TABLE heap, nvmkv"
done
