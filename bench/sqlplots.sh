# Pictures of what benchmarks of SQL wrote; to be sourced by bash, by plots.sh.

# The kinds of a first column, in their order: words_of file
words_of() { awk -F, 'NR > 1 && !($1 in seen) { seen[$1]; print $1 }' "$1"; }

# One line a word of the first column, from files of "$2": lines_of words directory using
lines_of() {
	local word sep=
	for word in $1; do
		printf '%s"%s" using %s with lines lw 2 lc rgb "%s" title "%s"' "$sep" "$2/$word" "$3" "$(color "$word")" "$word"
		sep=', '
	done
}

# Work done a second over the time that a table's own work took.  Lines are "table,work done,milliseconds": rates of them
# go to one file a table in a directory.  rates directory
rates() {
	awk -F, -v to="$1" '
		{ total[$1] += $3; longest = total[$1] > longest ? total[$1] : longest; n++; table[n] = $1; work[n] = $2; ms[n] = $3 }
		END {
			bin = longest / 200 > 100 ? longest / 200 : 100
			for (i = 1; i <= n; i++) {
				t = table[i]
				at[t] += ms[i]
				done[t, int(at[t] / bin)] += work[i]
			}
			for (t in total)
				for (b = 0; b * bin < total[t]; b++) {
					width = total[t] - b * bin < bin ? total[t] - b * bin : bin
					if (width > bin / 2)
						printf "%.2f %.1f\n", b * bin / 1000, done[t, b] * 1000 / width >(to "/" t)
				}
		}'
}

# plot_rates csv title unit words directory
plot_rates() {
	gnuplot <<-END || die "gnuplot failed"
		$terminal
		set output '${1%.csv}.rate.png'
		set title '$2'
		set xlabel 'seconds of its own'
		set ylabel '$3 a second'
		set yrange [0:*]
		plot $(lines_of "$4" "$5" 1:2)
	END
}

plot_insert() {
	local tables rows
	tables=$(words_of "$1")
	rows=$(awk -F, 'NR == 2 { print $4 }' "$1")
	tail -n +2 "$1" | awk -F, '{ print $1 "," $4 "," $3 }' | rates "$data"
	plot_rates "$1" "INSERT in batches of $rows rows" rows "$tables" "$data"
	for table in $tables; do
		awk -F, -v table="$table" 'NR > 1 && $1 == table { print $3 }' "$1" | sort -n |
			awk '{ ms[NR] = $1 } END { for (i = 1; i <= NR; i++) print ms[i], 1 - (i - 1) / NR }' >"$data/$table"
	done
	gnuplot <<-END || die "gnuplot failed"
		$terminal
		set output '${1%.csv}.latency.png'
		set title 'share of batches of $rows rows that take longer'
		set logscale xy
		set format y '10^{%L}'
		set xlabel 'milliseconds'
		plot $(lines_of "$tables" "$data" 1:2)
	END
}

plot_queue() {
	local workload
	for workload in $(words_of "$1"); do
		awk -F, -v workload="$workload" '$1 == workload { print $2 "," $3 "," $4 }' "$1" | rates "$data"
		plot_rates "${1%.csv}.$workload.csv" "$workload: transactions of all clients" transactions "heap nvmkv" "$data"
	done
}

# Rates, of which more is better, and the rest, of which less is.
plot_sql() {
	awk -F, 'NR > 1 && $1 ~ / tps"$/ { print $1 "\t" $4 }' "$1" >"$data/rates"
	awk -F, 'NR > 1 && $1 !~ / tps"$/ { print $1 "\t" $4 }' "$1" >"$data/costs"
	gnuplot <<-END || die "gnuplot failed"
		set terminal pngcairo size 1200,800 font "sans,11"
		set output '${1%.csv}.ratio.png'
		set multiplot layout 2,1
		set style data histograms
		set style fill solid 0.8
		set grid y
		set xtics rotate by -30 scale 0
		set yrange [0:*]
		set title 'rates, nvmkv to heap: more is better'
		plot '$data/rates' using 2:xtic(1) lc rgb '$(color nvmkv)' notitle, 1 with lines lc rgb 'black' notitle
		set title 'times, bytes and sizes, nvmkv to heap: less is better'
		plot '$data/costs' using 2:xtic(1) lc rgb '$(color nvmkv)' notitle, 1 with lines lc rgb 'black' notitle
		unset multiplot
	END
}

# Rates by the number of shards: points are measured, lines calculated.
plot_shards() {
	local work lines= number=0
	for work in read device insert; do
		number=$((number + 1))
		grep "^$work," "$1" >"$data/$work" || die "no rates of $work in $1"
		lines+="${lines:+, }'$data/$work' using 2:3 with points pt 7 ps 1.6 lc $number title '$work, measured'"
		lines+=", '' using 2:4 with lines lw 2 lc $number title 'one coordinator'"
		lines+=", '' using 2:5 with lines lw 2 dt 2 lc $number title 'each a coordinator'"
	done
	gnuplot <<-END || die "gnuplot failed"
		$terminal
		set output '${1%.csv}.rate.png'
		set title 'tables over several servers: transactions a second'
		set datafile separator ','
		set xlabel 'shards'
		set logscale x 2
		set logscale y
		set xrange [0.8:80]
		plot $lines
	END
}

# A panel for each kind of replication: transactions and reads of standbys in each second, and what happened when.
plot_failover() {
	local mode modes panels=
	modes=$(words_of "$1")
	for mode in $modes; do
		awk -F, -v mode="$mode" '$1 == mode { print $2, $3, $5 }' "$1" >"$data/$mode"
		panels+="set title '$mode replication'; unset label; unset arrow
		$(awk -F, -v mode="$mode" '$1 == mode && $6 != "" {
			n = split($6, events, " [+] ")
			for (i = 1; i <= n; i++) {
				if (events[i] == "begin" || events[i] == "written")
					continue
				printf "set arrow from %d, graph 0 to %d, graph 1 nohead lc rgb \"#bbbbbb\"\n", $2, $2
				if (events[i] != "back")
					printf "set label \"%s\" at %d, graph %.2f offset 0.3,0 font \",9\"\n", events[i], $2, 0.96 - k++ % 2 * 0.07
			}
		}' "$1")
		plot '$data/$mode' using 1:3 with lines lw 1 lc rgb '#2ca02c' title 'reads of standbys', \
			'' using 1:2 with lines lw 2 lc rgb '#d62728' title 'transactions'
		"
	done
	gnuplot <<-END || die "gnuplot failed"
		set terminal pngcairo size 1200,$(($(wc -w <<<"$modes") * 380)) font "sans,11"
		set output '${1%.csv}.png'
		set multiplot layout $(wc -w <<<"$modes"),1
		set grid y
		set key outside right
		set xlabel 'seconds'
		set ylabel 'in each second'
		set yrange [0:*]
		$panels
		unset multiplot
	END
}

# The benchmark is told from the first line.
plot_file() {
	local first
	read -r first <"$1" || die "cannot read $1"
	data=$(mktemp -d) || exit 1
	case $first in
	tab,batch,ms,rows) plot_insert "$1" ;;
	workload,tab,transactions,ms) plot_queue "$1" ;;
	workload,heap,nvmkv,ratio) plot_sql "$1" ;;
	"work,shards,measured,one coordinator,each a coordinator") plot_shards "$1" ;;
	mode,second,writes,reads,standby_reads,events) plot_failover "$1" ;;
	*) die "not a result of bench/insert.sh, queue.sh, sql.sh, shards.sh or scripts/ha_tests.sh: $1" ;;
	esac
	rm -rf "$data"
}
