# Shared by the scripts of this folder; to be sourced by bash.
#
# Where things live:
#   build/                 everything that is built, below the checkout
#   $state/pg              a private, relocated copy of PostgreSQL with the extension installed
# $state is build/, unless servers must run as another user who cannot reach the checkout: then it is a
# directory below /var/tmp, named after the checkout's path.
#
# PostgreSQL is Debian's, or another one (scripts/assert_server.sh) whose pg_config the environment names: PG_CONFIG=...;
# what is built for that has names of its own, with $variant at their end.
#
# PostgreSQL refuses to run as root.  Started by root, servers run as NVMKV_RUN_AS, else as "postgres",
# else as "nobody"; started by anybody else, as that user.

set -u
umask 022
export LC_ALL=C

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
build=$root/build
variant=""

. "$root/scripts/options.sh"

# PostgreSQL as the system has it: Debian 12 has version 15, Debian 13 has 17, what comes after has 18.
choose_version() {
	local id
	id=$(. /etc/os-release 2>/dev/null && echo "${VERSION_ID:-}")
	case $id in
	12) pg_version=15 ;;
	13) pg_version=17 ;;
	*) pg_version=18 ;;
	esac
	system_bin=/usr/lib/postgresql/$pg_version/bin
	system_lib=/usr/lib/postgresql/$pg_version/lib
	system_share=/usr/share/postgresql/$pg_version
}
choose_version

# Debian marks of what is installed: is_installed package
is_installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Lines for a list of apt's sources: where this system has its packages of Debian from: debian_sources deb|deb-src
debian_sources() {
	local keyring=/usr/share/keyrings/debian-archive-keyring.gpg signed=""
	[ ! -r "$keyring" ] || signed="[signed-by=$keyring] "
	apt-get indextargets --format '$(ORIGIN) $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
		sed -n "s|^Debian |$1 $signed|p" | sort -u
}

# What is large, and the same for all checkouts.
cache_dir() {
	[ -n "${XDG_CACHE_HOME:-${HOME:-}}" ] || die "neither XDG_CACHE_HOME nor HOME is set"
	printf '%s/nvmkv_fdw\n' "${XDG_CACHE_HOME:-$HOME/.cache}"
}

# A name for a path, short enough for sockets.
path_key() { printf '%s' "$1" | cksum | cut -d ' ' -f 1; }

# Another server than Debian's, if one is named.
choose_server() {
	local wanted
	[ -n "${PG_CONFIG:-}" ] || return 0
	wanted=$("$PG_CONFIG" --bindir) || die "PG_CONFIG names no pg_config: $PG_CONFIG"
	[ "$wanted" != "$system_bin" ] || return 0
	[[ $("$PG_CONFIG" --version) =~ ^PostgreSQL\ (1[5-8])[.\ ] ]] || die "not PostgreSQL 15 to 18: $PG_CONFIG"
	pg_version=${BASH_REMATCH[1]}
	system_bin=$wanted
	system_lib=$("$PG_CONFIG" --pkglibdir)
	system_share=$("$PG_CONFIG" --sharedir)
	variant=.$(path_key "$system_bin")
}

# Runs a command as the user of servers, in a directory that user can be in.
as_server() {
	if [ "$EUID" -eq 0 ]; then
		(cd / && exec setpriv --reuid "$run_user" --regid "$(id -g "$run_user")" --init-groups \
			env HOME=/tmp USER="$run_user" LOGNAME="$run_user" "$@")
	else
		"$@"
	fi
}

# Makes directories that belong to the user of servers: [-m mode] dir...
make_server_dir() {
	local mode=755
	if [ "$1" = -m ]; then
		mode=$2
		shift 2
	fi
	mkdir -p "$@" && chmod "$mode" "$@" || return
	[ "$EUID" -ne 0 ] || chown "$run_user:$(id -g "$run_user")" "$@"
}

# Can the user of servers use this directory?
server_can_reach() { as_server test -r "$1" -a -x "$1" 2>/dev/null; }

# A directory of ours below /var/tmp, whatever else is there.
private_var_tmp() {
	local dir=/var/tmp/nvmkv_fdw.$EUID.$(path_key "$1")
	if ! mkdir "$dir" 2>/dev/null; then
		[ -d "$dir" ] && [ ! -L "$dir" ] && [ -O "$dir" ] || die "$dir exists and is not ours"
	fi
	chmod 755 "$dir"
	printf '%s\n' "$dir"
}

# A directory for servers, made if it is missing: its absolute path.  Where their user cannot go, it becomes a link to a place
# where it can.
make_reachable_dir() {
	local dir=$1 elsewhere
	mkdir -p "$(dirname "$dir")" || die "cannot make $dir"
	dir=$(cd "$(dirname "$dir")" && pwd -P)/$(basename "$dir")
	printf '%s\n' "$dir"
	if [ ! -e "$dir" ]; then
		mkdir "$dir" || die "cannot make $dir"
	fi
	if [ -L "$dir" ] || [ -n "$(ls -A "$dir")" ]; then
		return
	fi
	make_server_dir "$dir"
	if ! server_can_reach "$dir"; then
		elsewhere=$(private_var_tmp "$root")/cluster.$(path_key "$dir") || exit 1
		rm -rf "$elsewhere"
		make_server_dir "$elsewhere"
		rmdir "$dir" && ln -s "$elsewhere" "$dir" || die "cannot make $dir"
		say "user $run_user cannot reach $dir: it is in $elsewhere"
	fi
}

# Removes such directories, and what links lead to; none is no error.
remove_reachable_dirs() {
	local dir
	for dir in "$@"; do
		[ ! -e "$dir" ] || rm -rf "$(readlink -f "$dir")" "${dir%/}"
	done
}

# Decides which server it is, who runs it, and where it lives: sets variant, run_user, state, prefix and bin.  Nothing is made
# or looked at before that, so it comes after the command line was read.  Installing packages may create the user
# "postgres": to be called again after that.
choose_places() {
	choose_server
	run_user=$(id -un)
	if [ "$EUID" -eq 0 ]; then
		run_user=${NVMKV_RUN_AS:-postgres}
		id "$run_user" >/dev/null 2>&1 || run_user=nobody
		[ "$(id -u "$run_user")" -ne 0 ] || die "NVMKV_RUN_AS must not be root"
	fi
	mkdir -p "$build" || die "cannot write to $build"
	state=$build
	server_can_reach "$build" || state=$(private_var_tmp "$root") || exit 1
	prefix=$state/pg$variant
	bin=$prefix$system_bin
}

# The private copy of the server below "$1"; made again when the server changes.
copy_server() {
	local to=$1 stamp dir
	if [ -z "$variant" ]; then
		stamp=$(dpkg-query -W -f '${Version}' "postgresql-$pg_version") || die "postgresql-$pg_version is not installed"
	else
		stamp="$(stat -c '%Y %i' "$system_bin/postgres")" || die "there is no server in $system_bin"
	fi
	[ "$(cat "$to/.version" 2>/dev/null)" != "$stamp" ] || return 0
	say "copying PostgreSQL from $system_bin to $to"
	rm -rf "$to"
	for dir in "$system_bin" "$system_lib" "$system_share"; do
		mkdir -p "$to${dir%/*}" || die "cannot write to $to"
		cp -a "$dir" "$to${dir%/*}/" || die "cannot copy the server"
	done
	printf '%s' "$stamp" >"$to/.version"
}

# Builds the extension in "$1" and installs it into the copy "$2"; further arguments go to make.
build_extension() {
	local dir=$1 to=$2
	shift 2
	mkdir -p "$dir" || return
	make -s -j "$(nproc)" -C "$dir" -f "$root/Makefile" PG_CONFIG="$system_bin/pg_config" "$@" all || return
	[ -z "$to" ] ||
		make -s -C "$dir" -f "$root/Makefile" PG_CONFIG="$system_bin/pg_config" "$@" install DESTDIR="$to" >/dev/null
}
