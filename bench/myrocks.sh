# MariaDB with its RocksDB storage engine, from Debian's packages, beside the server of a benchmark; to be sourced by bash
# after server.sh.
#
# Debian's plugin wants the package that starts MariaDB as a service, which is not wanted here: the server's programs are
# installed without it, and the plugin is taken out of its package.

peer=""

peer_query() { mariadb --no-defaults -u root -S "$peer/socket" -D test -N -B "$@" || die "MariaDB did not answer"; }

stop_peer() {
	local pid
	[ -n "$peer" ] && pid=$(cat "$peer/pid" 2>/dev/null) || return 0
	kill -KILL "$pid" 2>/dev/null # nothing of it is kept
	tail --pid="$pid" -f /dev/null
}

# Starts the server, with a block cache of so many megabytes: start_peer megabytes
start_peer() {
	local options
	"$root/scripts/setup.sh" --peer-packages || die "packages are missing"
	peer=$state/bench_myrocks
	rm -rf "$peer"
	make_server_dir "$peer" "$peer/package" "$peer/data" || die "cannot make $peer"
	(cd "$peer/package" && apt-get -q download mariadb-plugin-rocksdb && dpkg -x ./*.deb .) >"$peer/log" 2>&1 ||
		die "the plugin's package cannot be had: see $peer/log"
	as_server mariadb-install-db --no-defaults --datadir="$peer/data" --auth-root-authentication-method=normal >>"$peer/log" 2>&1 ||
		die "MariaDB cannot be set up: see $peer/log"
	# Commits are not synced, as on the other side.
	options=(--no-defaults --datadir="$peer/data" --socket="$peer/socket" --pid-file="$peer/pid" --skip-networking --skip-log-bin
		--plugin-dir="$peer/package/usr/lib/mysql/plugin" --plugin-load-add=ha_rocksdb --plugin-maturity=unknown
		--rocksdb-block-cache-size="$1M" --rocksdb-flush-log-at-trx-commit=2 --innodb-buffer-pool-size=16M)
	as_server mariadbd "${options[@]}" >>"$peer/log" 2>&1 &
	until [ -S "$peer/socket" ] && mariadb --no-defaults -u root -S "$peer/socket" -e "SELECT 1" >/dev/null 2>&1; do
		kill -0 $! 2>/dev/null || die "MariaDB does not start: see $peer/log"
		sleep 0.1
	done
	mariadb --no-defaults -u root -S "$peer/socket" -e "CREATE DATABASE IF NOT EXISTS test"
}

# Bytes that the server has written, as the system counts them.
peer_written() { sed -n 's/^write_bytes: //p' "/proc/$(cat "$peer/pid")/io"; }

# Megabytes of the engine's files.
peer_size() {
	peer_query -e "SET GLOBAL rocksdb_force_flush_memtable_now = 1"
	du -sm "$peer/data/#rocksdb" | cut -f 1
}
