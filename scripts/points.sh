# Points of a script that tests: one line each, counted; to be sourced by bash.  "what" says of what they are.

failed=0
count=0

# Does a command print that, and nothing else?  is NAME EXPECTED COMMAND...
is() {
	local name=$1 expected=$2 got
	shift 2
	got=$("$@" 2>&1)
	count=$((count + 1))
	if [ "$got" = "$expected" ]; then
		echo "ok $count - $what: $name"
	else
		failed=$((failed + 1))
		echo "not ok $count - $what: $name"
		diff <(printf '%s\n' "$expected") <(printf '%s\n' "$got") | sed 's/^/# /'
	fi
}
