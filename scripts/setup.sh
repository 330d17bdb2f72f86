#!/bin/bash
# Prepares a Debian 12 or 13 machine and builds: installs the packages that are missing (as root or through sudo),
# copies PostgreSQL to a private place below build/, builds the extension and installs it there.  The
# system's own PostgreSQL, its clusters and its settings stay as they are.
#
#   scripts/setup.sh               all of that
#   scripts/setup.sh --packages    only the packages, and those that scripts/check.sh needs besides
#   scripts/setup.sh --copy-packages      the same, and what the long tests of copies need: an ssh server, which is not started
#   scripts/setup.sh --client-packages    only the clients that scripts/client_tests.sh runs
#   scripts/setup.sh --peer-packages      only the database that bench/insert.sh can put beside PostgreSQL
#   scripts/setup.sh --tree-packages      only those that scripts/debian_tree.sh needs to make a tree of another release
#   scripts/setup.sh --server-packages    only packages: those that scripts/assert_server.sh needs to build a server
#
# Prints the directory of the private server's programs; everything else goes to stderr.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

packages=(gcc libc6-dev make perl "postgresql-$pg_version" "postgresql-server-dev-$pg_version" libpmem-dev
	liblz4-dev libzstd-dev libicu-dev)
as_root=()
[ "$EUID" -eq 0 ] || as_root=(sudo)

update_lists() {
	[ "$EUID" -eq 0 ] || command -v sudo >/dev/null || die "packages are missing; run as root: apt-get install ${packages[*]}"
	"${as_root[@]}" apt-get -q update >&2 || die "apt-get update failed"
}

# libFuzzer and the sanitizers come with the version of clang that Debian's package depends on.
add_clang() {
	local version
	apt-cache show clang >/dev/null 2>&1 || update_lists
	version=$(apt-cache depends clang | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' | head -n 1)
	packages+=(clang "libclang-rt-$version-dev")
}

for_check=""
for_copies=""
for_clients=""
for_server=""
for_tree=""
for_peer=""
parse_options "--packages for_check flag" "--copy-packages for_copies flag" "--client-packages for_clients flag" \
	"--server-packages for_server flag" "--tree-packages for_tree flag" \
	"--peer-packages for_peer flag" -- "$@"
choose_places
if [ -n "$for_check$for_copies" ]; then
	packages+=(libipc-run-perl libpq-dev pgbackrest barman rsync)
	add_clang
fi
[ -z "$for_copies" ] || packages+=(openssh-client openssh-server)
[ -z "$for_clients" ] || packages+=(sysbench libdbd-pg-perl python3-psycopg2 python3-sqlalchemy python3-django default-jdk-headless
	libpostgresql-jdbc-java)
[ -z "$for_server" ] || packages+=(pkg-config libipc-run-perl libicu-dev libssl-dev libxml2-dev libreadline-dev zlib1g-dev)
[ -z "$for_tree" ] || packages=(mmdebstrap uidmap)
# The package with the server's programs alone starts none; so does the plugin, whose package wants the other.
[ -z "$for_peer" ] || packages=(mariadb-server-core mariadb-client-core libsnappy1v5)

# Installs packages.  A new postgresql package would create and start a cluster "main", others a server of their own:
# settings that exist only while apt works prevent it.
install_packages() {
	local drop_in=/etc/postgresql-common/createcluster.d made_dir="" rc
	local policy=/usr/sbin/policy-rc.d made_policy="" ssh=""
	[ "$EUID" -eq 0 ] || command -v sudo >/dev/null || die "packages are missing; run as root: apt-get install $*"
	say "installing packages: $*"
	if ! apt-cache policy "$@" 2>/dev/null | grep -q 'Candidate: [0-9]' ||
		apt-cache policy "$@" | grep -q 'Candidate: (none)'; then
		update_lists
	fi
	if ! is_installed "postgresql-$pg_version"; then
		[ -d "$drop_in" ] || made_dir=1
		"${as_root[@]}" mkdir -p "$drop_in" &&
			echo 'create_main_cluster = false' | "${as_root[@]}" tee "$drop_in/nvmkv_setup.conf" >/dev/null ||
			die "cannot keep the package from creating a cluster"
	fi
	[[ " $* " != *" openssh-server "* ]] || ssh=1
	if [ -n "$ssh" ] && [ ! -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null && "${as_root[@]}" chmod 755 "$policy" ||
			die "cannot keep the package from starting a server"
		made_policy=1
	fi
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "$@" >&2
	rc=$?
	"${as_root[@]}" rm -f "$drop_in/nvmkv_setup.conf"
	[ -z "$made_policy" ] || "${as_root[@]}" rm -f "$policy"
	# Nor at the next boot.
	[ -z "$ssh" ] || ! command -v systemctl >/dev/null || "${as_root[@]}" systemctl disable ssh.service ssh.socket >&2
	[ -z "$made_dir" ] || "${as_root[@]}" rmdir "$drop_in" 2>/dev/null
	[ "$rc" -eq 0 ] || die "apt-get install failed"
}

[ -r /etc/debian_version ] || die "this script knows Debian only; see README.md, \"Building\""

# One at a time: two builds in one directory would trip over each other.
exec 9>"$build/.lock" || die "cannot write to $build"
flock 9

missing=()
for package in "${packages[@]}"; do
	is_installed "$package" || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"
[ -z "$for_check$for_copies$for_clients$for_server$for_tree$for_peer" ] || exit 0
choose_places

copy_server "$prefix"
build_extension "$build/server$variant" "$prefix" >&2 || die "the extension does not build"
printf '%s\n' "$bin"
