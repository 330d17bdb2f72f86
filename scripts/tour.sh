# What tours of the project share: what they say, the statements they show, Debian's package index as data; to be sourced by bash.
#
# $data: where the data's files are to be.

if [ -t 1 ]; then
	bold=$(tput bold 2>/dev/null) plain=$(tput sgr0 2>/dev/null)
fi

# Passes on what is said, and when nothing is for some seconds, says that something still happens; of a build, how far it is.
pass_on() {
	local line begun="" since=$SECONDS rc objects before=0
	trap '' INT
	while :; do
		IFS= read -r -t 4 line
		rc=$?
		if [ "$rc" -eq 0 ]; then
			printf '%s\n' "$begun$line"
			begun=""
			since=$SECONDS
		elif [ "$rc" -gt 128 ]; then
			begun+=$line
			objects=$(find "$build/server" -name '*.o' -newer "$data/begin" 2>/dev/null | wc -l)
			printf '    ... at work, %d s%s\n' $((SECONDS - since)) \
				"$([ "$objects" -eq "$before" ] || printf ', %d files compiled' "$objects")"
			before=$objects
		else
			printf '%s' "$begun$line"
			return
		fi
	done
}

# Begins to pass on what is said; end_tour ends that.
begin_tour() {
	mkdir -p "$data" && touch "$data/begin" || die "cannot write to $data"
	exec > >(pass_on)
	passing_on=$!
}

# 3 may be open where a start was left.
end_tour() {
	exec >&- 3>&-
	wait "$passing_on"
}

# Runs a command that starts a server and prints a line for the shell, which is evaluated here.  What it says besides is shown;
# the server inherits neither pipe.
start_shown() {
	local connection
	{
		connection=$(
			{
				"$@" 2>&1 >&4 3>&- 4>&- | sed -u 's/^/    /' >&3
				exit "${PIPESTATUS[0]}"
			} 4>&1
		) || die "the server does not start"
	} 3>&1
	eval "$connection"
	choose_places
}

heading() { printf '\n%s== %s%s\n' "${bold:-}" "$*" "${plain:-}"; }
tell() { printf '%s\n' "$*"; }

# Shows statements and runs them, each with its result and the time it took; the statements come on stdin.
sql() {
	printf '\n'
	{
		echo '\timing on'
		cat
	} | "$bin/psql" -X -q -e -v ON_ERROR_STOP=1 -P pager=off || die "the server did not do what it should"
}

# The answer to a query, bare.
answer() { "$bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 -c "$1" || die "the server did not answer"; }

# Debian's package index as files for COPY: $data/package.copy, dependency.copy, installed.copy
get_packages() {
	if ! ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1; then
		tell "There are no package lists yet: apt-get update"
		if [ "$EUID" -eq 0 ]; then
			apt-get -q update >/dev/null
		elif command -v sudo >/dev/null; then
			sudo apt-get -q update >/dev/null
		fi
	fi
	if ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1; then
		apt-cache dumpavail | "$root/scripts/demo_packages.pl" available "$data" || die "cannot read the package lists"
	else
		tell "Still none: the records of the installed packages have to do."
		"$root/scripts/demo_packages.pl" available "$data" </var/lib/dpkg/status || die "cannot read the package lists"
	fi
	"$root/scripts/demo_packages.pl" installed "$data" </var/lib/dpkg/status || die "cannot read dpkg's status"
	wc -lc "$data"/*.copy | awk '{ sub(/.*\//, "", $3); printf "%10d lines %12d bytes  %s\n", $1, $2, $3 }'
}
