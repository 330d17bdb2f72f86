#!/bin/bash
# The same SQL work on a heap table with a primary key and on a foreign table of nvmkv_fdw, in one run, turn
# and turn about; prints the medians and their ratio.
#
#   bench/sql.sh [-n rows] [-t seconds] [-r rounds] [-o file.csv]
#
# Defaults: 500000 rows of bigint and 100 bytes of text, 5 seconds for each pgbench run, 3 rounds.  Both tables
# get the same rows in the same (random) order, and at the end their contents must be equal.  Machines are
# noisy: compare within a run, and look at the range before believing a ratio near 1.
. "$(dirname "${BASH_SOURCE[0]}")/server.sh"

rows=500000
seconds=5
rounds=3
csv=
parse_options "-n rows number" "-t seconds number" "-r rounds number" "-o csv text" -- "$@"

settings=(shared_buffers=256MB max_wal_size=8GB checkpoint_timeout=1h jit=off autovacuum=off
	nvmkv.write_buffer_size=64MB nvmkv.nvm_size=1GB)
start_server bench_sql "${settings[@]}"

export PGOPTIONS="-c client_min_messages=warning"

# note workload table value: one measurement
note() { printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$results"; }

# Bytes of WAL since the server was made.
wal_position() { query -c "SELECT pg_current_wal_insert_lsn() - '0/0'"; }

# What a workload wrote to the WAL, full pages after the last checkpoint included: note_wal workload table before rows
note_wal() { note "$1 WAL bytes/row" "$2" "$(awk -v n=$(($(wal_position) - $3)) -v rows="$4" 'BEGIN { print rows ? n / rows : 0 }')"; }

# The time of a statement in milliseconds, and its WAL if it writes rows: timed workload table statement [rows]
timed() {
	local ms before
	before=$(wal_position)
	ms=$("$bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 -c '\timing on' -c "$3" 2>&1 |
		sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' | tail -n 1)
	[ -n "$ms" ] || die "$1 on $2 failed"
	note "$1 ms" "$2" "$ms"
	[ -z "${4:-}" ] || note_wal "$1" "$2" "$before" "$4"
}

# Latency of transactions from pgbench's log, in microseconds; WAL of those that write a row each:
# bench workload table clients script [writes]
bench() {
	local name=$1 table=$2 clients=$3 before
	before=$(wal_position)
	printf '%s\n' "$4" | sed "s/TABLE/$table/g" >"$work/script.sql"
	rm -f "$work"/log.*
	(cd "$work" && "$bin/pgbench" -n -M prepared -c "$clients" -j "$clients" -T "$seconds" -D rows="$rows" \
		-f script.sql -l --log-prefix=log) >"$work/pgbench.out" 2>&1 || {
		cat "$work/pgbench.out" >&2
		die "$name on $table failed"
	}
	[ -z "${5:-}" ] || note_wal "$name" "$table" "$before" \
		"$(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' "$work/pgbench.out")"
	note "$name tps" "$table" "$(sed -n 's/^tps = \([0-9.]*\).*/\1/p' "$work/pgbench.out")"
	awk '{ print $3 }' "$work"/log.* | sort -n >"$work/latencies"
	awk 'NR == FNR { n++; next }
		FNR == int(n * 0.5) + 1 { p50 = $1 }
		FNR == int(n * 0.99) + 1 { p99 = $1 }
		END { print p50, p99 }' "$work/latencies" "$work/latencies" >"$work/percentiles"
	read -r p50 p99 <"$work/percentiles"
	note "$name p50 us" "$table" "$p50"
	note "$name p99 us" "$table" "$p99"
}

# Which of the two goes first changes from round to round.
both() { if [ $((round % 2)) -eq 0 ]; then echo heap nvmkv; else echo nvmkv heap; fi; }

say "$rows rows, ${seconds}s a run, $rounds rounds; $(nproc) processors; ${settings[*]}"
query -c "CREATE EXTENSION nvmkv_fdw"
query -c "COPY (SELECT k, left(repeat(md5(k::text), 4), 100) FROM generate_series(1, $rows) k ORDER BY md5(k::text))
	TO STDOUT" >"$work/rows.copy"
query -c "CREATE TABLE probe AS SELECT (k * 37 % $rows) + 1 AS k FROM generate_series(1, 10000) k" -c "ANALYZE probe"

for ((round = 1; round <= rounds; round++)); do
	say "round $round"
	for table in $(both); do
		if [ $table = heap ]; then
			query -c "DROP TABLE IF EXISTS heap" -c "CREATE TABLE heap (k bigint PRIMARY KEY, v text)"
		else
			query -c "DROP FOREIGN TABLE IF EXISTS nvmkv" \
				-c "CREATE FOREIGN TABLE nvmkv (k bigint NOT NULL, v text) SERVER nvmkv OPTIONS (primary_key 'k')"
		fi
		timed "copy" $table "\\copy $table FROM '$work/rows.copy'" "$rows"
		query -c "ANALYZE $table" -c "CHECKPOINT"
		timed "count(*)" $table "SELECT count(*) FROM $table"
		timed "ordered scan" $table "SELECT sum(length(v)) FROM (SELECT v FROM $table ORDER BY k) s"
		timed "join of 10000 keys" $table "SELECT count(*) FROM probe JOIN $table USING (k)"
		bench "point read" $table 1 '\set k random(1, :rows)
SELECT v FROM TABLE WHERE k = :k;'
		bench "point read, 2 clients" $table 2 '\set k random(1, :rows)
SELECT v FROM TABLE WHERE k = :k;'
		bench "range of 100" $table 1 '\set k random(1, :rows - 100)
SELECT count(v) FROM TABLE WHERE k >= :k AND k < :k + 100;'
		bench "update" $table 1 '\set k random(1, :rows)
UPDATE TABLE SET v = reverse(v) WHERE k = :k;' writes
		bench "update, 2 clients" $table 2 '\set k random(1, :rows)
UPDATE TABLE SET v = reverse(v) WHERE k = :k;' writes
		bench "insert" $table 1 '\set k :rows + random(1, 1000000000000)
INSERT INTO TABLE VALUES (:k, repeat(chr(97), 100)) ON CONFLICT DO NOTHING;' writes
		timed "insert select" $table "INSERT INTO $table SELECT -k, v FROM $table WHERE k <= $rows / 5" \
			$((rows / 5))
		timed "update a tenth" $table "UPDATE $table SET v = reverse(v) WHERE k > $rows / 2 AND k <= $rows / 2 + $rows / 10" \
			$((rows / 10))
		timed "delete a tenth" $table "DELETE FROM $table WHERE k > 0 AND k <= $rows / 10" $((rows / 10))
		query -c "SELECT CASE WHEN count(*) = $rows - $rows / 10 + $rows / 5 THEN '' ELSE 'wrong' END FROM $table
			WHERE k <= $rows" | grep -q . && die "$table does not hold what it should"
		if [ $table = heap ]; then
			note "size MB" $table "$(query -c "SELECT pg_total_relation_size('heap') / 1048576.0")"
		else
			note "size MB" $table "$(query -c "SELECT estimated_bytes / 1048576.0 FROM nvmkv.stat_tables WHERE relname = 'nvmkv'")"
		fi
	done
done

printf '\n%-28s %14s %14s %8s  %s\n' "median of $rounds" heap nvmkv ratio "(range of the ratio by round)"
[ -z "$csv" ] || echo "workload,heap,nvmkv,ratio" >"$csv"
awk -F '\t' -v csv="$csv" '
function median(list, n,  i, j, t) {
	for (i = 2; i <= n; i++)
		for (j = i; j > 1 && list[j - 1] > list[j]; j--) {
			t = list[j]; list[j] = list[j - 1]; list[j - 1] = t
		}
	return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
}
!($1 in seen) { seen[$1]; order[++workloads] = $1 }
{ value[$1, $2, ++count[$1, $2]] = $3 + 0 }
END {
	for (w = 1; w <= workloads; w++) {
		name = order[w]
		n = count[name, "heap"]
		low = high = ""
		for (i = 1; i <= n; i++) {
			h[i] = value[name, "heap", i]
			f[i] = value[name, "nvmkv", i]
			if (h[i] > 0) {
				r = f[i] / h[i]
				if (low == "" || r < low) low = r
				if (high == "" || r > high) high = r
			}
		}
		mh = median(h, n)
		mf = median(f, n)
		ratio = mh ? mf / mh : 0
		printf "%-28s %14.1f %14.1f %8.2f  (%.2f .. %.2f)\n", name, mh, mf, ratio, low, high
		if (csv != "")
			printf "\"%s\",%.1f,%.1f,%.3f\n", name, mh, mf, ratio >> csv
	}
}' "$results"
query -c "SELECT format('nvmkv: write amplification %s, stalls %s', round(write_amplification::numeric, 2),
	stalls_memtables + stalls_extents) FROM nvmkv.stat_engine"
