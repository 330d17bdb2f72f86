# A network of its own for nodes on one machine: each has a network namespace with an address 10.0.0.N, all are on one bridge, in a
# namespace with the address 10.0.0.254 that clients work in; to be sourced by bash, after lib.sh and choose_places.
#
# As root namespaces are made directly; others make them in a user namespace, which the kernel has to allow. Nothing of it can be
# seen from elsewhere. A namespace lives as long as its processes; one that sleeps, the holder, keeps it: $dir/net/NAME has its id.

nodes=(node1 node2 node3)
address_of() { printf '10.0.0.%s\n' "${1#node}"; }
prefix_length=24
clients_address=10.0.0.254

# Is this process there, and ours to signal?  One that is dead and not waited for is not.
is_alive() { [ -n "$1" ] && [ -r "/proc/$1/stat" ] && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null; }

holder() { cat "$dir/net/$1" 2>/dev/null; }
is_network() { is_alive "$(holder switch)"; }

# Runs a command in a namespace, as who may change it: in_net switch|NODE command...
in_net() {
	local pid
	pid=$(holder "$1")
	shift
	if [ "$EUID" -eq 0 ]; then
		nsenter -t "$pid" -n -- "$@"
	else
		nsenter -t "$pid" -U --preserve-credentials -n -- "$@"
	fi
}

# Runs a command in a namespace, as the user of servers, in place of this shell: to be called in one of its own.
enter() {
	local pid
	pid=$(holder "$1")
	shift
	if [ "$EUID" -eq 0 ]; then
		cd / && exec nsenter -t "$pid" -n -- setpriv --reuid "$run_user" --regid "$(id -g "$run_user")" --init-groups \
			env HOME=/tmp USER="$run_user" LOGNAME="$run_user" "$@"
	fi
	# Who is root in the user namespace is again who he was in one below it: the server runs as nobody else.
	exec nsenter -t "$pid" -U --preserve-credentials -n -- unshare -U --map-user="$EUID" --map-group="$(id -g)" -- "$@"
}

# Starts the process that keeps a namespace: hold NAME command-that-makes-it...
hold() {
	local pid deadline=$((SECONDS + 30)) outside
	outside=$(readlink /proc/self/ns/net)
	setsid "${@:2}" sleep infinity </dev/null >"$dir/net/$1.log" 2>&1 &
	pid=$!
	until [ "$(readlink "/proc/$pid/exe" 2>/dev/null)" = "$(readlink -f "$(command -v sleep)")" ] &&
		[ "$(readlink "/proc/$pid/ns/net")" != "$outside" ]; do
		is_alive "$pid" && [ $SECONDS -lt $deadline ] ||
			die "no network namespace can be made here: $(head -n 1 "$dir/net/$1.log")"
		sleep 0.05
	done
	printf '%s\n' "$pid" >"$dir/net/$1"
}

make_network() {
	local node
	is_network && return
	mkdir -p "$dir/net" || die "cannot write to $dir"
	if [ "$EUID" -eq 0 ]; then
		hold switch unshare -n --
	else
		hold switch unshare -U --map-root-user -n --
	fi
	in_net switch ip link add nodes type bridge || die "no bridge can be made here"
	in_net switch ip addr add "$clients_address/$prefix_length" dev nodes
	in_net switch ip link set nodes up
	in_net switch ip link set lo up
	for node in "${nodes[@]}"; do
		if [ "$EUID" -eq 0 ]; then
			hold "$node" unshare -n --
		else
			hold "$node" nsenter -t "$(holder switch)" -U --preserve-credentials -- unshare -n --
		fi
		in_net "$node" ip link add eth0 type veth peer name "$node" netns "$(holder switch)" || die "no interface can be made here"
		in_net "$node" ip addr add "$(address_of "$node")/$prefix_length" dev eth0
		in_net "$node" ip link set eth0 up
		in_net "$node" ip link set lo up
		in_net switch ip link set "$node" up master nodes || die "cannot connect $node"
	done
}

# What runs on a node, but for the process that keeps its namespace.
processes_of() {
	local net
	net=$(readlink "/proc/$(holder "$1")/ns/net") || return
	find /proc -maxdepth 3 -path '/proc/[0-9]*/ns/net' -lname "net:\\[${net//[^0-9]/}\\]" 2>/dev/null | cut -d / -f 3 | grep -vx "$(holder "$1")"
}

# Sends a signal to all that runs on a node, again until nothing new has come meanwhile: signal_node SIGNAL NODE
signal_node() {
	local all before=none
	while all=$(processes_of "$2") && [ -n "$all" ] && [ "$all" != "$before" ]; do
		kill -"$1" $all 2>/dev/null
		before=$all
	done
}

# Nothing comes or goes any more, and nobody is told: the cable is there, and what it leads to is not.
cut_node() { in_net switch ip link set "$1" nomaster; }
join_node() { in_net switch ip link set "$1" master nodes; }

remove_network() {
	local name
	for name in "${nodes[@]}" switch; do
		is_alive "$(holder "$name")" && kill "$(holder "$name")"
		rm -f "$dir/net/$name" "$dir/net/$name.log"
	done
	rmdir "$dir/net" 2>/dev/null
}
