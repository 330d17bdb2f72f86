#!/bin/bash
# Users' programs, as Debian has them, on heap tables and on nvmkv tables: unchanged, beside each other, and with what they
# see compared.
#
#   scripts/client_tests.sh [OPTION]... [PART]...
#
#   pgbench      all ways to initialize, its three scripts in three modes, and whether the books are right afterwards
#   sysbench     its OLTP tests: what a fixed seed leaves in the tables; several threads
#   sqlalchemy   an application on its ORM: tables, objects, constraints, transactions, reflection
#   django       a project: migrations back and forth, its use, dumps, inspectdb, its own tests
#   jdbc         batches, results that are changed, cursors, COPY, what DatabaseMetaData says
#   rates        not without being named: pgbench and sysbench turn and turn about, transactions a second and their ratio
#   -t SECONDS   how long a program with several clients runs (3; rates: 10)
#   -r ROUNDS    rounds of rates (3)
#   -c NAME=VALUE   a setting of the server, as often as wanted
#
# The server is a private one (scripts/cluster.sh). Two roles own a database each; of one the setting
# default_table_access_method is nvmkv, and that is all that tells them apart. Missing packages are installed, as root or by sudo.
# A program prints steps, and what it saw in each; test/clients/causes leads what may differ to a heading of doc/limits.md.
# One line a part, and what differs; the last line is "N passed, N failed". Logs are in build/clients.
. "$(dirname "${BASH_SOURCE[0]}")/server.sh"

seconds=""
rounds=3
settings=()
parse_options "-t seconds number" "-r rounds number" "-c settings list" "words 0 any" -- "$@"
parts=("${arguments[@]}")
for part in "${parts[@]}"; do
	[[ $part =~ ^(pgbench|sysbench|sqlalchemy|django|jdbc|rates)$ ]] || wrong_usage "unknown part: $part"
done
[ ${#parts[@]} -gt 0 ] || parts=(pgbench sysbench sqlalchemy django jdbc)
for setting in "${settings[@]}"; do
	[[ $setting =~ ^[A-Za-z_][A-Za-z0-9_.]*= ]] || wrong_usage "not a setting: $setting"
done
cd "$root" || exit 1

[ "$pg_version" -eq 15 ] || die "this script knows Debian 12's programs only"
scripts/setup.sh --client-packages || die "packages are missing"

passed=0
failed=0

# A server, the two roles, and the extension where new databases have it, too. Programs that know no Unix
# sockets come with a password, for others the socket's directory is the limit.
start_with_roles() {
	local role
	start_server clients listen_addresses=127.0.0.1 max_prepared_transactions=10 jit=off shared_buffers=256MB max_wal_size=8GB \
		"${settings[@]}"
	PGPASSWORD=$(od -An -N 16 -tx1 /dev/urandom | tr -d ' \n')
	export PGPASSWORD
	printf 'local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n' >"$cluster/pg_hba.conf"
	query -c "SELECT pg_reload_conf()" >/dev/null
	for role in template1 postgres; do
		query -d "$role" -c "CREATE EXTENSION nvmkv_fdw"
	done
	for role in on_heap on_nvmkv; do
		query -c "CREATE ROLE $role LOGIN CREATEDB PASSWORD '$PGPASSWORD'"
	done
	query -c "ALTER ROLE on_nvmkv SET default_table_access_method = nvmkv"
}

# An empty database for each role.
make_databases() {
	local role
	for role in on_heap on_nvmkv; do
		query -c "DROP DATABASE IF EXISTS $role WITH (FORCE)" -c "CREATE DATABASE $role OWNER $role"
	done
}

# A part's program for both roles, and the comparison: part_of name command...
part_of() {
	local name=$1 role
	shift
	for role in on_heap on_nvmkv; do
		PATH=$bin:$PATH PGUSER=$role PGDATABASE=$role CLIENT_SECONDS=${seconds:-3} CLIENT_WORK=$work \
			timeout -k 10 1800 "$@" >"$work/$name.$role" 2>"$work/$name.$role.log" </dev/null || {
			echo "# the program ends"
			echo "FAILED: exit code $?"
		} >>"$work/$name.$role"
	done
	perl test/clients/compare.pl "$name" test/clients/causes "$work/$name.on_heap" "$work/$name.on_nvmkv" >"$work/$name.compared"
	sed '$d' "$work/$name.compared"
	set -- $(tail -n 1 "$work/$name.compared")
	printf '%-12s %4d passed, %d failed\n' "$name" "${1:-0}" "${2:-1}"
	passed=$((passed + ${1:-0}))
	failed=$((failed + ${2:-1}))
}

start_with_roles
for part in "${parts[@]}"; do
	make_databases
	case $part in
	pgbench | sysbench | jdbc) part_of "$part" test/clients/$part.sh ;;
	sqlalchemy) part_of sqlalchemy /usr/bin/python3 test/clients/orm.py ;;
	django) part_of django test/clients/django/run.sh ;;
	rates)
		PATH=$bin:$PATH CLIENT_SECONDS=${seconds:-10} CLIENT_ROUNDS=$rounds CLIENT_WORK=$work test/clients/rates.sh 2>"$work/rates.log" </dev/null &&
			passed=$((passed + 1)) || {
			failed=$((failed + 1))
			tail -n 5 "$work/rates.log"
		}
		;;
	esac
done
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
