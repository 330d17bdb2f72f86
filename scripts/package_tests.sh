#!/bin/bash
# Debian's packages of the extension: built, looked at, installed, used and removed, in trees of other releases.
#
#   scripts/package_tests.sh [RELEASE]...    for the PostgreSQL of these releases (bookworm trixie sid); bookworm without any
#   --regress    the SQL tests on the installed package, too: debian/tests/regress
#   --container  the recipe of doc/container, too, with the package for bookworm
#   --build      within a tree, as scripts/debian_tree.sh --fresh has it: the source on stdin, what was built on stdout
#   --install    within another: packages on stdin; with --container the recipe instead
#
# What is built is what is committed.  Both trees have nothing but Debian's base at first: the packages that are built with
# and needed are what debian/control says.  The packages are then in build/packages/RELEASE, with the logs.
# One line a check, what lintian warns of after "#"; the last line is "N passed, N failed".
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

regress=""
container=""
build_here=""
install_here=""
parse_options "--regress regress flag" "--container container flag" "--build build_here flag" "--install install_here flag" \
	"words 0 any" -- "$@"
releases=("${arguments[@]}")
[ ${#releases[@]} -gt 0 ] || releases=(bookworm)
for release in "${releases[@]}"; do
	[[ $release =~ ^[a-z]+$ ]] || wrong_usage "no release of Debian: $release"
done

failed=0
count=0

# ok NAME COMMAND...: does it succeed?
ok() {
	local name=$1 rc
	shift
	"$@" >"$work/output" 2>&1 </dev/null
	rc=$?
	count=$((count + 1))
	if [ "$rc" -eq 0 ]; then
		echo "ok $count - $name"
	else
		failed=$((failed + 1))
		echo "not ok $count - $name: exit code $rc"
		tail -n 40 "$work/output" | sed 's/^/# /'
	fi
	cat "$work/output" >&2
	return $rc
}

# Does a command print that, and nothing else?  is NAME EXPECTED COMMAND...
is() {
	local name=$1 expected=$2
	shift 2
	ok "$name" prints "$expected" "$@"
}
prints() { diff <([ -z "$1" ] || printf '%s\n' "$1") <("${@:2}" 2>&1); }

# Does it say that, among others?  says NAME PATTERN COMMAND...
says() {
	local name=$1 pattern=$2
	shift 2
	ok "$name" has "$pattern" "$@"
}
has() {
	local said
	said=$("${@:2}" 2>&1)
	printf '%s\n' "$said"
	grep -qE -e "$1" <<<"$said"
}

not() { ! "$@"; }

get_packages() { DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends "$@" >&2; }

# ---------------------------------------------------------------- building

as_builder() { setpriv --reuid builder --regid builder --clear-groups env HOME="$work" LC_ALL=C.UTF-8 USER=builder "$@"; }

in_source() { (cd "$work/source" && as_builder "$@"); }

source_files() { (cd "$work/source" && find . -type f -exec cksum {} + | sort -k 3); }

clean_is_clean() {
	in_source debian/rules clean && diff "$work/before" <(source_files)
}

build_packages() {
	local upstream name
	mkdir -p "$work/source" && tar -C "$work/source" -x || die "there is no source on stdin"
	echo '#!/bin/sh' >/usr/sbin/policy-rc.d && echo 'exit 101' >>/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d
	get_packages update && get_packages install dpkg-dev lintian && get_packages build-dep "$work/source" ||
		die "what is needed to build cannot be installed"
	useradd -r -U builder && chown -R builder: "$work" || exit 1

	# debian/control is committed for one release; for another it is made from debian/control.in, as its maintainers would.
	[ "$release" != bookworm ] || ok "debian/control is what control.in makes" in_source pg_buildext checkcontrol
	ok "debian/control for PostgreSQL $pg_version" in_source pg_buildext updatecontrol || return
	name=$(cd "$work/source" && dpkg-parsechangelog -S Source)
	upstream=$(cd "$work/source" && dpkg-parsechangelog -S Version | sed 's/-[^-]*$//')
	tar -C "$work" --exclude=source/debian --transform "s,^source,$name-$upstream," --owner=0 --group=0 --sort=name \
		-cJf "$work/${name}_$upstream.orig.tar.xz" source || exit 1
	source_files >"$work/before"
	ok "the package builds" in_source env DEB_BUILD_OPTIONS="parallel=$(nproc)" dpkg-buildpackage -us -uc || return
	ok "debian/rules clean leaves the source as it was" clean_is_clean
	ok "lintian finds no errors" as_builder lintian --fail-on error --tag-display-limit 0 "$work"/*.changes
	sed 's/^/# lintian: /' "$work/output"
}

if [ -n "$build_here" ]; then
	[ "$EUID" -eq 0 ] || die "--build is for root"
	release=$(. /etc/os-release && echo "$VERSION_CODENAME")
	work=/var/tmp/packages
	mkdir -p "$work" || exit 1
	build_packages >"$work/report"
	echo "$count $failed" >"$work/totals"
	tar -C "$work" -c report totals $(cd "$work" && ls | grep -E '\.(deb|dsc|xz|changes|buildinfo)$')
	exit
fi

# ---------------------------------------------------------------- installing

as_postgres() { (cd / && setpriv --reuid postgres --regid postgres --init-groups env HOME=/tmp PGOPTIONS= "$@"); }
sql() { as_postgres psql -X -q -A -t -v ON_ERROR_STOP=1 -d postgres "$@"; }
cluster() { pg_ctlcluster "$pg_version" main "$@"; }
server_log() { cat "/var/log/postgresql/postgresql-$pg_version-main.log"; }
log_since_mark() { server_log | tail -n "+$((mark + 1))"; }
mark_log() { mark=$(server_log | wc -l); }

# All files but those that packages and servers write as they go.
all_files() {
	find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /src -o -path "$work" \
		-o -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/cache -o -path /var/log -o -path "$data" \
		-o -path /var/lib/nvmkv_build \) -prune -o -printf '%p %l\n' | sort
}

# But for those of packages that apt keeps because others suggest them.
no_files_left() {
	local left
	left=$(diff "$work/files" <(all_files) | sed -n 's/^[<>] \([^ ]*\).*/\1/p' | while read -r file; do
		dpkg-query -S "$file" >/dev/null 2>&1 || echo "$file"
	done)
	[ -z "$left" ] || {
		echo "$left"
		return 1
	}
}

rows='SELECT count(*), sum(weight), min(name) FROM parcels'
rows_before='10000|50005000|parcel 1'

# In the data directory of a cluster that was stopped.
dump_check() { as_postgres "$@" "/usr/lib/postgresql/$pg_version/bin/nvmkv_dump" check "$data/nvmkv"; }

page_of_man() { MANPAGER=cat man "$1" | col -b; }

reinstall() { get_packages install --reinstall "$deb" 2>&1; }

install_packages() {
	local package=postgresql-$pg_version-nvmkv-fdw deb conf=/etc/postgresql/$pg_version/main/conf.d/nvmkv.conf mark=0 version
	data=/var/lib/postgresql/$pg_version/main
	deb=$work/$package.deb
	mkdir -p "$work" && tar -C "$work" -x && mv "$work/${package}"_*.deb "$deb" || die "there are no packages on stdin"
	chmod 755 "$work"
	version=$(sed -n "s/^default_version = '\(.*\)'/\1/p" "$root/nvmkv_fdw.control")
	mkdir -p /etc/postgresql-common/createcluster.d
	echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/none.conf
	get_packages update && get_packages install man-db bsdextrautils qemu-user "postgresql-$pg_version" ||
		die "PostgreSQL $pg_version cannot be installed"
	all_files >"$work/files"

	ok "the package is installed, and what it needs" get_packages install "$deb" || return
	says "it depends on the server and libpmem1" "postgresql-$pg_version[ ,].*libpmem1|libpmem1.*postgresql-$pg_version" \
		dpkg-query -W -f '${Depends}\n' "$package"
	is "dpkg --verify" "" dpkg --verify "$package"
	# Its network is the machine's, where another server may be: sockets are the tree's own.
	ok "a cluster is created" pg_createcluster -o "listen_addresses=" "$pg_version" main
	ok "it starts" cluster start
	says "without the setting it says what is missing" 'shared_preload_libraries' sql -c 'CREATE EXTENSION nvmkv_fdw' \
		-c 'CREATE TABLE parcels (id int PRIMARY KEY) USING nvmkv'
	# Whether the extension was created or not: from here on as README.Debian has it.
	sql -c 'DROP EXTENSION IF EXISTS nvmkv_fdw' >&2 2>&1
	echo "shared_preload_libraries = 'nvmkv_fdw'" >"$conf"
	ok "it restarts with the library" cluster restart
	ok "CREATE EXTENSION" sql -c 'CREATE EXTENSION nvmkv_fdw'
	is "its version" "$version" sql -c "SELECT extversion FROM pg_extension WHERE extname = 'nvmkv_fdw'"
	ok "a table" sql -c 'CREATE TABLE parcels (id bigserial PRIMARY KEY, name text UNIQUE, weight numeric) USING nvmkv' \
		-c "INSERT INTO parcels (name, weight) SELECT 'parcel ' || n, n FROM generate_series(1, 10000) AS n" \
		-c 'CREATE TABLE letters AS SELECT n FROM generate_series(1, 10) AS n'
	ok "it restarts" cluster restart
	is "rows are there" "$rows_before" sql -c "$rows"
	ok "it is killed" cluster stop -m immediate
	ok "and starts" cluster start
	is "rows are there after the crash" "$rows_before" sql -c "$rows"
	is "nvmkv.check()" "" sql -c 'SELECT * FROM nvmkv.check()'
	ok "one half is in sorted files" sql -c "DELETE FROM parcels WHERE id > 10000" -c 'SELECT nvmkv.compact()' \
		-c 'UPDATE parcels SET weight = weight WHERE id % 2 = 0'
	cluster stop >&2 2>&1
	says "nvmkv_dump check" ': 0 problems' dump_check
	says "the same on a processor without SSE 4.2" ': 0 problems' dump_check qemu-x86_64 -cpu core2duo
	says "man nvmkv_dump" 'show, check and save' page_of_man nvmkv_dump
	says "man nvmkv_upgrade" 'nvmkv_upgrade' page_of_man nvmkv_upgrade
	ok "README.Debian, README.md and what that refers to" test -s "/usr/share/doc/$package/README.Debian" -o \
		-s "/usr/share/doc/$package/README.Debian.gz" -a -s "/usr/share/doc/$package/README.md" -a -s "/usr/share/doc/$package/doc/limits.md"
	is "nvmkv_upgrade is there" "/usr/lib/postgresql/$pg_version/bin/nvmkv_upgrade" ls "/usr/lib/postgresql/$pg_version/bin/nvmkv_upgrade"
	cluster start >&2 2>&1

	ok "the package is installed anew while the server runs" reinstall
	is "rows are read and written meanwhile" $'10001\n10000' sql -c "INSERT INTO parcels (name) VALUES ('one')" \
		-c 'SELECT count(*) FROM parcels' -c "DELETE FROM parcels WHERE name = 'one'" -c 'SELECT count(*) FROM parcels'
	ok "it restarts" cluster restart
	is "rows are there" "$rows_before" sql -c "$rows"
	ok "debian/tests/smoke" "$root/debian/tests/smoke"
	if [ -n "$regress" ]; then
		get_packages install make "postgresql-server-dev-$pg_version" || die "what the SQL tests need cannot be installed"
		ok "debian/tests/regress" "$root/debian/tests/regress"
		get_packages purge --autoremove make "postgresql-server-dev-$pg_version"
	fi

	ok "the package is removed while the server runs" get_packages remove "$package"
	is "which serves on" 10 sql -c 'SELECT count(*) FROM letters'
	says "but sessions that begin now have no foreign tables" 'ERROR:  could not access file "(.libdir/)?nvmkv_fdw"' sql -c "$rows"
	cluster stop >&2 2>&1
	mark_log
	ok "it does not start without the library" not cluster start
	says "and says why" 'FATAL:  could not access file "nvmkv_fdw"' log_since_mark
	rm "$conf"
	ok "without the setting it starts" cluster start
	is "other tables work" 10 sql -c 'SELECT count(*) FROM letters'
	says "foreign tables say what is missing" 'ERROR:  could not access file "(.libdir/)?nvmkv_fdw"' sql -c "$rows"
	ok "the package comes back, and the setting" reinstall
	echo "shared_preload_libraries = 'nvmkv_fdw'" >"$conf"
	ok "the server restarts" cluster restart
	is "with all rows" "$rows_before" sql -c "$rows"
	is "and sound" "" sql -c 'SELECT * FROM nvmkv.check()'

	ok "tables and extension are given up" sql -c 'DROP TABLE parcels' -c 'DROP EXTENSION nvmkv_fdw'
	ok "the server stops" cluster stop
	rm "$conf"
	ok "its files go" rm -r "$data/nvmkv" "$data/nvmkv.anchor"
	rm -rf "$data/nvmkv_kept"
	ok "the package is purged, and what only it needed" get_packages purge --autoremove "$package"
	mark_log
	ok "the server starts" cluster start
	is "and complains of nothing" "" grep -E 'WARNING|ERROR|FATAL|PANIC' <(log_since_mark)
	is "other tables work" 10 sql -c 'SELECT count(*) FROM letters'
	is "a table of its own again" 1 sql -c 'INSERT INTO letters VALUES (11)' -c 'SELECT count(*) FROM letters WHERE n = 11'
	ok "the cluster is dropped" pg_dropcluster --stop "$pg_version" main
	ok "no file is left" no_files_left
	says "nor is dpkg's memory of it" 'no packages found' dpkg-query -W '*nvmkv*'
}

# ---------------------------------------------------------------- the container

# The Dockerfile's lines, as far as they do something while an image is made; others are for who starts it.
make_image() {
	local word rest
	while read -r word rest; do
		echo "$word $rest"
		case $word in
		FROM) [ "$rest" = debian:bookworm ] && [ "$pg_version" -eq 15 ] ;;
		# shellcheck disable=SC2086
		COPY) (cd "$work/context" && cp $rest) ;;
		RUN) sh -c "$rest" </dev/null ;;
		ENV) environment+=($rest) ;;
		USER | VOLUME | EXPOSE | STOPSIGNAL | HEALTHCHECK | ENTRYPOINT) ;;
		*) false ;;
		esac || return
	done < <(grep -v '^#' "$work/context/Dockerfile")
}

in_container() { setpriv --reuid postgres --regid postgres --init-groups env -i "${environment[@]}" "$@"; }

# In the background, as process 1 of a namespace, which ends with it: as_first [NAME=VALUE]... COMMAND...
as_first() {
	unshare --pid --fork --kill-child --mount-proc setpriv --reuid postgres --regid postgres --init-groups \
		env -i "${environment[@]}" "$@" >>"$work/container.log" 2>&1 </dev/null &
	first=$!
}

# Until the health check is content; whoever waits longer than this, or for one that has ended, waits in vain.
is_healthy() {
	local n
	for ((n = 0; n < 1200; n++)); do
		in_container healthcheck && return
		kill -0 $first || break
		sleep 0.5
	done
	tail -n 20 "$work/container.log"
	return 1
}

# A signal for process 1; the exit code is its own.
end_container() {
	kill -"$1" $(cat /proc/$first/task/$first/children) && wait $first
}

# A port of the machine's that nobody listens on.
free_port() {
	local port
	for ((port = 20000 + $$ % 20000; port < 65000; port++)); do
		if ! (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
			echo "$port"
			return
		fi
	done
	return 1
}

test_container() {
	local data=/var/lib/postgresql/data environment=() first ask=(in_container psql -X -q -A -t -v ON_ERROR_STOP=1)
	cp -r "$root/doc/container" "$work/context" && tar -C "$work/context" -x || die "there are no packages on stdin"
	chmod -R go+rX "$work"
	environment=("PGPORT=$(free_port)") || die "no port is free"
	ok "container: the Dockerfile's lines" make_image || return
	says "container: a new cluster wants a password" 'POSTGRES_PASSWORD_FILE or POSTGRES_PASSWORD is needed' in_container entrypoint
	is "container: and is not begun without" "" in_container find "$data" -name PG_VERSION
	in_container mkdir -p "$data/15.new/base"
	echo secret >"$work/password"
	as_first POSTGRES_PASSWORD_FILE="$work/password" entrypoint -c shared_buffers=64MB
	says "container: it becomes healthy, whatever a first try has left" '^open$' is_healthy
	is "container: arguments are settings" 64MB "${ask[@]}" -d postgres -c 'SHOW shared_buffers'
	ok "container: a table in a new database" "${ask[@]}" -d postgres -c 'CREATE DATABASE shop'
	ok "container: rows" "${ask[@]}" -d shop -c 'CREATE TABLE t (a int PRIMARY KEY, b text) USING nvmkv' \
		-c "INSERT INTO t SELECT n, 'row ' || n FROM generate_series(1, 10000) AS n"
	is "container: by TCP, with the password" 10000 in_container env PGPASSWORD=secret psql -X -A -t -h 127.0.0.1 -d shop \
		-c 'SELECT count(*) FROM t'
	says "container: not with another" 'password authentication failed' in_container env PGPASSWORD=other psql -h 127.0.0.1 -d shop
	ok "container: SIGINT stops it" end_container INT
	says "container: in an orderly way" 'database system is shut down' tail -n 1 "$work/container.log"
	as_first entrypoint
	says "container: it starts again" '^open$' is_healthy
	is "container: with all rows" 10000 "${ask[@]}" -d shop -c 'SELECT count(*) FROM t'
	ok "container: it is killed" not end_container KILL
	as_first entrypoint
	says "container: it starts after that" '^open$' is_healthy
	is "container: with all rows" 10000 "${ask[@]}" -d shop -c 'SELECT count(*) FROM t'
	is "container: nvmkv.check()" "" "${ask[@]}" -d shop -c 'SELECT * FROM nvmkv.check()'
	ok "container: and stops" end_container INT
}

if [ -n "$install_here" ]; then
	[ "$EUID" -eq 0 ] || die "--install is for root"
	work=/var/tmp/packages
	mkdir -p "$work" || exit 1
	if [ -n "$container" ]; then
		test_container
	else
		install_packages
	fi
	echo "# totals $count $failed"
	exit
fi

# ---------------------------------------------------------------- both, for releases

# The totals that a part ends with are added: totals "COUNT FAILED"
add() {
	count=$((count + $1))
	failed=$((failed + $2))
}

broke_off() {
	echo "not ok - $release: $1 breaks off; see $dir"
	tail -n 20 "$dir/$1.log" | sed 's/^/# /'
	add 1 1
}

# A tree in which the packages are tested: in_new_tree NAME [option]...
in_new_tree() {
	local name=$1 totals
	shift
	(cd "$dir" && tar -c *.deb) | "$root/scripts/debian_tree.sh" --fresh "$release" -- scripts/package_tests.sh --install "$@" \
		2>"$dir/$name.log" | tee "$dir/$name.report" | grep -v '^# totals '
	totals=$(sed -n 's/^# totals //p' "$dir/$name.report")
	[ -n "$totals" ] && add $totals || broke_off "$name"
}

test_release() {
	local dir=$build/packages/$release
	echo "# $release"
	rm -rf "$dir" && mkdir -p "$dir" || die "cannot write to $dir"
	git -C "$root" archive --format=tar HEAD >"$dir/source.tar" || die "packages are built from what is committed: this is no git checkout"
	"$root/scripts/debian_tree.sh" --fresh "$release" -- scripts/package_tests.sh --build \
		<"$dir/source.tar" >"$dir/built.tar" 2>"$dir/build.log" && tar -C "$dir" -xf "$dir/built.tar" 2>>"$dir/build.log" || {
		broke_off build
		return
	}
	rm -f "$dir/source.tar" "$dir/built.tar"
	cat "$dir/report"
	add $(cat "$dir/totals")
	ls "$dir"/*.deb >/dev/null 2>&1 || return
	in_new_tree install ${regress:+--regress}
	[ -z "$container" ] || [ "$release" != bookworm ] || in_new_tree container --container
}

# Packages of several versions can be installed beside each other: no file is in two.
same_files() {
	local deb
	for deb in "$build"/packages/*/postgresql-*-nvmkv-fdw_*.deb; do
		dpkg-deb -c "$deb" | awk '$1 !~ /^d/ { print $6 }'
	done | sort | uniq -d
}

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
git -C "$root" diff --quiet HEAD 2>/dev/null || say "what is not committed is left out"
for release in "${releases[@]}"; do
	test_release
done
[ ${#releases[@]} -eq 1 ] || is "no file is in the packages of two versions" "" same_files
echo "$((count - failed)) passed, $failed failed"
[ $failed -eq 0 ] && [ $count -gt 0 ]
