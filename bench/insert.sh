#!/bin/bash
# The insert benchmark: rows in the order of their key, with three secondary indexes whose keys come at random, in a heap
# table and in a foreign table of nvmkv_fdw, turn and turn about in one run.  Then range queries on each index of both;
# the tables have the same rows, so they must have the same answers.
#
#   bench/insert.sh [-n rows] [-b batch] [-i indexes] [-m megabytes] [-p] [-o file.csv]
#
# Defaults: 1000000 rows in batches (transactions) of 1000, 3 indexes, commits not synced.  -m: memory of each server with
# its files' pages, by control groups (as root), else all there is.  -p: a table of MariaDB's RocksDB engine
# takes turns with the two, with rows of the same shape.  Prints the seconds of each tenth of the rows, percentiles of a
# batch, what the servers' processes have written, and what the tables take; -o gets the milliseconds of each batch, for bench/plots.sh.
. "$(dirname "${BASH_SOURCE[0]}")/server.sh"
. "$(dirname "${BASH_SOURCE[0]}")/insert_rows.sh"
. "$(dirname "${BASH_SOURCE[0]}")/myrocks.sh"

rows=1000000
batch=1000
indexes=3
megabytes=
with_peer=
csv=
parse_options "-n rows number" "-b batch number" "-i indexes number" "-m megabytes number" "-p with_peer flag" \
	"-o csv text" -- "$@"
[ "$indexes" -le 3 ] || die "there are 3 indexes at most"
[ "$rows" -ge $((batch * 10)) ] || die "$rows rows are not ten batches of $batch"

# Of a gigabyte, or of what -m says: a quarter for the heap's buffers, a half for the container or the other engine's cache.
memory=${megabytes:-1024}
settings=(shared_buffers="$((memory / 4))MB" max_wal_size=2GB checkpoint_timeout=5min jit=off synchronous_commit=off
	nvmkv.write_buffer_size="$((memory / 32))MB" nvmkv.nvm_size="$((memory / 2))MB")
[ -z "$megabytes" ] || limit_memory postgres "$megabytes"
start_server bench_insert "${settings[@]}"
if [ -n "$with_peer" ]; then
	[ -z "$megabytes" ] || limit_memory mariadb "$megabytes"
	start_peer $((memory / 2))
fi
export PGOPTIONS="-c client_min_messages=warning"
tables=(heap nvmkv ${with_peer:+myrocks})

say "$rows rows in batches of $batch, $indexes indexes; $(nproc) processors, ${megabytes:-all} MB; ${settings[*]}"
make_tables "$indexes"

# MariaDB's rows follow from their keys, too, by another function.
if [ -n "$with_peer" ]; then
	peer_query <<-SQL
		CREATE TABLE timing (batch int, ms double) ENGINE=Aria;
		CREATE TABLE myrocks (id bigint PRIMARY KEY, at datetime NOT NULL, register int NOT NULL, customer int NOT NULL,
			product int NOT NULL, price double NOT NULL, data varchar(100) NOT NULL) ENGINE=RocksDB;
		DELIMITER //
		CREATE PROCEDURE fill(first int, last int, size int)
		BEGIN
			DECLARE b int DEFAULT first;
			DECLARE start datetime(6);
			WHILE b <= last DO
				SET start = sysdate(6);
				START TRANSACTION;
				INSERT INTO myrocks SELECT seq, '2026-01-01' + INTERVAL seq SECOND, crc32(concat(1, '/', seq)) % 1000,
					crc32(concat(2, '/', seq)) % 100000, crc32(concat(3, '/', seq)) % 10000,
					crc32(concat(4, '/', seq)) % 10000000 / 100, repeat(char(97 + crc32(concat(5, '/', seq)) % 26), 30)
					FROM seq_1_to_$rows WHERE seq BETWEEN b * size + 1 AND (b + 1) * size;
				COMMIT;
				INSERT INTO timing VALUES (b, timestampdiff(microsecond, start, sysdate(6)) / 1000);
				SET b = b + 1;
			END WHILE;
		END //
	SQL
	for ((i = 0; i < indexes; i++)); do
		peer_query -e "CREATE INDEX i$i ON myrocks (${keys[i]})"
	done
fi

# Bytes that the server's processes have written, as the system counts them.
written() {
	local pid total=0 bytes
	for pid in $(head -n 1 "$(readlink -f "$cluster")/postmaster.pid") $(pgrep -P "$(head -n 1 "$(readlink -f "$cluster")/postmaster.pid")"); do
		bytes=$(sed -n 's/^write_bytes: //p' "/proc/$pid/io" 2>/dev/null)
		total=$((total + ${bytes:-0}))
	done
	echo "$total"
}
# Who goes first changes from tenth to tenth.
turns() {
	local first=$((tenth % ${#tables[@]}))
	echo "${tables[@]:first}" "${tables[@]:0:first}"
}

batches=$((rows / batch))
declare -A bytes=([heap]=0 [nvmkv]=0)
for ((tenth = 0; tenth < 10; tenth++)); do
	for table in $(turns); do
		if [ "$table" = myrocks ]; then
			peer_query -e "CALL fill($((batches * tenth / 10)), $((batches * (tenth + 1) / 10 - 1)), $batch)"
			continue
		fi
		query -c CHECKPOINT
		before=$(written)
		# The session's own part is counted before it goes.
		ours=$(query -c "CALL fill('$table', $((batches * tenth / 10)), $((batches * (tenth + 1) / 10 - 1)), $batch)" \
			-c "SELECT substring(pg_read_file('/proc/self/io') FROM 'write_bytes: (\d+)')")
		query -c CHECKPOINT
		bytes[$table]=$((bytes[$table] + $(written) - before + ours))
	done
done

declare -A takes=([heap]=$(query -c "SELECT pg_total_relation_size('heap') / 1048576")
	[nvmkv]=$(query -c "SELECT nvmkv.table_size('nvmkv') / 1048576"))
if [ -n "$with_peer" ]; then
	takes[myrocks]=$(peer_size)
	bytes[myrocks]=$(peer_written)
	peer_query -e "SELECT 'myrocks', batch, ms FROM timing" | query -c "COPY timing FROM STDIN"
fi
names=$(printf "'%s', " "${tables[@]}")
query -F ' ' <<SQL | awk -v tables="${tables[*]}" 'BEGIN { n = split(tables, name); printf "%8s", "tenth"
		for (i = 1; i <= n; i++) printf " %10s s", name[i]
		printf " %12s\n", "nvmkv / heap" }
	{ printf "%8d", $1; for (i = 1; i <= n; i++) printf " %12.2f", $(i + 1); printf " %12.2f\n", $3 / $2 }'
SELECT tenth, string_agg(s::text, ' ' ORDER BY array_position(ARRAY[${names%, }], tab))
FROM (SELECT batch * 10 / $batches AS tenth, tab, sum(ms) / 1000 AS s FROM timing GROUP BY 1, 2) x
GROUP BY 1 ORDER BY 1
SQL
printf '\n%8s %12s %12s %12s %12s %12s\n' table "p50 ms" "p99.9 ms" "max ms" "written MB" "takes MB"
for table in "${tables[@]}"; do
	query -F ' ' -c "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY ms), percentile_cont(0.999) WITHIN GROUP (ORDER BY ms), max(ms)
		FROM timing WHERE tab = '$table'" | awk -v table="$table" -v written=$((bytes[$table] / 1048576)) -v takes="${takes[$table]}" \
		'{ printf "%8s %12.2f %12.2f %12.2f %12d %12d\n", table, $1, $2, $3, written, takes }'
done
echo
[ -z "$csv" ] || query -c "COPY (SELECT *, $batch AS rows FROM timing ORDER BY tab, batch) TO STDOUT (FORMAT csv, HEADER)" >"$csv"

# ---- queries

query -c "ANALYZE heap" -c "ANALYZE nvmkv"
# answer table condition order: the sum of the first ten thousand rows, and how long it took
answer() {
	query -c '\timing on' -c "SELECT count(*), sum(id) FROM (SELECT id FROM $1 WHERE $2 ORDER BY $3 LIMIT 10000) x" |
		tr '\n' ' '
}
# ask index condition
ask() {
	local table said
	[ "$1" -lt "$indexes" ] || return 0
	for round in 1 2 3; do
		for table in heap nvmkv; do
			said=$(answer "$table" "$2" "${keys[$1]}, id")
			printf '%s\t%s\t%s\n' "$1" "$table" "$said" >>"$results"
		done
	done
}
for n in 1000 25000 70000; do
	ask 0 "price BETWEEN $n AND $n + 100"
	ask 1 "register = $((n / 100)) AND price < 50000"
	ask 2 "price BETWEEN $n AND $n + 100 AND at > '2026-01-02'"
done
awk -F '\t' '{
	split($3, said, / Time: /)
	if ($2 == "nvmkv" && said[1] != last)
		wrong = wrong " " $1
	last = said[1]
	time[$1, $2] += said[2]
	seen[$1] = 1
}
END {
	printf "%8s %12s %12s %8s\n", "index", "heap ms", "nvmkv ms", "ratio"
	for (i = 0; i < 3; i++)
		if (i in seen)
			printf "%8d %12.2f %12.2f %8.2f\n", i + 1, time[i, "heap"] / 9, time[i, "nvmkv"] / 9, time[i, "nvmkv"] / time[i, "heap"]
	if (wrong != "") {
		print "the answers differ by index" wrong
		exit 1
	}
}' "$results"
