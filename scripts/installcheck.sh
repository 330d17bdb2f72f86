#!/bin/bash
# SQL, isolation and TAP tests on the server that the extension was installed into: make installcheck.
#
#   scripts/installcheck.sh [regress|isolation|tap]...      all three without arguments
#
# SQL and isolation tests are for a running server with the settings of test/server.conf; PGHOST, PGPORT and PGUSER say which
# one, as for psql.  They make databases contrib_regression and isolation_regression anew.  TAP tests start servers of
# their own: PROVE_TESTS='t/04*.pl' takes only those, PROVE_FLAGS is for prove.  PG_CONFIG=... names another server than
# Debian's PostgreSQL.
#
# As root all of it runs as the user "postgres", or the one that NVMKV_RUN_AS names.  What comes of it is in
# build/installcheck, or where that user can write.  The exit code says whether all passed.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

parse_options "words 0 3" -- "$@"
for step in "${arguments[@]}"; do
	[[ $step =~ ^(regress|isolation|tap)$ ]] || wrong_usage "unknown step: $step"
done
[ ${#arguments[@]} -gt 0 ] || arguments=(regress isolation tap)
choose_places
cd "$root" || exit 1
pgxs=$system_lib/pgxs
dir=$state/installcheck$variant

ask() { as_server "$system_bin/psql" -X -A -t -d postgres -c "$1"; }

# Is it the server that tests expect?
check_server() {
	local name value has
	ask "SELECT" >/dev/null || die "there is no server to test; PGHOST, PGPORT and PGUSER say where it is"
	while IFS='= ' read -r name value; do
		value=${value//\'/}
		has=$(ask "SHOW $name") || die "the server does not preload nvmkv_fdw; it needs the settings of test/server.conf"
		[[ $name != shared_preload_libraries && $has == "$value" ]] || [[ $name == shared_preload_libraries && $has == *"$value"* ]] ||
			die "the server has $name = '$has'; it needs the settings of test/server.conf"
	done < <(grep -v '^#' test/server.conf)
}

# pg_regress and pg_isolation_regress on the running server: on_server program database test...
on_server() {
	local program=$1 database=$2
	shift 2
	as_server env PGISOLATIONTIMEOUT=300 "$pgxs/src/test/$program" --bindir="$system_bin" --inputdir="$dir" --outputdir="$dir" \
		--load-extension=nvmkv_fdw --dbname="$database" --encoding=UTF8 --no-locale "$@"
}

tests_in() { find "$1" -maxdepth 1 -name "*.$2" ! -name 'nvmkv_fdw--*' -printf '%f\n' | sed 's/\.[a-z]*$//' | sort; }

run_regress() { on_server regress/pg_regress contrib_regression $(tests_in sql sql); }

run_isolation() { on_server isolation/pg_isolation_regress isolation_regression $(tests_in specs spec); }

run_tap() {
	perl -MIPC::Run -e 1 2>/dev/null || die "TAP tests need IPC::Run: package libipc-run-perl"
	make_server_dir "$dir"/tmp_check{,/log} || die "cannot write to $dir"
	(
		export PATH=$system_bin:$PATH TESTDIR=$dir TESTDATADIR=$dir/tmp_check TESTLOGDIR=$dir/tmp_check/log
		export PGPORT=65432 PG_REGRESS=$pgxs/src/test/regress/pg_regress
		unset PGHOST PGUSER PGDATABASE
		# shellcheck disable=SC2086
		as_server sh -c 'cd "$1" && shift && exec prove "$@"' sh "$dir" -I "$pgxs/src/test/perl" -I "$dir/t" \
			${PROVE_FLAGS:-} ${PROVE_TESTS:-t/*.pl}
	)
}

rm -rf "$dir"
make_server_dir "$dir" && cp -r sql specs expected t test/server.conf README.md doc scripts/{options,sizing}.sh "$dir/" || die "cannot write to $dir"
[ "$EUID" -ne 0 ] || chown -R "$run_user:$(id -g "$run_user")" "$dir"
[[ ${arguments[*]} == tap ]] || check_server
failed=0
for step in "${arguments[@]}"; do
	say "== $step"
	"run_$step" </dev/null || failed=1
done
[ "$failed" -eq 0 ] || say "failed; differences and logs are in $dir"
exit $failed
