#!/bin/bash
# Upgrades of clusters with foreign tables to another major version of PostgreSQL, by pg_upgrade and nvmkv_upgrade.
#
#   scripts/upgrade_tests.sh [RELEASE]...     from PostgreSQL 15 to that of these releases of Debian (trixie sid)
#   scripts/upgrade_tests.sh --here           the same to that of this machine, as root
#
# Both ways, by copies and by links, and by dumps.  Each release gets a tree of its own (scripts/debian_tree.sh RELEASE+bookworm: 4 GB, some
# minutes for the first run), where --here is run: it installs PostgreSQL 15, and the extension for both, into the system's
# directories.  Tables of all kinds stand beside heap tables that must stay the same (test/upgrade).
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

old=15
here=""
parse_options "--here here flag" "words 0 any" -- "$@"
releases=("${arguments[@]}")
[ ${#releases[@]} -gt 0 ] || releases=(trixie sid)

if [ -z "$here" ]; then
	failed=0
	for release in "${releases[@]}"; do
		"$root/scripts/debian_tree.sh" "$release+bookworm" -- scripts/upgrade_tests.sh --here || failed=1
	done
	exit $failed
fi

[ "$EUID" -eq 0 ] || die "--here is for root"
[ "$pg_version" -ne $old ] || die "this system has PostgreSQL $old itself; without --here a tree of another release is used"
run_user=postgres
new=$pg_version
work=/tmp/nvmkv_upgrade.$$
trap stop_all EXIT
trap 'exit 130' INT TERM

program() { printf '/usr/lib/postgresql/%s/bin/%s' "$1" "$2"; }

# A stop that fails is none of a server that runs.
stop_all() {
	local dir
	for dir in "$work"/*/; do
		[ ! -e "$dir/postmaster.pid" ] || as_server "$(program "$(cat "$dir/PG_VERSION")" pg_ctl)" stop -D "$dir" -m immediate >/dev/null
	done
	rm -rf "$work"
}

# ---------------------------------------------------------------- two versions

# The older one's ICU is another one, and a library is built with the headers of its server's.
install_old() {
	local created=/etc/postgresql-common/createcluster.d icu=/opt/nvmkv_icu
	mkdir -p "$created" && echo 'create_main_cluster = false' >"$created/nvmkv_setup.conf" || exit 1
	if ! is_installed postgresql-$old || ! is_installed postgresql-server-dev-$old; then
		say "installing PostgreSQL $old"
		DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install postgresql-$old postgresql-server-dev-$old \
			>"$work/install.log" 2>&1 || {
			tail -n 20 "$work/install.log" >&2
			die "PostgreSQL $old cannot be installed"
		}
	fi
	if [ ! -e "$icu" ]; then
		(cd "$work" && apt-get -q download libicu-dev/bookworm && dpkg-deb -x libicu-dev_*.deb "$icu") >"$work/install.log" 2>&1 || {
			tail -n 20 "$work/install.log" >&2
			die "the headers of ICU that PostgreSQL $old was built with cannot be had"
		}
	fi
	copt[old]=-I$icu/usr/include
}

install_extension() {
	local version=$1 dir=$build/upgrade/$1
	say "building for PostgreSQL $version"
	mkdir -p "$dir" && make -s -j "$(nproc)" -C "$dir" -f "$root/Makefile" PG_CONFIG="$(program "$version" pg_config)" \
		COPT="${copt[$version]:-}" all >&2 &&
		make -s -C "$dir" -f "$root/Makefile" PG_CONFIG="$(program "$version" pg_config)" install >/dev/null ||
		die "it does not build for PostgreSQL $version"
}

# ---------------------------------------------------------------- servers

# make_cluster VERSION DIR
make_cluster() {
	local checksums=()
	[ "$1" -lt 18 ] || checksums=(--no-data-checksums)
	as_server "$(program "$1" initdb)" -D "$2" -U postgres -A trust -E UTF8 --locale=C "${checksums[@]}" >/dev/null || die "initdb failed"
	cat "$root/test/server.conf" - >>"$2/postgresql.conf" <<-EOF
		listen_addresses = ''
		unix_socket_directories = '$work'
		max_prepared_transactions = 0
		nvmkv.write_buffer_size = '1MB'
		nvmkv.max_column_families = 6
	EOF
}

server() { # start|stop DIR [argument of pg_ctl]...
	local what=$1 dir=$2
	shift 2
	as_server "$(program "$(cat "$dir/PG_VERSION")" pg_ctl)" "$what" -D "$dir" -l "$dir.log" -w -t 120 "$@" >/dev/null
}

start() { server start "$@" || { tail -n 20 "$1.log" >&2 && die "the server does not start"; }; }
stop() { server stop "$@" || die "the server does not stop"; }
sql() { as_server "$(program "$new" psql)" -X -q -A -t -v ON_ERROR_STOP=1 -h "$work" "$@"; }

load() {
	sql -d postgres <<-'EOF' || die "tables cannot be made"
		CREATE EXTENSION nvmkv_fdw;
		CREATE TYPE mood AS ENUM ('sad', 'ok', 'glad');
		CREATE COLLATION own_c (provider = libc, locale = 'C');
		CREATE COLLATION german (provider = icu, locale = 'de');
		CREATE DATABASE other;
	EOF
	sql -d postgres -v schema=heap -v method=heap -f - <"$root/test/upgrade/tables.sql" &&
		sql -d postgres -v schema=ours -v method=nvmkv -f - <"$root/test/upgrade/tables.sql" || die "tables cannot be made"
	sql -d postgres <<-'EOF' || die "a column family cannot be made"
		CREATE SERVER hot FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family 'hot', nvm 'off');
		CREATE TABLE heap.hot (a int PRIMARY KEY, b text);
		CREATE FOREIGN TABLE ours.hot (a int NOT NULL, b text, PRIMARY KEY (a)) SERVER hot;
		INSERT INTO heap.hot SELECT n, 'hot ' || n FROM generate_series(1, 1000) AS n;
		INSERT INTO ours.hot TABLE heap.hot;
	EOF
	sql -d other -c 'CREATE EXTENSION nvmkv_fdw' -c 'CREATE TABLE o (a int PRIMARY KEY, b text) USING nvmkv' -c 'CREATE INDEX ON o (b)' \
		-c "INSERT INTO o SELECT n, 'o' || n FROM generate_series(1, 1000) AS n" || die "another database cannot be made"
}

# Minor releases of PostgreSQL 15 and 17 note the version of altered columns, of heap tables, too, in an option that 18.6 has never
# heard of: with it pg_upgrade and pg_dump to there fail, whatever the tables are.
forget_versions() {
	local database
	! grep -q pg_attver "$(program "$new" postgres)" || return 0
	for database in postgres other; do
		sql -d $database -c "SET allow_system_table_mods = on; UPDATE pg_attribute
			SET attoptions = NULLIF(ARRAY(SELECT o FROM unnest(attoptions) AS o WHERE o NOT LIKE 'pg_attver=%'), '{}')
			WHERE attoptions::text LIKE '%pg_attver=%'" || die "options of columns cannot be changed"
	done
}

# ---------------------------------------------------------------- tests

. "$root/scripts/points.sh"

# Does it say that, among others?  says NAME PATTERN COMMAND...
says() {
	local name=$1 pattern=$2
	shift 2
	is "$name" "$pattern" grep -oF -m 1 -e "$pattern" <("$@" 2>&1)
}

compare() { sql -d postgres -f - <"$root/test/upgrade/same.sql"; }
same() { is "$1" "" compare; }

upgrade() { as_server "$(program "$new" nvmkv_upgrade)" "$@"; }

new_cluster() {
	rm -rf "$work/new"
	make_cluster "$new" "$work/new"
}

run_pg_upgrade() {
	(cd "$work" && as_server sh -c 'cd "$1" && shift && exec "$@"' in "$work" "$(program "$new" pg_upgrade)" \
		-b "$(dirname "$(program $old psql)")" -B "$(dirname "$(program "$new" psql)")" -d "$work/old" -D "$work/new" -U postgres -s "$work" "$@") \
		>"$work/pg_upgrade.log" 2>&1
}

pg_upgrade_or_failed() { run_pg_upgrade "$@" || echo failed; }
start_or_nothing() { ! server start "$@" 2>/dev/null || echo started; }

test_mode() {
	local mode=$1 what="$old to $new, $1"
	rm -rf "$work"/{old,new,standby}*
	make_cluster $old "$work/old"
	start "$work/old"
	load
	same "before"
	stop "$work/old"

	# One that fails leaves the old cluster as it was.
	new_cluster
	says "nothing was upgraded" 'awaits no files' upgrade "$work/old" "$work/new"
	start "$work/new"
	sql -d postgres -c 'CREATE TABLE in_the_way (a int)'
	stop "$work/new"
	is "pg_upgrade fails" failed pg_upgrade_or_failed "$mode"
	start "$work/old"
	same "old cluster after a failed upgrade"
	# Once with rows in the container, once in files.
	[ "$mode" = --copy ] || sql -d postgres -c "SELECT nvmkv.compact()" >/dev/null
	forget_versions
	says "the old server runs" 'a server runs' upgrade "$work/old" "$work/new"
	stop "$work/old"

	# This one has been started before, so it has a directory of its own.
	new_cluster
	start "$work/new"
	stop "$work/new"
	run_pg_upgrade "$mode" || {
		cat "$work/pg_upgrade.log" "$work"/new/pg_upgrade_output.d/*/log/pg_upgrade_dump_*.log 2>/dev/null | tail -n 30 >&2
		die "pg_upgrade failed"
	}

	# Before the files are there nothing is lost, nor made.
	start "$work/new"
	says "the server tells what to do" 'nvmkv_upgrade OLD' sql -d postgres -c 'TABLE ours.parents'
	says "a writer, too" 'nvmkv_upgrade OLD' sql -d postgres -c 'INSERT INTO ours.parents VALUES (1000)'
	is "other tables work" 100 sql -d postgres -c 'SELECT count(*) FROM heap.parents'
	stop "$work/new" -m immediate
	start "$work/new"
	stop "$work/new"

	upgrade "$work/old" "$work/new" "$mode" --check >/dev/null || die "nvmkv_upgrade --check failed"
	is "a check changes nothing" 'nvmkv-origin 1 awaited' cat "$work/new/nvmkv.origin"
	upgrade "$work/old" "$work/new" "$mode" >/dev/null || die "nvmkv_upgrade failed"
	says "once is enough" 'has the files of foreign tables already' upgrade "$work/old" "$work/new" "$mode"
	says "nvmkv_dump check" ': 0 problems' as_server "$(program "$new" nvmkv_dump)" check "$work/new/nvmkv"
	start "$work/new"
	# ICU is another one.
	sql -d postgres -c 'ALTER COLLATION german REFRESH VERSION' -c 'REINDEX TABLE ours.letters' -c 'REINDEX TABLE heap.letters' 2>/dev/null
	same "after"
	is "another database" $'1000\n77' sql -d other -c 'SELECT count(*) FROM o' -c "SELECT a FROM o WHERE b = 'o77'" \
		-c 'SELECT * FROM nvmkv.check()'
	for schema in ours heap; do
		sql -d postgres -v schema=$schema -f - <"$root/test/upgrade/writes.sql" || failed=$((failed + 1))
	done
	same "after more writes"
	stop "$work/new" -m immediate
	start "$work/new"
	same "after a crash"
	sql -d postgres -c 'SELECT nvmkv.compact()' >/dev/null
	as_server "$(program "$new" pg_basebackup)" -h "$work" -U postgres -D "$work/standby" -c fast -R || die "no backup"
	stop "$work/new"
	start "$work/standby"
	as_server "$(program "$new" pg_ctl)" promote -D "$work/standby" -w >/dev/null
	same "standby that was promoted"
	stop "$work/standby"
	start "$work/new"
	same "after a restart"
	stop "$work/new"

	if [ "$mode" = --copy ]; then
		start "$work/old"
		same "the old cluster, still"
		stop "$work/old"
	else
		is "the old cluster does not start" "" start_or_nothing "$work/old"
		as_server mv "$work/old/global/pg_control.old" "$work/old/global/pg_control"
		server start "$work/old"
		says "nor has it foreign tables" 'moved to another cluster' sql -d postgres -c 'TABLE ours.parents'
		stop "$work/old" -m immediate
	fi
}

# A dump of the older server in the newer one, in pg_dump's own format, and one of that in the older one, as a script.
test_dumps() {
	local what="dumps of $old and $new"
	local dump=("$(program "$new" pg_dump)" -h "$work" -U postgres --include-foreign-data='*' -d postgres)
	rm -rf "$work"/{old,new,standby}*
	make_cluster $old "$work/old"
	start "$work/old"
	load
	forget_versions
	is "of $old" "" as_server "${dump[@]}" -Fc -f "$work/custom"
	stop "$work/old"

	new_cluster
	start "$work/new"
	is "restored in $new" "" as_server "$(program "$new" pg_restore)" -h "$work" -U postgres -d postgres --exit-on-error "$work/custom"
	same "the same in $new"
	is "of $new" "" as_server "${dump[@]}" -f "$work/script"
	stop "$work/new"

	rm -rf "$work/old"
	make_cluster $old "$work/old"
	start "$work/old"
	sed '/^SET transaction_timeout/d' "$work/script" >"$work/older" || die "no script"
	is "restored in $old" "" sql -d postgres -o /dev/null -f "$work/older"
	same "the same in $old"
	stop "$work/old"
}

declare -a copt=()
make_server_dir "$work"
install_old
install_extension $old
install_extension "$new"
for mode in --copy --link; do
	test_mode $mode
done
test_dumps
echo "$((count - failed)) passed, $failed failed"
[ $failed -eq 0 ]
