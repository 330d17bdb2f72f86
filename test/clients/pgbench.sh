#!/bin/bash
# pgbench, for scripts/client_tests.sh: the environment says where the server is.
set -u
clients=(-n -c 8 -j 2 -T "$CLIENT_SECONDS")

ask() { psql -X -A -t -v ON_ERROR_STOP=1 "$@" 2>&1 || echo "FAILED: psql"; }

# A step in which pgbench makes its tables: make name option...
make() {
	echo "# $1"
	shift
	pgbench -i -q "$@" 2>&1 | sed -E 's/ \([^()]*elapsed.*|done in .*/done/; /table access method/d' || echo "FAILED: pgbench"
	[ "${PIPESTATUS[0]}" -eq 0 ] || echo "FAILED: pgbench -i $*"
	ask -c "SELECT (SELECT count(*) FROM pgbench_accounts), (SELECT count(*) FROM pgbench_tellers), (SELECT count(*) FROM pgbench_branches),
		(SELECT count(*) FROM pgbench_history), (SELECT md5(string_agg(a::text, ',' ORDER BY aid)) FROM pgbench_accounts a)" \
		-c "SELECT conrelid::regclass, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid::regclass::text ~ '^pgbench' ORDER BY 1, 2"
}

# A step in which clients work; afterwards every balance must be the sum of what the history tells: work name history option...
work() {
	local name=$1 history=$2 out done_
	shift 2
	echo "# $name"
	ask -c "UPDATE pgbench_accounts SET abalance = 0 WHERE abalance <> 0" -c "UPDATE pgbench_tellers SET tbalance = 0" \
		-c "UPDATE pgbench_branches SET bbalance = 0" -c "TRUNCATE pgbench_history" >/dev/null
	out=$(pgbench "${clients[@]}" "$@" 2>&1) || printf 'FAILED: %s\n' "$out"
	printf '%s\n' "$out" >&2
	sed -n '/^number of failed/p' <<<"$out"
	done_=$(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' <<<"$out")
	[ "${done_:-0}" -gt 0 ] || echo "FAILED: no transactions"
	case $history in
	all)
		ask -c "SELECT count(*) = ${done_:-0} AND sum(delta) = (SELECT sum(abalance) FROM pgbench_accounts)
			AND sum(delta) = (SELECT sum(tbalance) FROM pgbench_tellers) AND sum(delta) = (SELECT sum(bbalance) FROM pgbench_branches)
			FROM pgbench_history"
		;;
	accounts) ask -c "SELECT count(*) = ${done_:-0} AND sum(delta) = (SELECT sum(abalance) FROM pgbench_accounts) FROM pgbench_history" ;;
	none) ask -c "SELECT count(*) FROM pgbench_history" ;;
	esac
	# Each account, teller and branch by itself.
	[ "$history" = none ] ||
		ask -c "SELECT count(*) FROM pgbench_accounts a LEFT JOIN (SELECT aid, sum(delta) AS total FROM pgbench_history GROUP BY aid) h USING (aid)
			WHERE abalance <> coalesce(total, 0)"
}

make "partitioned by range" -s 1 --partitions=3
work "partitioned by range: tpcb-like" all -b tpcb-like -M prepared
make "partitioned by hash" -s 1 --partitions=4 --partition-method=hash
work "partitioned by hash: simple-update" accounts -b simple-update
make "rows made by the server" -s 1 -I dtGvp
make "keys before rows" -s 1 -I dtpgv
make "all steps" -s 1 -I dtgvpf
make "fill factor and tablespace" -s 1 -F 70 --tablespace=pg_default --index-tablespace=pg_default
make "without vacuum" -s 1 -I dtgp
make "unlogged" -s 1 --unlogged-tables
make "foreign keys" -s 2 --foreign-keys
echo "# kinds of tables"
ask -c "SELECT relkind, relname FROM pg_class WHERE relname ~ '^pgbench_[a-z]*$'"
for mode in simple extended prepared; do
	work "tpcb-like, $mode" all -b tpcb-like -M $mode
	work "simple-update, $mode" accounts -b simple-update -M $mode
	work "select-only, $mode" none -b select-only -M $mode
done
export PGOPTIONS="-c default_transaction_isolation=serializable"
work "tpcb-like, serializable, tried again" all -b tpcb-like --max-tries=0 --latency-limit=100000
unset PGOPTIONS
work "a connection a transaction" all -b tpcb-like -C
echo "# drop"
pgbench -i -I d 2>&1 | grep -v "^dropping\|^done"
ask -c "SELECT count(*) FROM pg_class WHERE relname ~ '^pgbench'"
