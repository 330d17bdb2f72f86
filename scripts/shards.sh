#!/bin/bash
# Tables over several servers: N with nvmkv tables, the shards, and one that knows where each row is, the coordinator.
# All of it is PostgreSQL's own: partitions by hash that are foreign tables of postgres_fdw (doc/scaling.md).
#
#   scripts/shards.sh start DIR N [-c name=value]...   DIR/coordinator, DIR/shard1 ... DIR/shardN; settings are of those that do not run yet
#   scripts/shards.sh add   DIR [-c name=value]...     one shard more
#   scripts/shards.sh stop  DIR [-m fast|immediate]
#   scripts/shards.sh backup DIR TO                    copies of all, and their logs up to one restore point, in TO
#   scripts/shards.sh restore DIR FROM [-c name=value]...  all of them as they were at that point, in DIR, which is new
#   scripts/shards.sh psql  DIR [argument of psql]...  on the coordinator
#   scripts/shards.sh demo [DIR]                       a tour on Debian's package index (default build/shards)
#
# start prints a line for the shell, which is the coordinator's: export PGHOST=... PGPORT=... PGUSER=... PGDATABASE=...
# The coordinator's database postgres gets a schema "shards" (scripts/shards.sql): create_table, create_index, move, restore_point,
# everywhere.
# Each server is one of scripts/cluster.sh.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

settings=()
mode=fast
case "${1:-} ${2:-}" in
"start "*) parse_options "-c settings list" "words 3 3" -- "$@" ;;
"add "*) parse_options "-c settings list" "words 2 2" -- "$@" ;;
"backup "*) parse_options "words 3 3" -- "$@" ;;
"restore "*) parse_options "-c settings list" "words 3 3" -- "$@" ;;
"stop "*) parse_options "-m mode text" "words 2 2" -- "$@" ;;
"psql "[!-]*) arguments=("$@") ;; # which are psql's
"demo "*) parse_options "words 1 2" -- "$@" ;;
*) parse_options "words 1 any" -- "$@" ;;
esac
command=${arguments[0]}
dir=${arguments[1]:-}
[[ $command =~ ^(start|add|backup|restore|stop|psql|demo)$ ]] || wrong_usage "unknown command: $command"
[ -n "$dir" ] || [ "$command" = demo ] || wrong_usage "which directory?"
[[ $mode =~ ^(fast|immediate)$ ]] || wrong_usage "unknown mode: $mode"

cluster() { "$root/scripts/cluster.sh" "$@"; }

# The names of the shards that are there, in order.
shards() { (cd "$dir" && ls -d shard[0-9]* 2>/dev/null | sort -V); }

# A statement for a server: on SERVER psql-argument...
on() {
	local server=$1
	shift
	PGOPTIONS="-c client_min_messages=warning" cluster psql "$dir/$server" -X -q -A -t -v ON_ERROR_STOP=1 "$@" ||
		die "$server did not do what it should"
}

# How others reach a server: host and port, as options of a foreign server.
address() {
	sed -n "s/^port = \(.*\)/port '\1'/p; s/^unix_socket_directories = '\(.*\)'$/host '\1'/p" "$dir/$1/nvmkv_cluster.conf" | paste -s -d ,
}

# Lets a server know another: know SERVER OTHER
know() {
	local to
	to=$(address "$2")
	if [ -n "$(on "$1" -c "SELECT 1 FROM pg_foreign_server WHERE srvname = '$2'")" ]; then
		on "$1" -c "ALTER SERVER $2 OPTIONS (SET $(sed 's/,/, SET /g' <<<"$to"))"
	else
		on "$1" -c "CREATE SERVER $2 FOREIGN DATA WRAPPER postgres_fdw OPTIONS ($to, dbname 'postgres', async_capable 'true', batch_size '1000',
			fetch_size '10000', use_remote_estimate 'true')" -c "CREATE USER MAPPING FOR PUBLIC SERVER $2 OPTIONS (user 'postgres')"
	fi
}

# A server that runs: start_one NAME
start_one() {
	local setting given=()
	for setting in "${settings[@]}"; do
		given+=(-c "$setting")
	done
	if ! cluster psql "$dir/$1" -X -q -c "SELECT" >/dev/null 2>&1; then
		cluster start "$dir/$1" "${given[@]}" >/dev/null || die "$1 does not start"
	fi
	on "$1" -c "DO 'BEGIN WHILE pg_is_in_recovery() LOOP PERFORM pg_sleep(0.1); END LOOP; END'"
	on "$1" -c "CREATE EXTENSION IF NOT EXISTS nvmkv_fdw" -c "CREATE EXTENSION IF NOT EXISTS postgres_fdw"
}

# Everybody gets to know everybody: the coordinator sends statements, shards send each other what moves.
introduce() {
	local one other all
	all=$(shards)
	on coordinator -f "$root/scripts/shards.sql"
	for one in coordinator $all; do
		for other in $all; do
			[ "$one" = "$other" ] || know "$one" "$other" || exit 1
		done
	done
}

start() {
	local i count=$1
	[[ $count =~ ^[1-9][0-9]?$ ]] || wrong_usage "not a number of shards: $count"
	mkdir -p "$dir" || die "cannot make $dir"
	[ "$(shards | wc -l)" -le "$count" ] || die "there are more shards in $dir already"
	for ((i = 1; i <= count; i++)); do
		start_one "shard$i"
	done
	start_one coordinator
	introduce
	cluster start "$dir/coordinator" 2>/dev/null
}

add() {
	local count
	count=$(shards | wc -l)
	[ "$count" -gt 0 ] || die "no shards in $dir"
	start_one "shard$((count + 1))"
	introduce
	printf 'shard%d\n' $((count + 1))
}

stop() {
	local one
	for one in coordinator $(shards); do
		[ ! -e "$dir/$one/PG_VERSION" ] || cluster stop "$dir/$one" -m "$mode"
	done
}

case $command in
start) start "${arguments[2]}" ;;
add) add ;;
stop)
	[ -d "$dir" ] || die "no shards in $dir"
	stop
	;;
psql) exec "$root/scripts/cluster.sh" psql "$dir/coordinator" "${arguments[@]:2}" ;;
backup | restore)
	. "$root/scripts/shards_backup.sh"
	"$command" "${arguments[2]}"
	;;
demo) . "$root/scripts/shards_demo.sh" ;;
esac
