#!/bin/bash
# Runs SQL and isolation tests on heap tables in place of foreign tables: what they say is what a test that
# claims to behave like a heap must expect.
#
#   scripts/heap_twin.sh [--write] test...      test: sql/NAME.sql or specs/NAME.spec
#
# Compares with expected/NAME.out; with --write, makes it.  A twin of
#   CREATE FOREIGN TABLE t (...) [PARTITION OF ...] [INHERITS (...)] SERVER nvmkv [OPTIONS (primary_key 'a, b')];
# is a table with that primary key; tests to be run here must write it on one line.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

write=""
parse_options "--write write flag" "words 1 any" -- "$@"
set -- "${arguments[@]}"
for test in "$@"; do
	[[ $test == *.spec || $test == *.sql ]] || wrong_usage "neither .sql nor .spec: $test"
	[ -r "$root/$test" ] || wrong_usage "there is no test $test"
done
choose_places
is_installed "postgresql-$pg_version" || die "run scripts/setup.sh first"

work=$(mktemp -d /tmp/nvmkv_heap_twin.XXXXXX) || die "no temporary directory"
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{sql,specs,expected,results}

# psql echoes statements: the twin's are turned back into those of the foreign table before comparing.
to_heap() {
	sed -E \
		-e "s/^([[:space:]]*)CREATE FOREIGN TABLE (\S+) \((.*)\) INHERITS \((.*)\) SERVER nvmkv OPTIONS \(primary_key '([^']*)'\);/\1CREATE TABLE \2 (\3, PRIMARY KEY (\5)) INHERITS (\4);/" \
		-e 's/^([[:space:]]*)CREATE FOREIGN TABLE (\S+) \((.*)\) INHERITS \((.*)\) SERVER nvmkv;/\1CREATE TABLE \2 (\3) INHERITS (\4);/' \
		-e "s/^([[:space:]]*)CREATE FOREIGN TABLE (\S+) \((.*)\) SERVER nvmkv OPTIONS \(primary_key '([^']*)'\);/\1CREATE TABLE \2 (\3, PRIMARY KEY (\4));/" \
		-e 's/^([[:space:]]*)CREATE FOREIGN TABLE (\S+) \((.*)\) SERVER nvmkv;/\1CREATE TABLE \2 (\3);/' \
		-e "s/^([[:space:]]*)CREATE FOREIGN TABLE (\S+) PARTITION OF (.*) SERVER nvmkv OPTIONS \(primary_key '([^']*)'\);/\1CREATE TABLE \2 PARTITION OF \3; ALTER TABLE \2 ADD PRIMARY KEY (\4);/" \
		-e 's/\b(DROP|ALTER) FOREIGN TABLE/\1 TABLE/' \
		-e 's/ USING nvmkv\b/ USING heap/; s/\b(default_table_access_method = )nvmkv\b/\1heap/' "$1"
}

cp -r "$root/sql/include" "$work/sql/" || die "cannot write to $work"
sql_tests=()
spec_tests=()
for test in "$@"; do
	name=$(basename "${test%.*}")
	case $test in
	*.spec)
		to_heap "$root/specs/$name.spec" >"$work/specs/$name.spec" && spec_tests+=("$name") || exit 1
		;;
	*.sql)
		to_heap "$root/sql/$name.sql" >"$work/sql/$name.sql" && sql_tests+=("$name") || exit 1
		;;
	esac
	: >"$work/expected/$name.out"
done
echo 'max_prepared_transactions = 10' >"$work/server.conf"
chmod -R a+rX "$work"
[ "$EUID" -ne 0 ] || chown -R "$run_user" "$work"

pgxs=$system_bin/../lib/pgxs/src/test
run() {
	local runner=$1
	shift
	as_server env "$runner" --bindir="$system_bin" --inputdir="$work" --outputdir="$work" \
		--temp-instance="$work/instance" --temp-config="$work/server.conf" --no-locale --encoding=UTF8 --port=$((54400 + $$ % 8000)) "$@" >"$work/run.log" 2>&1
}
[ ${#sql_tests[@]} -eq 0 ] || run "$pgxs/regress/pg_regress" "${sql_tests[@]}"
[ ${#spec_tests[@]} -eq 0 ] || run "$pgxs/isolation/pg_isolation_regress" "${spec_tests[@]}"

failed=0
for name in "${sql_tests[@]}" "${spec_tests[@]}"; do
	[ -s "$work/results/$name.out" ] || { cat "$work/run.log" "$work/log/postmaster.log" >&2; die "$name did not run"; }
	# Echoed lines of a SQL test come back as they were written.
	if [ -e "$work/sql/$name.sql" ]; then
		awk 'FILENAME == ARGV[1] { twin[FNR] = $0; next }
			FILENAME == ARGV[2] { if (twin[FNR] != $0) back[twin[FNR]] = $0; next }
			{ print ($0 in back) ? back[$0] : $0 }' \
			"$work/sql/$name.sql" "$root/sql/$name.sql" "$work/results/$name.out" >"$work/$name.out"
	else
		cp "$work/results/$name.out" "$work/$name.out"
	fi
	if [ -n "$write" ]; then
		cp "$work/$name.out" "$root/expected/$name.out" && say "wrote expected/$name.out"
	elif ! diff -u "$root/expected/$name.out" "$work/$name.out"; then
		failed=1
	fi
done
exit $failed
