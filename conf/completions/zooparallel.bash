# SPDX-License-Identifier: MIT
# Completion of zooparallel(1) for bash. Jobs are asked of the daemon; without one there are none.

# The daemon's settings, but for those that `run` makes itself.
_zooparallel_keys='hook_dirs listen allowed_hosts expose_rows max_jobs max_workers chunk_size
	checkpoint_interval poll_interval retention allowed_users'

# One member of the jobs that `ls` lists, a line each: "id" or "name", then options of ls.
_zooparallel_jobs() {
	local member=$1
	shift
	timeout 2 "${_zooparallel_call[@]}" ls --json "$@" 2>/dev/null |
		sed -n "s/^      \"$member\": \"\([A-Za-z0-9._-]*\)\",*\$/\1/p"
}

# The words of a text that go on from what was typed.
_zooparallel_offer() {
	local word
	for word in $1; do
		[[ $word == "$_zooparallel_cur"* ]] && COMPREPLY+=("$word")
	done
}

# Files that match a pattern, and folders on the way to them.
_zooparallel_files() {
	local path
	compopt -o filenames 2>/dev/null
	while IFS= read -r path; do
		# A pattern is what it is meant to be here.
		# shellcheck disable=SC2053
		[[ -d $path || $path == $1 ]] && COMPREPLY+=("$path")
	done < <(compgen -f -- "$_zooparallel_cur")
}

_zooparallel_options() {
	local common='--color --help --json --socket'
	case $1 in
	run) _zooparallel_offer "--data-root --set --strict --timeout --quiet $common" ;;
	submit) _zooparallel_offer "--wait --strict --timeout --quiet $common" ;;
	ls) _zooparallel_offer "--state --name --limit --after $common" ;;
	top) _zooparallel_offer "--interval --iterations --once --sort --reverse --state --name $common" ;;
	wait) _zooparallel_offer "--timeout --strict --quiet $common" ;;
	cancel) _zooparallel_offer "--wait --timeout $common" ;;
	rejects) _zooparallel_offer "--limit --skip $common" ;;
	logs) _zooparallel_offer "--follow --lines --since --until --unit $common" ;;
	doctor) _zooparallel_offer "--config --set --quiet $common" ;;
	validate | show | stats) _zooparallel_offer "$common" ;;
	help) ;;
	*) _zooparallel_offer "--color --help --json --socket --version" ;;
	esac
}

_zooparallel_operands() {
	case $1 in
	run | submit | validate) _zooparallel_files '*.json' ;;
	show | rejects | logs) _zooparallel_offer "$(_zooparallel_jobs id)" ;;
	wait | cancel)
		_zooparallel_offer "$(_zooparallel_jobs id --state running)"
		_zooparallel_offer "$(_zooparallel_jobs id --state pending)"
		;;
	stats) _zooparallel_files '*.stats' ;;
	'' | help)
		_zooparallel_offer "run submit validate ls top show wait cancel rejects logs doctor stats help"
		;;
	esac
}

# What an option takes; fails if the word before is no such option.
_zooparallel_value() {
	case $2 in
	--color) _zooparallel_offer 'auto always never' ;;
	--socket | --config) _zooparallel_files '*' ;;
	--data-root) _zooparallel_files '/' ;;
	--state) _zooparallel_offer 'pending running completed failed aborted' ;;
	--sort) _zooparallel_offer 'name state rate rows rejects ram progress age' ;;
	--name) _zooparallel_offer "$(_zooparallel_jobs name | sort -u)" ;;
	--after) _zooparallel_offer "$(_zooparallel_jobs id)" ;;
	--set)
		compopt -o nospace 2>/dev/null
		local keys=$_zooparallel_keys
		[[ $1 == doctor ]] && keys+=' data_roots spool_dir state_dir run_dir'
		# It is to be parted: a list.
		# shellcheck disable=SC2086
		_zooparallel_offer "$(printf '%s=\n' $keys)"
		;;
	--timeout | --interval | --iterations | --limit | --skip | --lines | --since | --until | --unit) ;;
	-d) [[ $1 == top ]] ;;
	-n) [[ $1 == top || $1 == logs ]] ;;
	*) return 1 ;;
	esac
}

_zooparallel() {
	local _zooparallel_cur=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
	local -a _zooparallel_call=("${COMP_WORDS[0]}")
	local command='' word i

	COMPREPLY=()
	# bash parts --state=running at its sign.
	if [[ $_zooparallel_cur == '=' ]]; then
		_zooparallel_cur=''
	elif [[ $before == '=' ]]; then
		before=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		--socket | --color)
			[[ ${COMP_WORDS[i + 1]} == '=' ]] && ((i++))
			((i++))
			[[ $word == --socket && $i -lt $COMP_CWORD ]] &&
				_zooparallel_call+=(--socket "${COMP_WORDS[i]}")
			;;
		-* | '=') ;;
		*) command=${command:-$word} ;;
		esac
	done
	_zooparallel_value "$command" "$before" && return
	if [[ $_zooparallel_cur == -* ]]; then
		_zooparallel_options "$command"
	else
		_zooparallel_operands "$command"
	fi
}

complete -F _zooparallel zooparallel
