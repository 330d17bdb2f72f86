#!/bin/bash
# A private PostgreSQL cluster with nvmkv_fdw preloaded.
#
#   scripts/cluster.sh start DIR [-c name=value]...     settings hold for this start
#   scripts/cluster.sh stop  DIR [-m fast|immediate]
#   scripts/cluster.sh psql  DIR [argument of psql]...
#
# start builds and installs what is needed, makes a cluster in DIR if there is none, starts the server and
# prints one line for the shell:  export PGHOST=... PGPORT=... PGUSER=... PGDATABASE=...
# The server listens on a socket in its own directory only, so the account that runs it is the one that can
# connect (as root: root too).  Everything else is said on stderr.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

settings=()
mode=fast
case "${1:-} ${2:-}" in
"start "*) parse_options "-c settings list" "words 2 2" -- "$@" ;;
"stop "*) parse_options "-m mode text" "words 2 2" -- "$@" ;;
"psql "[!-]*) arguments=("$@") ;; # which are psql's
*) parse_options "words 1 any" -- "$@" ;;
esac
command=${arguments[0]}
dir=${arguments[1]:-}
[[ $command =~ ^(start|stop|psql)$ ]] || wrong_usage "unknown command: $command"
[ -n "$dir" ] || wrong_usage "which cluster?"
[[ $mode =~ ^(fast|immediate)$ ]] || wrong_usage "unknown mode: $mode"
for setting in "${settings[@]}"; do
	[[ $setting =~ ^[A-Za-z_][A-Za-z0-9_.]*= ]] || wrong_usage "not a setting: $setting"
done
choose_places

find_dir() {
	[ -e "$dir/PG_VERSION" ] || die "no cluster in $dir"
	dir=$(cd "$dir" && pwd -P)
}

# A socket's path has 107 bytes at most.
socket_dir() {
	if [ ${#dir} -le 80 ]; then
		printf '%s\n' "$dir"
	else
		printf '/tmp/nvmkv_fdw.%s.%s\n' "$(id -u)" "$(path_key "$dir")"
	fi
}

# A server works in its data directory; a dead process, even one nobody has waited for, has no directory.
is_running() {
	local pid
	pid=$(head -n 1 "$dir/postmaster.pid" 2>/dev/null)
	[ -n "$pid" ] && [ "$(readlink "/proc/$pid/cwd")" = "$dir" ]
}

# After a kill: lets the processes left over notice and leave, and removes lock files that name a process
# which is dead but still in the process table (a container without an init process keeps those).
clear_remains() {
	local pid file deadline=$((SECONDS + 60))
	while find /proc -maxdepth 2 -name cwd -lname "$dir" 2>/dev/null | grep -q .; do
		[ $SECONDS -lt $deadline ] || die "processes of the former server still work in $dir"
		sleep 0.1
	done
	for file in "$dir/postmaster.pid" "$(socket_dir)"/.s.PGSQL.*.lock; do
		pid=$(head -n 1 "$file" 2>/dev/null)
		if [ -n "$pid" ] && grep -q '^State:[[:space:]]*Z' "/proc/$pid/status" 2>/dev/null; then
			rm -f "$file"
		fi
	done
}

# The port names the socket; it is one nobody listens on in case -c listen_addresses is given.
free_port() {
	local port tries
	port=$(sed -n 's/^port = //p' "$dir/nvmkv_cluster.conf" 2>/dev/null)
	[ -n "$port" ] || port=$((54400 + $(path_key "$dir") % 8000))
	for tries in {1..200}; do
		if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
			printf '%s\n' "$port"
			return
		fi
		port=$((port + 1))
	done
	die "no free port"
}

connection() {
	local port
	port=$(sed -n 's/^port = //p' "$dir/nvmkv_cluster.conf")
	printf 'export PGHOST=%q PGPORT=%q PGUSER=postgres PGDATABASE=postgres\n' "$(socket_dir)" "$port"
}

# One line of a configuration file from name=value.
setting() {
	local name=${1%%=*} value=${1#*=}
	printf "%s = '%s'\n" "$name" "${value//\'/\'\'}"
}

start() {
	local sockets one
	"$root/scripts/setup.sh" >/dev/null || exit 1
	choose_places
	dir=$(make_reachable_dir "$dir") || exit 1
	dir=$(cd "$dir" && pwd -P)
	if is_running; then
		[ ${#settings[@]} -eq 0 ] || die "the server in $dir runs already; stop it to give it other settings"
		connection
		return
	fi
	if [ ! -e "$dir/PG_VERSION" ]; then
		say "making a cluster in $dir"
		as_server "$bin/initdb" -D "$dir" -U postgres -A trust -E UTF8 --locale=C >&2 ||
			die "initdb failed"
		echo "include_if_exists = 'nvmkv_cluster.conf'" >>"$dir/postgresql.conf"
	fi
	clear_remains
	sockets=$(socket_dir)
	[ "$sockets" = "$dir" ] || make_server_dir -m 700 "$sockets"
	{
		echo "# written by each start"
		echo "shared_preload_libraries = 'nvmkv_fdw'"
		echo "listen_addresses = ''"
		echo "port = $(free_port)"
		setting "unix_socket_directories=$sockets"
		for one in "${settings[@]}"; do
			setting "$one"
		done
	} >"$dir/nvmkv_cluster.conf.new" && mv "$dir/nvmkv_cluster.conf.new" "$dir/nvmkv_cluster.conf" ||
		die "cannot write to $dir"
	chmod 644 "$dir/nvmkv_cluster.conf"
	# A server that was killed leaves its lock files: pg_ctl and the server know stale ones.
	if ! as_server "$bin/pg_ctl" start -D "$dir" -l "$dir/server.log" -w -t 300 >&2 </dev/null; then
		tail -n 20 "$dir/server.log" >&2
		die "the server does not start; see $dir/server.log"
	fi
	connection
}

stop() {
	if ! is_running; then
		say "no server runs in $dir"
		return
	fi
	as_server "$bin/pg_ctl" stop -D "$dir" -m "$mode" -w -t 300 >&2 || die "the server does not stop"
}

case $command in
start) start ;;
stop)
	find_dir
	stop
	;;
psql)
	find_dir
	eval "$(connection)"
	exec "$bin/psql" "${arguments[@]:2}"
	;;
esac
