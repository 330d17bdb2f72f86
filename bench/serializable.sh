#!/bin/bash
# How often SERIALIZABLE transactions fail with 40001 on a heap table with a primary key and on a foreign table of
# nvmkv_fdw, in one run, turn and turn about: what fails beyond the heap's share is a false alarm.
#
#   bench/serializable.sh [-n rows] [-c clients] [-t transactions] [-r rounds]
#
# Defaults: 2000 rows, 8 clients, 250 transactions of each in a pgbench run, 3 rounds.  Each transaction reads some
# rows by their keys and then writes one; prints the failures of 1000 transactions, as the median over the rounds with their range.
. "$(dirname "${BASH_SOURCE[0]}")/server.sh"

rows=2000
clients=8
transactions=250
rounds=3
parse_options "-n rows number" "-c clients number" "-t transactions number" "-r rounds number" -- "$@"

# Without fsync transactions are short, and it is the same for both.
start_server bench_serializable fsync=off autovacuum=off default_transaction_isolation=serializable

query -c "CREATE EXTENSION nvmkv_fdw" -c "CREATE TABLE heap (k int PRIMARY KEY, v int)" \
	-c "CREATE FOREIGN TABLE nvmkv (k int, v int) SERVER nvmkv OPTIONS (primary_key 'k')"
for table in heap nvmkv; do
	query -c "INSERT INTO $table SELECT g, 0 FROM generate_series(1, $rows) g"
done
query -c "VACUUM ANALYZE heap" -c "ANALYZE nvmkv"

# script table reads write: a transaction
script() {
	local i
	echo "\\set w random(1, $rows)"
	for ((i = 1; i <= $2; i++)); do
		echo "\\set r$i random(1, $rows)"
	done
	echo "BEGIN;"
	for ((i = 1; i <= $2; i++)); do
		echo "SELECT v FROM $1 WHERE k = :r$i;"
	done
	case $3 in
	update) echo "UPDATE $1 SET v = v + 1 WHERE k = :w;" ;;
	upsert) echo "INSERT INTO $1 VALUES (:w, 1) ON CONFLICT (k) DO UPDATE SET v = $1.v + 1;" ;;
	renew) printf '%s\n' "DELETE FROM $1 WHERE k = :w;" "INSERT INTO $1 VALUES (:w, 0);" ;;
	esac
	echo "COMMIT;"
}

# run table reads write: one measurement
run() {
	local table=$1 workload="$2 reads, $3"
	script "$@" >"$work/script.sql"
	"$bin/pgbench" -n -M prepared -c "$clients" -j 1 -t "$transactions" --failures-detailed -f "$work/script.sql" \
		>"$work/pgbench.out" 2>&1 || {
		cat "$work/pgbench.out" >&2
		die "pgbench failed"
	}
	awk -v workload="$workload" -v table="$table" '
		/^number of transactions actually processed:/ { done = $6 }
		/^number of serialization failures:/ { failed = $5 }
		END { printf "%s\t%s\t%.3f\t%d\n", workload, table, 1000 * failed / (done + failed), done + failed }
	' "$work/pgbench.out" >>"$results"
}

for ((round = 0; round < rounds; round++)); do
	query -c "VACUUM heap"
	for write in update upsert renew; do
		for reads in 2 10 40; do
			run heap "$reads" "$write"
			run nvmkv "$reads" "$write"
		done
	done
done

printf '%-20s %-26s %-26s %s\n' workload "heap: failures of 1000" "nvmkv: failures of 1000" ratio
sort -t "$(printf '\t')" -k1,1V -k2,2 -k3,3g "$results" | awk -F '\t' '
	{
		key = $1 FS $2
		value[key, ++count[key]] = $3
		if (seen[$1]++ == 0)
			order[++workloads] = $1
	}
	function middle(key) { return value[key, int((count[key] + 1) / 2)] }
	function shown(key) { return sprintf("%.1f (%.1f .. %.1f)", middle(key), value[key, 1], value[key, count[key]]) }
	END {
		for (i = 1; i <= workloads; i++) {
			heap = order[i] FS "heap"
			ours = order[i] FS "nvmkv"
			ratio = "-"
			if (middle(heap) + 0 != 0)
				ratio = sprintf("%.2f", middle(ours) / middle(heap))
			printf "%-20s %-26s %-26s %s\n", order[i], shown(heap), shown(ours), ratio
		}
	}'
