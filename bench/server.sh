# What benchmarks that need a server share; to be sourced by bash.
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"

stop_server() { [ ! -e "$cluster/PG_VERSION" ] || "$root/scripts/cluster.sh" stop "$cluster" >/dev/null 2>&1; }

# Starts a server on a new cluster, and stops it at exit: start_server name setting...
# Files of the benchmark go to $work, which is empty; results, lines of words between tabs, to $results.
start_server() {
	local connection setting arguments=()
	work=$build/bench_$1
	cluster=$work/cluster
	results=$work/results
	shift
	trap stop_server EXIT
	trap 'exit 130' INT TERM
	stop_server
	[ ! -e "$cluster" ] || rm -rf "$(readlink -f "$cluster")" "$cluster"
	rm -rf "$work"
	mkdir -p "$work" || die "cannot make $work"
	for setting in "$@"; do
		arguments+=(-c "$setting")
	done
	connection=$("$root/scripts/cluster.sh" start "$cluster" "${arguments[@]}" 2>"$work/start.log") || {
		cat "$work/start.log" >&2
		die "the server does not start"
	}
	eval "$connection"
	choose_places
}

query() { "$bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 "$@" || die "the server did not answer"; }
