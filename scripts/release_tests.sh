#!/bin/bash
# Upgrades from releases of the extension to what is in this checkout, with the server of this machine.
#
#   scripts/release_tests.sh [VERSION]...              from these versions of the extension, or all: 1.0
#   scripts/release_tests.sh --archive FILE VERSION    makes the files that t/089_release_files.pl reads
#
# The release's library, built from the history of this checkout, writes; its server is killed, and the present library
# recovers, reads, updates the extension, and goes on.  Everything stands beside heap tables that must stay the same
# (test/upgrade/release).  A checkout without the history, as a shallow clone is, skips that.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

declare -A commits=([1.0]=0133e95921c01ebfad49a32d589158746c0c0185)

archive=""
parse_options "--archive archive text" "words 0 any" -- "$@"
versions=("${arguments[@]}")
[ ${#versions[@]} -gt 0 ] || versions=("${!commits[@]}")
for version in "${versions[@]}"; do
	[ -n "${commits[$version]:-}" ] || wrong_usage "no such version: $version"
done
[ -z "$archive" ] || [ ${#versions[@]} -eq 1 ] || wrong_usage "one version goes into an archive"
for version in "${versions[@]}"; do
	git -C "$root" cat-file -e "${commits[$version]}^{commit}" 2>/dev/null || {
		echo "skipped: this checkout has no history with version $version"
		exit 0
	}
done

"$root/scripts/setup.sh" >/dev/null || exit 1
choose_places
work=$(cd / && as_server mktemp -d /tmp/nvmkv_release.XXXXXX) || exit 1
trap stop_all EXIT
trap 'exit 130' INT TERM

# ---------------------------------------------------------------- servers

# A stop that fails is none of a server that runs.
stop_all() {
	local dir
	for dir in "$work"/*/; do
		[ ! -e "$dir/postmaster.pid" ] || as_server "$bin/pg_ctl" stop -D "$dir" -m immediate >/dev/null
	done
	rm -rf "$work"
}

# The release's server: sets old_bin.
build_release() {
	local version=$1 dir=$build/release/$1
	local prefix=$state/release_$1
	if [ ! -e "$dir/Makefile" ]; then
		mkdir -p "$dir" && git -C "$root" archive "${commits[$version]}" | tar -x -C "$dir" || die "version $version cannot be had"
	fi
	say "building version $version"
	copy_server "$prefix"
	make -s -j "$(nproc)" -C "$dir" PG_CONFIG="$system_bin/pg_config" all >&2 &&
		make -s -C "$dir" PG_CONFIG="$system_bin/pg_config" install DESTDIR="$prefix" >/dev/null || die "version $version does not build"
	old_bin=$prefix$system_bin
}

make_cluster() { # BIN NAME
	as_server "$1/initdb" -D "$work/$2" -U postgres -A trust -E UTF8 --locale=C >/dev/null || die "initdb failed"
	cat >>"$work/$2/postgresql.conf" <<-EOT
		shared_preload_libraries = 'nvmkv_fdw'
		listen_addresses = ''
		unix_socket_directories = '$work'
		max_prepared_transactions = 10
		nvmkv.write_buffer_size = '1MB'
		nvmkv.nvm_size = '16MB'
		nvmkv.target_file_size = '1MB'
		nvmkv.max_column_families = 4
	EOT
}

start() { # BIN NAME [argument of pg_ctl]...
	local with=$1 name=$2
	shift 2
	as_server "$with/pg_ctl" start -D "$work/$name" -l "$work/$name.log" -w -t 300 "$@" >/dev/null </dev/null 2>&1 || {
		tail -n 20 "$work/$name.log" >&2
		die "the server does not start"
	}
}

stop() { # NAME [argument of pg_ctl]...
	local name=$1
	shift
	as_server "$bin/pg_ctl" stop -D "$work/$name" -w -t 300 "$@" >/dev/null || die "the server does not stop"
}

# As power does; then waits until no process is left.
kill_server() {
	local pid deadline=$((SECONDS + 60))
	pid=$(head -n 1 "$work/$1/postmaster.pid")
	kill -9 "$pid"
	while find /proc -maxdepth 2 -name cwd -lname "$work/$1" 2>/dev/null | grep -q .; do
		[ $SECONDS -lt $deadline ] || die "processes of the killed server still work"
		sleep 0.1
	done
	rm -f "$work/$1/postmaster.pid" "$work"/.s.PGSQL.*
}

port=5432
sql() { as_server "$bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h "$work" -p "$port" -U postgres -d postgres "$@"; }
run() { sql -f - <"$root/test/upgrade/release/$1.sql" >"$work/$1.out" || die "test/upgrade/release/$1.sql failed"; }

# ---------------------------------------------------------------- tests

. "$root/scripts/points.sh"

compare() { sql -f - <"$root/test/upgrade/release/same.sql"; }
same() { is "$1" "" compare; }
extension_version() { sql -c "SELECT extversion FROM pg_extension WHERE extname = 'nvmkv_fdw'"; }
check_files() { as_server "$bin/nvmkv_dump" check "$work/$1/nvmkv" | grep -oE '[0-9]+ problems$'; }
is_level() { sql -c "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_flush_lsn()"; }

test_version() {
	local version=$1 deadline
	what="$version to this"
	rm -rf "$work"/{main,standby}*
	make_cluster "$old_bin" main
	start "$old_bin" main
	run tables
	# A standby of the new library goes on with the log that the old one writes.
	as_server "$bin/pg_basebackup" -h "$work" -U postgres -D "$work/standby" -c fast -R || die "no backup"
	start "$bin" standby -o "-p 5433"
	run later
	same "written by $version"
	deadline=$((SECONDS + 120))
	until [ "$(is_level)" = 1 ]; do
		[ $SECONDS -lt $deadline ] || die "the standby does not come along"
		sleep 0.2
	done
	port=5433
	same "a standby with the new library"
	as_server "$bin/pg_ctl" promote -D "$work/standby" -w -t 300 >/dev/null || die "no promotion"
	same "which was promoted"
	stop standby
	port=5432

	kill_server main
	start "$bin" main
	same "recovered from the log of $version"
	is "the extension is as it was" "$version" extension_version
	stop main
	start "$bin" main
	same "after a restart"
	sql -c 'ALTER EXTENSION nvmkv_fdw UPDATE'
	same "updated"
	run writes
	is "the new version's own" "" cat "$work/writes.out"
	same "written to by both versions"
	kill_server main
	start "$bin" main
	same "after a crash"
	sql -c 'SELECT nvmkv.compact()' >/dev/null
	same "compacted"
	stop main
	is "nvmkv_dump check" "0 problems" check_files main
}

settle_prepared() { sql -c "COMMIT PREPARED 'to commit'" -c "ROLLBACK PREPARED 'to roll back'"; }

# pg_upgrade takes the release's extension along, as it is; from one version of the server to the same.
test_pg_upgrade() {
	local version=$1
	what="$version, by pg_upgrade"
	rm -rf "$work"/{main,new}*
	make_cluster "$old_bin" main
	start "$old_bin" main
	run tables
	run later
	settle_prepared
	stop main
	make_cluster "$bin" new
	as_server sed -i 's/^max_prepared_transactions.*/max_prepared_transactions = 0/' "$work"/{main,new}/postgresql.conf
	as_server sh -c 'cd "$1" && shift && exec "$@"' in "$work" "$bin/pg_upgrade" -b "$old_bin" -B "$bin" -d "$work/main" -D "$work/new" \
		-U postgres -s "$work" >"$work/pg_upgrade.log" 2>&1 || {
		tail -n 30 "$work/pg_upgrade.log" >&2
		die "pg_upgrade failed"
	}
	as_server "$bin/nvmkv_upgrade" "$work/main" "$work/new" >/dev/null || die "nvmkv_upgrade failed"
	start "$bin" new
	is "the extension is as it was" "$version" extension_version
	same "in the new cluster"
	sql -c 'ALTER EXTENSION nvmkv_fdw UPDATE'
	same "updated"
	stop new
}

# The release's files, without a server: see t/089_release_files.pl.
make_archive() {
	local table
	make_cluster "$old_bin" main
	start "$old_bin" main
	run tables
	run later
	settle_prepared
	sql -c 'SELECT nvmkv.flush()' >/dev/null
	as_server mkdir "$work/main/expected"
	for table in $(sql -c "SELECT relname FROM pg_class WHERE relnamespace = 'ours'::regnamespace AND relkind = 'f'"); do
		sql -c "SET DateStyle = ISO" -c "SET TimeZone = UTC" -c "COPY (SELECT * FROM heap.$table) TO STDOUT" >"$work/table" &&
			sed 's/^\(-\{0,1\}\)\$/\1/' "$work/table" >"$work/main/expected/$table" || die "no rows of $table"
	done
	stop main
	tar -c -S -C "$work/main" --sort=name --owner=0 --group=0 --numeric-owner nvmkv nvmkv.anchor pg_xact expected | xz -9e >"$archive" || die "cannot write $archive"
	ls -l "$archive"
}

for version in "${versions[@]}"; do
	build_release "$version"
	if [ -n "$archive" ]; then
		make_archive
		exit
	fi
	test_version "$version"
	test_pg_upgrade "$version"
done
echo "$((count - failed)) passed, $failed failed"
[ $failed -eq 0 ]
