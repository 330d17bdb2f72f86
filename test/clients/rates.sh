#!/bin/bash
# Transactions a second of pgbench and sysbench on both kinds of tables, turn and turn about, for scripts/client_tests.sh: the
# environment says where the server is. Prints medians, their ratio nvmkv / heap, and the range of it over the rounds.
set -u
threads=4
results=$CLIENT_WORK/rates
: >"$results"

as() {
	local role=$1
	shift
	PGUSER=on_$role PGDATABASE=on_$role "$@"
}

sysbench_on() {
	sysbench --db-driver=pgsql --pgsql-host="$PGHOST" --pgsql-port="$PGPORT" --pgsql-user="$PGUSER" --pgsql-db="$PGDATABASE" \
		--tables=1 --table-size=100000 --threads=$threads --time="$CLIENT_SECONDS" "$@"
}
run_sysbench() { sysbench_on "$1" run | sed -n 's/.*transactions: .*(\([0-9.]*\) per sec.*/\1/p'; }
make_sysbench() {
	sysbench_on "$1" prepare >&2 && psql -X -q -c "VACUUM ANALYZE sbtest1" >&2
}
drop_sysbench() { sysbench_on "$1" cleanup >&2; }

run_pgbench() { pgbench -n -M prepared -c $threads -j 2 -T "$CLIENT_SECONDS" -b "$1" | sed -n 's/^tps = \([0-9.]*\) .*/\1/p'; }
make_pgbench() { pgbench -i -q -s 5 --foreign-keys >&2; }
drop_pgbench() { pgbench -i -q -I d >&2; }

# One benchmark: rates program name
rates() {
	local program=$1 name=$2 round kind rate
	for kind in heap nvmkv; do
		as $kind "make_$program" "$name" || return
	done
	for ((round = 1; round <= CLIENT_ROUNDS; round++)); do
		for kind in heap nvmkv; do
			psql -X -q -c CHECKPOINT
			rate=$(as $kind "run_$program" "$name") && [ -n "$rate" ] || return
			printf '%s\t%s\t%s\n' "$name" $kind "$rate" >>"$results"
		done
	done
	for kind in heap nvmkv; do
		as $kind "drop_$program" "$name" || return
	done
	awk -F '\t' -v name="$name" '
		function median(v, n,  i, j, t) {
			for (i = 2; i <= n; i++)
				for (j = i; j > 1 && v[j] < v[j - 1]; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
			return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
		}
		$1 == name && $2 == "heap" { heap[++n] = $3 + 0 }
		$1 == name && $2 == "nvmkv" { ours[++m] = $3 + 0; r = ours[m] / heap[m]; if (m == 1 || r < low) low = r; if (r > high) high = r }
		END { a = median(heap, n); b = median(ours, m); printf "%-24s %10.1f %10.1f %6.2f  (%.2f .. %.2f)\n", name, a, b, b / a, low, high }
	' "$results"
}

printf '%-24s %10s %10s %6s\n' "transactions a second" heap nvmkv ratio
for name in oltp_point_select select_random_points select_random_ranges oltp_read_only oltp_read_write oltp_update_index \
	oltp_update_non_index oltp_delete oltp_insert oltp_write_only; do
	rates sysbench $name || exit 1
done
for name in select-only simple-update tpcb-like; do
	rates pgbench $name || exit 1
done
