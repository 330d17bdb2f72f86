#!/bin/bash
# Do the tests notice mistakes?  Puts the small mistakes of test/mutants/ into the code, one at a time, and runs the tests
# that should notice.
#
#   scripts/mutants.sh [-j TREES] [-c] [-l] [WORD...]
#
# -j: so many at a time, each in a copy of the sources of its own in build/mutants (default 1).  -c: continues a run that was
# ended: what it has noticed, with the same sources, counts.  -l: lists them, after looking whether each can be put in.
# WORD: only those whose name or file contains one of the words.
#
# A mistake is written as
#
#     name forgets-to-sync-directory
#     file src/engine/meta/manifest.c
#     tests engine:crash/power_test regress:dml isolation:serializable tap:008
#     equivalent why nothing can notice it            (only then; it is not run)
#     <<<
#     text that is in the file once
#     ===
#     what takes its place
#     >>>
#
# Tests run in their order until one fails, hangs or crashes: then the mistake was noticed, if that test passes without
# it.  What does not compile is an error of the list.  The last lines give the names of those not noticed and the share of
# those that were; the exit code is 0 if that is at least 95 in 100.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

work=$build/mutants
list=$work/list
lists=("$root"/test/mutants/*.mutants)
# What a mistake takes the last use away from is no reason not to build.
unused="$(printf -- '-Wno-error=unused-%s ' but-set-parameter but-set-variable function parameter value variable)"
jobs=1
list_only=
continued=
parse_options "-j jobs number" "-c continued flag" "-l list_only flag" "words 0 any" -- "$@"
set -- "${arguments[@]}"
cd "$root" || exit 1
# A list may be asked for while mistakes are being tried.
[ -z "$list_only" ] || { list=$(mktemp -d) && trap 'rm -rf "$list"' EXIT; } || exit 1

# Takes the lists apart, a directory in $list for each mistake, in order, with a file for each part.
take_apart() {
	rm -rf "$list"
	mkdir -p "$list"
	(cd "$list" && seq -f %04g "$(cat "${lists[@]}" | grep -c '^name ')" | xargs mkdir) || return
	awk -v to="$list" '
		function part(name) { return sprintf("%s/%04d/%s", to, n, name) }
		function fail(what) { printf "%s:%d: %s\n", FILENAME, FNR, what >"/dev/stderr"; exit bad = 1 }
		into == "" && (/^#/ || /^$/) { next }
		into == "" && /^name / { n++; print substr($0, 6) >part("name"); close(part("name")); next }
		into == "" && /^(file|tests|equivalent) / { if (!n) fail("no name"); print substr($0, length($1) + 2) >part($1); close(part($1)); next }
		into == "" && /^<<<$/ { into = part("old"); printf "" >into; next }
		into != "" && /^===$/ { close(into); into = part("new"); printf "" >into; next }
		into != "" && /^>>>$/ { close(into); into = ""; next }
		into != "" { print >into; next }
		{ fail("not understood") }
		END { if (!bad && into != "") { print FILENAME ": no end" >"/dev/stderr"; bad = 1 } exit bad }' "${lists[@]}"
}

# Puts a mistake into a tree, or takes it out again: change DIR TREE put|take; false if the text is not there just once.
change() {
	if [ "$3" = take ]; then
		cp "$1/original" "$2/$(cat "$1/file")"
		return
	fi
	cp "$2/$(cat "$1/file")" "$1/original" || return
	perl -e '
		my ($file, $from, $to) = map { local $/; open(my $in, "<", $_) or die "$_: $!\n"; scalar <$in> } @ARGV;
		my $at = index($file, $from);
		exit 1 if $from eq "" || $at < 0 || index($file, $from, $at + 1) >= 0;
		substr($file, $at, length($from)) = $to // "";
		open(my $out, ">", $ARGV[0]) or die "$ARGV[0]: $!\n";
		print $out $file;
		close($out) or die "$ARGV[0]: $!\n";' "$2/$(cat "$1/file")" "$1/old" "$1/new"
}

# One of the tests of a tree: run_test TREE WORD; 0: it passes, 1: it does not, 2: it cannot be built.
run_test() {
	local tree=$1 what=${2%%:*} which=${2#*:} out=$1/build/test.log rc
	mkdir -p "$tree/build"
	case $what in
	engine)
		make -s -C "$tree" -j "$(nproc)" -f test/engine.mk OPT="-O1" BUILD=build/engine "build/engine/test/$which" >"$out" 2>&1 || return 2
		NVMKV_TEST_STOP=1 NVMKV_TEST_TIMEOUT=300 "$tree/scripts/run_engine_tests.sh" "$tree/build/engine/test/$which" >"$out" 2>&1 </dev/null
		tail -n 1 "$out" | grep -qE '^[1-9][0-9]* passed, 0 failed$'
		;;
	regress | isolation | tap)
		case $what in
		regress) which=NVMKV_REGRESS=$which ;;
		isolation) which=NVMKV_ISOLATION=$which ;;
		tap) which=NVMKV_TAP="$which*" ;;
		esac
		env "$which" COPT="$unused" NVMKV_PACKAGES_ARE_THERE=1 NVMKV_TAP_TIMEOUT=300 NVMKV_ISOLATION_TIMEOUT=60 timeout -k 30 900 "$tree/scripts/check.sh" "$what" >"$out" 2>&1 </dev/null
		rc=$?
		! grep -qE '^build gcc +0 passed' "$out" || return 2
		[ $rc -eq 0 ]
		;;
	*)
		echo "no such test: $2" >"$out"
		return 2
		;;
	esac
}

# What passes without a mistake only can notice one.  Found out once for the sources as they are: is_sound TREE WORD
is_sound() {
	local mark=$work/sound/$sources/${2//[\/|]/_}
	[ -e "$mark" ] || { run_test "$1" "$2" && mkdir -p "${mark%/*}" && : >"$mark"; }
}

# Where it is noted that a mistake was noticed in the sources as they are.
noticed_mark() { echo "$work/noticed/$sources/$(cat "$1"/{name,file,tests,old,new} | sha1sum | cut -c 1-16)"; }

# What becomes of one mistake goes to its file "result": try DIR TREE
try() {
	local dir=$1 tree=$2 word mark result="not noticed"
	mark=$(noticed_mark "$dir")
	if [ -n "$continued" ] && [ -e "$mark" ]; then
		cp "$mark" "$dir/result"
		return
	fi
	if ! change "$dir" "$tree" put; then
		echo "error: the text is not in the file just once" >"$dir/result"
		change "$dir" "$tree" take
		return
	fi
	for word in $(cat "$dir/tests"); do
		run_test "$tree" "$word"
		case $? in
		0) continue ;;
		1) result="noticed by $word" ;;
		2) result="error: $word cannot be built or run: $(grep -m 1 -E 'error|rror:' "$tree/build/test.log")" ;;
		esac
		break
	done
	change "$dir" "$tree" take
	[[ $result != noticed* ]] || is_sound "$tree" "$word" || result="error: $word fails without the mistake, too"
	echo "$result" >"$dir/result"
	[[ $result != noticed* ]] || { mkdir -p "${mark%/*}" && cp "$dir/result" "$mark"; }
}

# The sources as they are, committed or not; what has been built of them stays.
make_tree() {
	mkdir -p "$1" || return
	git ls-files --cached --others --exclude-standard | sort >"$work/files" || return
	tr '\n' '\0' <"$work/files" | xargs -0 cp -u --parents -t "$1" || return
	# One that had a mistake is newer there, whatever has become of it here.
	LC_ALL=C diff -rq --exclude=build --exclude=.git . "$1" | sed -n 's/^Files \(.*\) and .* differ$/\1/p' |
		xargs -r cp --parents -t "$1" || return
	(cd "$1" && find . -path ./build -prune -o -type f -printf '%P\n' | sort | comm -13 "$work/files" - | tr '\n' '\0' | xargs -0 -r rm --)
}

# Takes mistakes off the list one after the other: work_off TREE
work_off() {
	local dir started
	for dir in "$list"/*/; do
		dir=${dir%/}
		[ -e "$dir/wanted" ] && mkdir "$dir/taken" 2>/dev/null || continue
		started=$SECONDS
		try "$dir" "$1"
		printf '%-56s %4d s %s\n' "$(cat "$dir/name")" $((SECONDS - started)) "$(cat "$dir/result")"
	done
}

# Is there one of the words in the name or the file?  wanted_words NAME FILE WORD...
wanted_words() {
	local what="$1 $2" word
	shift 2
	[ $# -gt 0 ] || return 0
	for word in "$@"; do
		[[ $what != *"$word"* ]] || return 0
	done
	return 1
}

# A word that means no test would be one that always fails.
has_test() {
	local which=${1#*:}
	case $1 in
	engine:*) [ -e "test/$which.c" ] ;;
	regress:*) find sql -maxdepth 1 -regextype posix-extended -regex "sql/($which)\.sql" | grep -q . ;;
	isolation:*) find specs -regextype posix-extended -regex "specs/($which)\.spec" | grep -q . ;;
	tap:*) compgen -G "t/$which*.pl" >/dev/null ;;
	*) false ;;
	esac
}

# Of those that are listed: is the text there once?  One line each, a directory and what is wrong.
not_there_once() {
	perl -e '
		my %text;
		sub slurp { local $/; open(my $in, "<", $_[0]) or return; scalar <$in> }
		foreach my $dir (@ARGV) {
			my ($file, $from) = map { slurp("$dir/$_") } qw(file old);
			chomp $file;
			$text{$file} //= slurp($file) // "";
			my $times = () = $text{$file} =~ /\Q$from\E/g;
			print "$dir\n" if $times != 1;
		}' "$@"
}

take_apart || exit 1
# The lines are few and the processes would be many: no command is started for any of them.
listed=()
declare -A tests_known=() lost=()
for dir in "$list"/*/; do
	dir=${dir%/}
	for part in file old new; do
		[ -e "$dir/$part" ] || die "$(cat "$dir/name"): no $part"
	done
	[ -e "$dir/tests" ] || [ -e "$dir/equivalent" ] || die "$(cat "$dir/name"): no tests"
	read -r name <"$dir/name" && read -r file <"$dir/file" || die "$dir: neither name nor file"
	wanted_words "$name" "$file" "$@" || continue
	listed+=("$dir")
	[ -e "$dir/equivalent" ] || : >"$dir/wanted"
done
[ ${#listed[@]} -gt 0 ] || die "there is no such mistake"
not_there_once "${listed[@]}" >"$list/lost" || exit 1
while read -r dir; do
	lost[$dir]=1
done <"$list/lost"
wrong=0
for dir in "${listed[@]}"; do
	there=ok tests=equivalent
	[ -e "$dir/equivalent" ] || read -r tests <"$dir/tests"
	[ -z "${lost[$dir]:-}" ] || there="NOT THERE ONCE"
	for word in ${tests#equivalent}; do
		known=${tests_known[$word]:-}
		[ -n "$known" ] || { has_test "$word" && known=1; } || known=0
		tests_known[$word]=$known
		[ "$known" = 1 ] || there="NO SUCH TEST: $word"
	done
	[ "$there" = ok ] || wrong=$((wrong + 1))
	if [ -n "$list_only" ]; then
		read -r name <"$dir/name" && read -r file <"$dir/file"
		printf '%-40s %-34s %s %s\n' "$name" "$file" "$tests" "$there"
	elif [ "$there" != ok ]; then
		mkdir "$dir/taken"
		echo "error: $there" >"$dir/result"
	fi
done
[ -z "$list_only" ] || exit $((wrong > 0))

[ -n "${NVMKV_PACKAGES_ARE_THERE:-}" ] || scripts/setup.sh --packages || exit 1
sources=$(git ls-files -z --cached --others --exclude-standard ':!test/mutants' | xargs -0 sha1sum | sha1sum | cut -c 1-16)
for ((i = 1; i <= jobs; i++)); do
	make_tree "$work/tree$i" || die "cannot copy the sources"
	work_off "$work/tree$i" &
done
wait

noticed=$(cat "$list"/*/result 2>/dev/null | grep -c '^noticed')
equivalent=0
tried=0
for dir in "$list"/*/; do
	if [ -e "${dir}wanted" ]; then
		tried=$((tried + 1))
		[[ $(cat "${dir}result" 2>/dev/null) == noticed* ]] || printf 'left: %s: %s\n' "$(cat "${dir}name")" "$(cat "${dir}result")"
	elif [ -e "${dir}equivalent" ]; then
		equivalent=$((equivalent + 1))
	fi
done
printf '%d of %d noticed (%d in 100); %d more make no difference\n' "$noticed" "$tried" $((tried > 0 ? noticed * 100 / tried : 0)) "$equivalent"
[ "$tried" -gt 0 ] && [ $((noticed * 100)) -ge $((tried * 95)) ]
