#!/bin/bash
# SPDX-License-Identifier: MIT
# The demo of ./bootstrap: two jobs on a private tree, watched live; leaves nothing behind.
# ZP_DEMO_ROWS: rows of the larger input (8,000,000).
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."

tree=$(mktemp -d "${TMPDIR:-/tmp}/zooparallel-demo.XXXXXX")
daemon_pid=

stop_everything() {
	if [[ $daemon_pid ]]; then
		kill "$daemon_pid" 2>/dev/null || :
		wait "$daemon_pid" || :
	fi
	rm -rf "$tree"
}
trap stop_everything EXIT
trap 'exit 130' INT TERM

heading() {
	printf '\n== %s\n' "$*"
}

shown() { # the command, then what it says
	printf '$ %s\n' "$*"
	"$@"
}

start_daemon() {
	build/zooparalleld --set "data_roots=$tree/data" --set "spool_dir=$tree/spool" \
		--set "state_dir=$tree/state" --set "run_dir=$tree/run" --set listen=127.0.0.1:0 --set max_workers=4 \
		>"$tree/log" 2>&1 &
	daemon_pid=$!
	local n
	for ((n = 0; n < 200; n++)); do
		if [[ -s $tree/run/http.port ]] &&
			curl -fs "http://127.0.0.1:$(<"$tree/run/http.port")/readyz" >/dev/null; then
			url=http://127.0.0.1:$(<"$tree/run/http.port")
			return
		fi
		kill -0 "$daemon_pid" 2>/dev/null || break
		sleep 0.05
	done
	echo "the daemon did not start:" >&2
	cat "$tree/log" >&2
	return 1
}

# A half-written spec is never seen: it is renamed into the spool when it is whole.
drop_spec() { # NAME JSON
	printf '%s\n' "$2" >"$tree/$1.json"
	printf '$ mv %s.json spool/incoming/    # %s\n' "$1" "$2"
	mv "$tree/$1.json" "$tree/spool/incoming/"
}

field() { # NAME of a flat JSON object on standard input
	sed -n "s/.*\"$1\": *\"\{0,1\}\([^,\"}]*\).*/\1/p" | head -n 1
}

id_of() { # JOB-NAME, as soon as the daemon has taken it
	local id='' n
	for ((n = 0; n < 400; n++)); do
		id=$(curl -fs "$url/api/v1/jobs?name=$1" | field id)
		if [[ $id ]]; then
			echo "$id"
			return
		fi
		sleep 0.01
	done
	echo "the daemon did not take $1:" >&2
	cat "$tree/log" >&2
	return 1
}

show_progress() { # JOB-ID: one line that is drawn again on a terminal, lines elsewhere
	local job state start end=$'\n'
	[[ ! -t 1 ]] || { start=$'\r\e[K' end=; }
	while :; do
		job=$(curl -fs "$url/api/v1/jobs/$1")
		state=$(field state <<<"$job")
		LC_ALL=C printf '%s%-9s %5.1f %%  %9d rows  %5d rejected  %6.1f M rows/s  %4d MiB%s' "${start:-}" "$state" \
			"$(percent "$(field progress <<<"$job")")" "$(field total_processed <<<"$job")" \
			"$(field error_count <<<"$job")" "$(millions "$(field items_per_second <<<"$job")")" \
			$(($(field ram_bytes <<<"$job") >> 20)) "$end"
		case $state in
		pending | running) ;;
		*) break ;;
		esac
		sleep 0.1
	done
	[[ ! -t 1 ]] || echo
}

percent() {
	awk -v "n=$1" 'BEGIN { printf "%.1f", n * 100 }'
}

millions() {
	awk -v "n=$1" 'BEGIN { printf "%.1f", n / 1e6 }'
}

show_result() { # JOB-ID OUTPUT
	heading "the result of ${2%.jsonl}, and its first rows"
	shown curl -fs "$url/api/v1/jobs/$1?pretty"
	echo
	shown head -n 3 "$tree/data/$2"
}

main() {
	heading "inputs: orders made up here, and Debian's UnicodeData.txt"
	local made
	mkdir "$tree"/{data,spool,state,run}
	made=$(/usr/bin/python3 tests/support/make_csv.py "$tree/data/orders.csv" "${ZP_DEMO_ROWS:-8000000}")
	cp /usr/share/unicode/UnicodeData.txt "$tree/data/"
	echo "orders.csv: ${made% *} rows, ${made#* } of them bad, $(($(stat -c %s "$tree/data/orders.csv") >> 20)) MiB"

	heading "zooparalleld on a private tree"
	start_daemon
	echo "$url"

	heading "two specs, dropped into the spool"
	drop_spec orders '{"version":1,"workers":4,"input":{"path":"orders.csv"},"output":{"path":"orders.jsonl"},"errors":{"path":"orders.errors.jsonl"}}'
	drop_spec unicode '{"version":1,"input":{"path":"UnicodeData.txt","delimiter":";","header":false},"output":{"path":"unicode.jsonl"}}'

	local orders unicode
	orders=$(id_of orders)
	heading "what curl sees while it runs"
	shown curl -fs "$url/api/v1/jobs/$orders?pretty"
	echo
	echo "\$ curl -s $url/metrics | grep rows_"
	curl -fs "$url/metrics" | grep '^zooparallel_rows_' || :

	heading "progress"
	show_progress "$orders"
	unicode=$(id_of unicode)
	show_progress "$unicode"

	show_result "$orders" orders.jsonl
	show_result "$unicode" unicode.jsonl
	heading "the first rejected rows"
	shown head -n 3 "$tree/data/orders.errors.jsonl"
	heading "stopping; everything made here is removed"
}

main
