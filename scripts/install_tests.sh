#!/bin/bash
# Does README's installation do what it says?  Its blocks marked "sh system" are typed, in their order, on a Debian with nothing
# but its base (scripts/debian_tree.sh --fresh), in a copy of the checkout without what was built in it.
#
#   scripts/install_tests.sh
#
# The tree is of Debian 12, whose version of PostgreSQL README names.  What is typed is shown, with what it prints; the exit code
# says whether all commands were done, the engine was open after them, and a table could be made.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

parse_options -- "$@"
cd "$root" || exit 1

script=$(
	cat <<'END'
set -e
export DEBIAN_FRONTEND=noninteractive
apt-get -q update >/dev/null
apt-get install -q -y sudo >/dev/null
mkdir /tmp/checkout
tar -C /src --exclude=./build --exclude=./.git --exclude='*.[od]' --exclude='*.so' -c . | tar -x -C /tmp/checkout
rm -f /tmp/checkout/nvmkv_dump /tmp/checkout/nvmkv_upgrade
cd /tmp/checkout
set -x
END
	awk '/^ *```sh system$/ { inside = 1; indent = match($0, /`/) - 1; next }
		/^ *```$/ { inside = 0 }
		inside { print substr($0, indent + 1) }' README.md
	cat <<'END'
[ "$(sudo -u postgres psql -At -c "SELECT state FROM nvmkv.stat_engine")" = open ]
sudo -u postgres psql -v ON_ERROR_STOP=1 -c "CREATE TABLE t (k int PRIMARY KEY) USING nvmkv" -c "INSERT INTO t VALUES (1)" -c "SELECT * FROM t"
sudo pg_ctlcluster 15 main stop
END
)
[[ $script == *"make install"* ]] || die "README.md has no blocks of the system's server"
exec scripts/debian_tree.sh --fresh bookworm -- bash -c "$script" </dev/null
