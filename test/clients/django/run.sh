#!/bin/bash
# A project on Django, for scripts/client_tests.sh: the environment says where the server is. The models change, the project
# is used by django/use.py and tested by its own tests.
set -u
project=$CLIENT_WORK/project.$PGUSER
rm -rf "$project"
clients=$(dirname "${BASH_SOURCE[0]}")/..
cp -r "$clients/django" "$project" && cp "$clients/steps.py" "$project/" && cd "$project" || exit 1
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$project

# A command of Django's as a step: step name command argument...
step() {
	echo "# $1"
	shift
	manage "$@"
}
manage() {
	/usr/bin/python3 -W ignore manage.py "$@" 2>"$project/log" || {
		cat "$project/log" >&2
		echo "FAILED: manage.py $*: $(tail -n 1 "$project/log")"
	}
}
# Without the seconds that tests took.
timeless() { sed -E 's/ in [0-9.]+s$//'; }

cp shop/models_1.py shop/models.py
step "makemigrations" makemigrations shop
step "migrate" migrate -v 1
step "createcachetable" createcachetable
step "check" check --database default
echo "# kinds of tables"
psql -X -A -t -c "SELECT relkind, count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'f') GROUP BY 1"
echo "# first rows"
manage shell <first.py
step "dumpdata of the first models" dumpdata shop --natural-foreign --indent 1 -o first.json
cat first.json
cp shop/models_2.py shop/models.py
echo "# makemigrations: what changed"
printf 'y\ny\ny\ny\n' >answers
manage makemigrations shop -n second <answers
step "migrate to the second models" migrate -v 1
step "dumpdata of the second models" dumpdata shop --indent 1 -o second.json
sed '/"made"/d' second.json
step "sqlmigrate" sqlmigrate shop 0002 | sed -E "s/'[0-9-]+T[^']+'::timestamptz/now/"
step "back to the first models" migrate shop 0001
step "dumpdata of the first models again" dumpdata contenttypes sites --indent 1
step "forth again" migrate -v 1
step "makemigrations: nothing changed" makemigrations --check --dry-run
manage shell <use.py
step "dumpdata" dumpdata shop auth.group sites --natural-foreign --indent 1 -o dump.json
sed -E '/"(made|at)"/d' dump.json
mkdir -p shop/fixtures
cp dump.json shop/fixtures/
step "flush" flush --no-input
echo "# loaddata"
manage loaddata dump
manage shell -c 'from shop.models import *; print(Book.objects.count(), Author.objects.create(name="next").pk > 1)'
step "sqlsequencereset" sqlsequencereset shop
step "inspectdb" inspectdb
step "inspectdb of partitions and views" inspectdb --include-partitions --include-views
step "clearsessions" clearsessions
echo "# tests"
/usr/bin/python3 -W ignore manage.py test -v 2 --no-input 2>&1 | timeless
[ "${PIPESTATUS[0]}" -eq 0 ] || echo "FAILED: manage.py test"
echo "# tests in a database that is kept"
for round in 1 2; do
	/usr/bin/python3 -W ignore manage.py test --keepdb --no-input 2>&1 | timeless
done
echo "# tests in parallel"
/usr/bin/python3 -W ignore manage.py test --parallel 2 --no-input >&2 && echo "all passed" || echo "not all passed"
step "zero" migrate shop zero
echo "# what is left"
psql -X -A -t -c "SELECT relname FROM pg_class WHERE relname ~ '^shop' ORDER BY 1"
