#!/bin/bash
# Three servers with nvmkv tables, one of them the primary, the others its standbys, under Patroni and etcd (doc/availability.md).
#
#   scripts/ha.sh start  DIR [-c name=value]... [-p name=value]...   what does not run is started; -c: settings of the servers,
#                                                 -p: of Patroni, both for those that are made now
#   scripts/ha.sh stop   DIR                      all of it
#   scripts/ha.sh status DIR                      what patronictl says
#   scripts/ha.sh psql   DIR [argument of psql]...       on the primary
#   scripts/ha.sh client DIR COMMAND...           a command in the network of the nodes, with PGHOST naming them all
#   scripts/ha.sh ctl    DIR ARGUMENT...          patronictl: switchover, reinit, edit-config ...
#   scripts/ha.sh crash  DIR NODE                 kill -9 of the server on the node; Patroni stays
#   scripts/ha.sh kill   DIR NODE                 kill -9 of all that runs on it, as if it lost power; "start" brings it back
#   scripts/ha.sh freeze DIR NODE, thaw DIR NODE  all that runs on it stands still, and goes on (doc/availability.md: watchdog)
#   scripts/ha.sh cut    DIR NODE, join DIR NODE  takes its network away, and gives it back
#
# Nodes are node1, node2, node3, each with a network namespace, an etcd and a Patroni of its own; the containers of their servers
# differ: 32MB in the data directory, 64MB elsewhere (nvmkv.nvm_path), none. It takes no root where the kernel lets users make user
# namespaces. As root, servers run as the user postgres. The system's PostgreSQL is left alone, and nothing is installed: patroni and
# etcd are taken out of Debian's packages, into build/ha_tools, but for what is installed. start prints a line for the shell:
# export PGHOST=... PGTARGETSESSIONATTRS=read-write ...
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

settings=()
patroni_settings=()
case "${1:-} ${2:-}" in
"start "*) parse_options "-c settings list" "-p patroni_settings list" "words 2 2" -- "$@" ;;
"stop "* | "status "*) parse_options "words 2 2" -- "$@" ;;
"psql "[!-]* | "client "[!-]* | "ctl "[!-]*) arguments=("$@") ;; # which are somebody else's
"crash "* | "kill "* | "freeze "* | "thaw "* | "cut "* | "join "*) parse_options "words 3 3" -- "$@" ;;
*) parse_options "words 1 any" -- "$@" ;;
esac
command=${arguments[0]}
dir=${arguments[1]:-}
[[ $command =~ ^(start|stop|status|psql|client|ctl|crash|kill|freeze|thaw|cut|join)$ ]] || wrong_usage "unknown command: $command"
[ -n "$dir" ] || wrong_usage "which directory?"
for setting in "${settings[@]}" "${patroni_settings[@]}"; do
	[[ $setting =~ ^[A-Za-z_][A-Za-z0-9_.]*= ]] || wrong_usage "not a setting: $setting"
done
tools=$build/ha_tools
choose_places
. "$root/scripts/ha_net.sh"

on_node() { # NODE, which must be one that is there
	[[ " ${nodes[*]} " == *" $1 "* ]] || wrong_usage "no such node: $1"
	is_network || die "nothing runs in $dir"
}

# The programs, and what of Python they need, out of Debian's packages: those that are not installed. No package is installed.
take_tools() {
	local missing package
	[ -x /usr/bin/python3 ] || die "python3 is missing"
	if [ ! -e "$tools/complete" ]; then
		rm -rf "$tools"
		mkdir -p "$tools/packages" || die "cannot write to $tools"
		missing=$(apt-get -q -s --no-install-recommends install patroni python3-etcd python3-psycopg2 etcd-server 2>"$tools/apt.log" |
			sed -n 's/^Inst \([^ ]*\) .*/\1/p')
		if [ -n "$missing" ]; then
			say "taking out of Debian's packages:" $missing
			(cd "$tools/packages" && apt-get -q download $missing) >>"$tools/apt.log" 2>&1 || {
				tail -n 3 "$tools/apt.log" >&2
				die "the packages cannot be had"
			}
			for package in "$tools"/packages/*.deb; do
				dpkg-deb -x "$package" "$tools" || die "cannot take $package apart"
			done
		fi
		rm -rf "$tools/packages"
		touch "$tools/complete"
	fi
	server_can_reach "$tools" && return
	# The user of servers cannot go there: he gets a copy.
	if [ ! -e "$state/ha_tools/complete" ]; then
		rm -rf "$state/ha_tools"
		cp -r "$tools" "$state/ha_tools" || die "cannot copy the programs"
	fi
	tools=$state/ha_tools
}
program() { [ -x "$tools/usr/bin/$1" ] && printf '%s\n' "$tools/usr/bin/$1" || command -v "$1"; }
python_path() { printf '%s\n' "$tools/usr/lib/python3/dist-packages"; }

# An indented line of YAML for each name=value: yaml INDENT setting...
yaml() {
	local one value
	for one in "${@:2}"; do
		value=${one#*=}
		printf "%s%s: '%s'\n" "$1" "${one%%=*}" "${value//\'/\'\'}"
	done
}

# What the nodes' servers differ in.
own_settings() {
	case $1 in
	node1) printf '%s\n' nvmkv.nvm_size=32MB ;;
	node2) printf '%s\n' nvmkv.nvm_size=64MB "nvmkv.nvm_path=$dir/$1/container" ;;
	node3) printf '%s\n' nvmkv.nvm_size=0 ;;
	esac
}

# Times are as short as Patroni takes them, so that a failover can be watched: a page for real machines is doc/availability.md.
configure() {
	local node=$1 address own
	address=$(address_of "$node")
	readarray -t own < <(own_settings "$node")
	cat <<-END
		scope: nvmkv
		name: $node
		restapi: { listen: '$address:8008', connect_address: '$address:8008' }
		etcd3: { hosts: ['10.0.0.1:2379', '10.0.0.2:2379', '10.0.0.3:2379'] }
		bootstrap:
		  dcs:
		    ttl: 20
		    loop_wait: 2
		    retry_timeout: 5
		    primary_start_timeout: 0
		    maximum_lag_on_failover: 67108864
		$(yaml "    " "${patroni_settings[@]}" | sed "s/'\(true\|false\|[0-9]*\)'$/\1/")
		    postgresql:
		      use_pg_rewind: true
		      use_slots: true
		      parameters:
		        wal_level: replica
		        wal_log_hints: 'on'
		        max_connections: 50
		        max_worker_processes: 20
		        wal_keep_size: 512MB
		        shared_preload_libraries: nvmkv_fdw
		  initdb: [encoding: UTF8, locale: C]
		postgresql:
		  listen: '$address:5432'
		  connect_address: '$address:5432'
		  data_dir: '$dir/$node/data'
		  bin_dir: '$bin'
		  pgpass: '$dir/$node/pgpass'
		  use_unix_socket: true
		  authentication:
		    superuser: { username: postgres, password: postgres }
		    replication: { username: replicator, password: replicator }
		    rewind: { username: rewinder, password: rewinder }
		  pg_hba: ['local all all trust', 'host all all 10.0.0.0/24 trust', 'host replication replicator 10.0.0.0/24 trust']
		  basebackup: [checkpoint: fast]
		  parameters:
		    unix_socket_directories: '$dir/$node'
		    shared_buffers: 32MB
		    logging_collector: 'off'
		$(yaml "    " "${own[@]}" "${settings[@]}")
	END
}

is_running() { is_alive "$(cat "$dir/$2/$1.pid" 2>/dev/null)" && grep -qaF "$dir/$2" "/proc/$(cat "$dir/$2/$1.pid")/cmdline"; }

# Starts a program on a node that stays: run_on NODE NAME command...
run_on() {
	local node=$1 name=$2
	shift 2
	is_running "$name" "$node" && return
	(enter "$node" setsid "$@") </dev/null >>"$dir/$node/$name.log" 2>&1 &
	printf '%s\n' $! >"$dir/$node/$name.pid"
}

start_etcd() {
	local node=$1 address
	address=$(address_of "$node")
	run_on "$node" etcd "$(program etcd)" --name "$node" --data-dir "$dir/$node/etcd" --logger zap --log-level warn \
		--listen-peer-urls "http://$address:2380" --initial-advertise-peer-urls "http://$address:2380" \
		--listen-client-urls "http://$address:2379" --advertise-client-urls "http://$address:2379" \
		--initial-cluster node1=http://10.0.0.1:2380,node2=http://10.0.0.2:2380,node3=http://10.0.0.3:2380 \
		--initial-cluster-state new --heartbeat-interval 300 --election-timeout 3000 --pre-vote
}
start_patroni() { run_on "$1" patroni env PYTHONPATH="$(python_path)" /usr/bin/python3 "$(program patroni)" "$dir/$1/patroni.yml"; }

# A statement for one node's server, whatever it is: on NODE statement
on() { PGCONNECT_TIMEOUT=5 "$bin/psql" -X -q -A -t -h "$dir/$1" -p 5432 -U postgres -d postgres -c "$2" 2>/dev/null; }
on_primary() { PGTARGETSESSIONATTRS=read-write on "node1,$dir/node2,$dir/node3" "$1"; }

connection() {
	printf 'export PGHOST=%q PGPORT=5432 PGUSER=postgres PGDATABASE=postgres PGTARGETSESSIONATTRS=read-write PGCONNECT_TIMEOUT=5\n' \
		"$dir/node1,$dir/node2,$dir/node3"
}

# Waits for a condition: await SECONDS WHAT command...
await() {
	local deadline=$((SECONDS + $1)) what=$2
	shift 2
	until "$@" >/dev/null; do
		[ $SECONDS -lt $deadline ] || die "$what: not in time; logs are in $dir"
		sleep 0.3
	done
}
has_primary() { [ -n "$(on_primary "SELECT 1")" ]; }
streams() { # NODE, or it is the primary
	[ "$(on "$1" "SELECT NOT pg_is_in_recovery() OR EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')")" = t ]
}

start() {
	local node
	"$root/scripts/setup.sh" >/dev/null || exit 1
	choose_places
	take_tools
	if [ ! -e "$dir" ]; then
		make_server_dir "$dir" || die "cannot make $dir"
	fi
	server_can_reach "$dir" || die "user $run_user cannot reach $dir"
	[ ${#dir} -le 80 ] || die "too long a name for sockets: $dir"
	make_network
	for node in "${nodes[@]}"; do
		[ -d "$dir/$node" ] || make_server_dir "$dir/$node" || die "cannot make $dir/$node"
		[ -e "$dir/$node/patroni.yml" ] || configure "$node" >"$dir/$node/patroni.yml" || die "cannot write to $dir/$node"
		start_etcd "$node"
	done
	# The first start makes the cluster on the first node.
	if [ ! -d "$dir/node1/data" ]; then
		start_patroni node1
		await 120 "the first server" has_primary
		on_primary "CREATE EXTENSION IF NOT EXISTS nvmkv_fdw" || die "the extension cannot be created"
	fi
	for node in "${nodes[@]}"; do
		start_patroni "$node"
	done
	await 180 "a primary" has_primary
	for node in "${nodes[@]}"; do
		await 180 "$node" streams "$node"
	done
	connection
}

# Waits for a Patroni that was told to end.  One that has stopped its server and does not end is killed, as by systemd.
end_patroni() { # NODE
	local deadline=$((SECONDS + 60))
	while is_running patroni "$1"; do
		if [ $SECONDS -ge $deadline ]; then
			[ ! -e "$dir/$1/data/postmaster.pid" ] || die "the server on $1 does not stop; logs are in $dir"
			kill -9 "$(cat "$dir/$1/patroni.pid")"
		fi
		sleep 0.3
	done
}

stop() {
	local node
	is_network || die "nothing runs in $dir"
	for node in "${nodes[@]}"; do
		signal_node CONT "$node"
		join_node "$node"
	done
	# Standbys first: none is to take over.
	on_primary "CHECKPOINT"
	for node in "${nodes[@]}"; do
		[ "$(on "$node" "SELECT pg_is_in_recovery()")" = f ] || ! is_running patroni "$node" || kill "$(cat "$dir/$node/patroni.pid")"
	done
	for node in "${nodes[@]}"; do
		[ "$(on "$node" "SELECT pg_is_in_recovery()")" = f ] && continue
		end_patroni "$node"
	done
	for node in "${nodes[@]}"; do
		! is_running patroni "$node" || kill "$(cat "$dir/$node/patroni.pid")"
		end_patroni "$node"
		! is_running etcd "$node" || kill "$(cat "$dir/$node/etcd.pid")"
	done
	for node in "${nodes[@]}"; do
		await 60 "what runs on $node" eval "[ -z \"\$(processes_of $node)\" ]"
	done
	remove_network
}

ctl() {
	take_tools
	local node
	# A node that answers: etcd's is enough.
	for node in "${nodes[@]}"; do
		is_running etcd "$node" && break
	done
	(enter switch env PYTHONPATH="$(python_path)" LANG=C.UTF-8 LC_ALL=C.UTF-8 /usr/bin/python3 "$(program patronictl)" -c "$dir/$node/patroni.yml" "$@")
}

# The server of a node, and all of its processes.
servers_processes() {
	local process data
	data=$(cd "$dir/$1/data" && pwd -P) || return
	for process in $(processes_of "$1"); do
		[ "$(readlink "/proc/$process/cwd")" != "$data" ] || printf '%s\n' "$process"
	done
}

if [ -d "$dir" ] || [ "$command" = start ]; then
	dir=$(readlink -m "$dir")
else
	die "there is no $dir"
fi
case $command in
start) start ;;
stop) stop ;;
status) ctl list ;;
ctl) ctl "${arguments[@]:2}" ;;
psql)
	eval "$(connection)"
	exec "$bin/psql" "${arguments[@]:2}"
	;;
client)
	is_network || die "nothing runs in $dir"
	enter switch env PGHOST=10.0.0.1,10.0.0.2,10.0.0.3 PGPORT=5432 PGUSER=postgres PGDATABASE=postgres PGTARGETSESSIONATTRS=read-write \
		PGCONNECT_TIMEOUT=5 "${arguments[@]:2}"
	;;
*)
	node=${arguments[2]}
	on_node "$node"
	case $command in
	crash) kill -9 $(servers_processes "$node") || die "no server runs on $node" ;;
	kill) signal_node KILL "$node" ;;
	freeze) signal_node STOP "$node" ;;
	thaw) signal_node CONT "$node" ;;
	cut) cut_node "$node" ;;
	join) join_node "$node" ;;
	esac
	;;
esac
