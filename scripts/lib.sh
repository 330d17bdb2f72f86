# Shared by the scripts of this folder; to be sourced by bash.
#
# Where things live:
#   build/                 everything that is built, below the checkout
#   $state/pg              a private, relocated copy of Debian's PostgreSQL 15 with the extension installed
# $state is build/, unless servers must run as another user who cannot reach the checkout: then it is a
# directory below /var/tmp, named after the checkout's path.
#
# PostgreSQL refuses to run as root.  Started by root, servers run as NVMKV_RUN_AS, else as "postgres",
# else as "nobody"; started by anybody else, as that user.

set -u
umask 022
export LC_ALL=C

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
build=$root/build
pg_version=15
system_bin=/usr/lib/postgresql/$pg_version/bin
system_share=/usr/share/postgresql/$pg_version

say() { printf '%s\n' "$*" >&2; }
die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# Debian marks of what is installed: is_installed package
is_installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Runs a command as the user of servers, in a directory that user can be in.
as_server() {
	if [ "$(id -u)" -eq 0 ]; then
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
	[ "$(id -u)" -ne 0 ] || chown "$run_user:$(id -g "$run_user")" "$@"
}

# A name for a path, short enough for sockets.
path_key() { printf '%s' "$1" | cksum | cut -d ' ' -f 1; }

# Can the user of servers use this directory?
server_can_reach() { as_server test -r "$1" -a -x "$1" 2>/dev/null; }

# A directory of ours below /var/tmp, whatever else is there.
private_var_tmp() {
	local dir=/var/tmp/nvmkv_fdw.$(id -u).$(path_key "$1")
	if ! mkdir "$dir" 2>/dev/null; then
		[ -d "$dir" ] && [ ! -L "$dir" ] && [ -O "$dir" ] || die "$dir exists and is not ours"
	fi
	chmod 755 "$dir"
	printf '%s\n' "$dir"
}

# Decides who runs servers and where they live.  Installing packages may create the user "postgres": to be
# called again after that.
choose_places() {
	run_user=$(id -un)
	if [ "$(id -u)" -eq 0 ]; then
		run_user=${NVMKV_RUN_AS:-postgres}
		id "$run_user" >/dev/null 2>&1 || run_user=nobody
		[ "$(id -u "$run_user")" -ne 0 ] || die "NVMKV_RUN_AS must not be root"
	fi
	mkdir -p "$build" || die "cannot write to $build"
	state=$build
	server_can_reach "$build" || state=$(private_var_tmp "$root") || exit 1
	prefix=$state/pg
	bin=$prefix$system_bin
}
choose_places

# The private copy of the server below "$1"; made again when Debian's package changes.
copy_server() {
	local to=$1 stamp
	stamp=$(dpkg-query -W -f '${Version}' "postgresql-$pg_version") || die "postgresql-$pg_version is not installed"
	[ "$(cat "$to/.version" 2>/dev/null)" != "$stamp" ] || return 0
	say "copying PostgreSQL $stamp to $to"
	rm -rf "$to"
	mkdir -p "$to${system_bin%/*/*}" "$to${system_share%/*}" || die "cannot write to $to"
	cp -a "${system_bin%/bin}" "$to${system_bin%/*/*}/" || die "cannot copy the server"
	cp -a "$system_share" "$to${system_share%/*}/" || die "cannot copy the server"
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
