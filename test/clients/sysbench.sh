#!/bin/bash
# sysbench, for scripts/client_tests.sh: the environment says where the server is.
set -u
server=(--db-driver=pgsql --pgsql-host="$PGHOST" --pgsql-port="$PGPORT" --pgsql-user="$PGUSER" --pgsql-db="$PGDATABASE")

bench() {
	local out
	out=$(sysbench "${server[@]}" "${options[@]}" "$@" 2>&1) || echo "FAILED: sysbench $*"
	printf '%s\n' "$out" >&2
	grep -E 'FATAL|ALERT|WARNING' <<<"$out" | cut -c 1-200
}

ask() { psql -X -A -t -v ON_ERROR_STOP=1 "$@" 2>&1 || echo "FAILED: psql"; }

tables() { ask -c "SELECT relname FROM pg_class WHERE relname ~ '^sbtest.$' ORDER BY 1"; }

kinds() {
	echo "# kinds of tables"
	ask -c "SELECT relkind, relname FROM pg_class WHERE relname ~ '^sbtest.$'"
}

# Each table, and an index of it by itself.
rows() {
	local table
	for table in $(tables); do
		ask -c "SELECT count(*), sum(k), md5(string_agg(s::text, ',' ORDER BY id)) FROM $table s" \
			-c "SELECT count(*) FROM (SELECT k FROM $table WHERE k > 0 ORDER BY k) AS s"
	done
}

# Which rows "prepare" makes does not follow from the seed: they are changed to some that are the same each time.
same_rows() {
	local table
	for table in $(tables); do
		ask -c "UPDATE $table SET k = id * 7919 % 5000 + 1, c = repeat(md5(id::text), 3), pad = md5(k::text || id)" \
			-c "UPDATE $table SET pad = md5(k::text)"
	done
}

for test in oltp_read_write oltp_read_only oltp_write_only oltp_update_index oltp_update_non_index oltp_delete oltp_insert oltp_point_select \
	select_random_points select_random_ranges; do
	options=(--tables=2 --table-size=5000 --rand-seed=7)
	[[ $test != select_random_* ]] || options[0]=--tables=1
	echo "# $test: prepare"
	bench $test prepare
	same_rows
	rows
	[ $test != oltp_read_write ] || kinds
	echo "# $test: one thread, the same seed"
	bench $test --threads=1 --events=300 --time=0 run
	rows
	echo "# $test: several threads"
	bench $test --threads=8 --time="$CLIENT_SECONDS" run
	echo "# $test: cleanup"
	bench $test cleanup
	tables
done

options=(--threads=4)
echo "# bulk_insert: prepare"
bench bulk_insert prepare
tables
echo "# bulk_insert: several threads"
bench bulk_insert --events=40000 --time=0 run
ask -c "SELECT sum(n) FROM (SELECT count(*) FROM sbtest1 UNION ALL SELECT count(*) FROM sbtest2 UNION ALL SELECT count(*) FROM sbtest3
	UNION ALL SELECT count(*) FROM sbtest4) AS all_of_them (n)"
echo "# bulk_insert: cleanup"
bench bulk_insert cleanup
tables
