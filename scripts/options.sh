# How scripts read their command lines, and what they say about them; to be sourced by bash, by itself or with lib.sh.
#
# The comment at the head of a script says how it is used: it is what -h and --help print, with exit code 0. Wrong usage is
# one line on stderr and exit code 2; what fails later has exit code 1.

say() { printf '%s\n' "$*" >&2; }
die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}
wrong_usage() {
	printf '%s: %s (%s --help says more)\n' "${0##*/}" "$*" "${0##*/}" >&2
	exit 2
}

# The comment at the head of the script that runs.
usage_text() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; }

# Is this a whole number, from 1 on?
is_number() { [[ $1 =~ ^[1-9][0-9]*$ ]]; }

# Takes the options from a script's command line, wherever in it they are, and leaves the words in "arguments":
#
#   parse_options "-n rows number" "-o csv text" "-c settings list" "--write write flag" "words 1 any" -- "$@"
#
# An option, its variable, and its kind: a "number" is checked, a "list" is an array to which each occurrence adds, a "flag"
# has no value and makes the variable 1. The words are so many at least and at most, none without that.
parse_options() {
	local spec name variable kind short=h long=help least=0 most=0 parsed
	local -A variables=() kinds=()

	while [ "$1" != -- ]; do
		read -r name variable kind <<<"$1"
		case $name in
		words) least=$variable most=$kind ;;
		*)
			variables[$name]=$variable
			kinds[$name]=$kind
			spec=${name#-}
			[ "$kind" = flag ] || spec+=:
			case $name in
			--*) long+=,${spec#-} ;;
			*) short+=$spec ;;
			esac
			;;
		esac
		shift
	done
	shift
	parsed=$(getopt -n getopt -o "$short" -l "$long" -- "$@" 2>&1) || {
		parsed=${parsed%%$'\n'*}
		wrong_usage "${parsed#getopt: }"
	}
	eval "set -- $parsed"
	while [ "$1" != -- ]; do
		name=$1
		case $name in
		-h | --help)
			usage_text
			exit 0
			;;
		esac
		case ${kinds[$name]} in
		flag) printf -v "${variables[$name]}" 1 ;;
		number)
			is_number "$2" || wrong_usage "$name wants a number from 1 on, not \"$2\""
			printf -v "${variables[$name]}" '%s' "$2"
			shift
			;;
		text)
			printf -v "${variables[$name]}" '%s' "$2"
			shift
			;;
		list)
			local -n to=${variables[$name]}
			to+=("$2")
			shift
			;;
		esac
		shift
	done
	shift
	arguments=("$@")
	[ $# -ge "$least" ] || wrong_usage "something is missing"
	[ "$most" = any ] || [ $# -le "$most" ] || wrong_usage "\"${arguments[most]}\" is too much"
}
