# A private server for a script that measures or compares; to be sourced by bash.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

at_exit() { stop_server; } # who starts more ends that, too

stop_server() { [ ! -e "$cluster/PG_VERSION" ] || "$root/scripts/cluster.sh" stop "$cluster" >/dev/null 2>&1; }

# Starts a server on a new cluster, and stops it at exit: start_server name setting...
# Files go to $work, build/NAME, which is empty; results, lines of words between tabs, to $results.
start_server() {
	local connection setting settings=()
	work=$build/$1
	cluster=$work/cluster
	results=$work/results
	shift
	trap at_exit EXIT
	trap 'exit 130' INT TERM
	stop_server
	remove_reachable_dirs "$cluster"
	rm -rf "$work"
	mkdir -p "$work" || die "cannot write to $work"
	for setting in "$@"; do
		settings+=(-c "$setting")
	done
	connection=$("$root/scripts/cluster.sh" start "$cluster" "${settings[@]}" 2>"$work/start.log") || {
		cat "$work/start.log" >&2
		die "the server does not start"
	}
	eval "$connection"
	choose_places
}

query() { PGOPTIONS="-c client_min_messages=warning" "$bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 "$@" || die "the server did not answer"; }
