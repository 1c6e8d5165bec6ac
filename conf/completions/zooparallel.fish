# SPDX-License-Identifier: MIT
# Completion of zooparallel(1) for fish. Jobs are asked of the daemon; without one there are none.

set -g __zooparallel_commands run submit validate ls top show wait cancel rejects logs doctor stats help

# The command that was typed; fails if none was.
function __zooparallel_command
    set -l words (commandline -opc)
    set -e words[1]
    while set -q words[1]
        switch $words[1]
            case --socket --color
                set -e words[1]
            case '-*'
            case '*'
                echo $words[1]
                return 0
        end
        set -e words[1]
    end
    return 1
end

function __zooparallel_needs_command
    not __zooparallel_command >/dev/null
end

function __zooparallel_is
    contains -- (__zooparallel_command) $argv
end

# The program as it was called, with the socket that was named.
function __zooparallel_call
    set -l words (commandline -opc)
    set -l call $words[1]
    for i in (seq 2 (count $words))
        switch $words[$i]
            case --socket
                set -q words[(math $i + 1)]; and set -a call --socket $words[(math $i + 1)]
            case '--socket=*'
                set -a call $words[$i]
        end
    end
    timeout 2 $call $argv 2>/dev/null
end

# The jobs that `ls` lists with these options: ID, tab, name and state.
function __zooparallel_jobs
    __zooparallel_call ls --json $argv | awk -F'"' '
        /^      "id":/ { id = $4 }
        /^      "name":/ { name = $4 }
        /^      "state":/ { print id "\t" name " " $4 }'
end

function __zooparallel_live_jobs
    __zooparallel_jobs --state running
    __zooparallel_jobs --state pending
end

function __zooparallel_names
    __zooparallel_jobs | awk -F'\t' '{ sub(/ [a-z]+$/, "", $2); print $2 }' | sort -u
end

function __zooparallel_keys
    printf '%s=\n' hook_dirs listen allowed_hosts expose_rows max_jobs max_workers chunk_size \
        checkpoint_interval poll_interval retention allowed_users
    if __zooparallel_is doctor
        printf '%s=\n' data_roots spool_dir state_dir run_dir
    end
end

complete -c zooparallel -f
complete -c zooparallel -n __zooparallel_needs_command -l version -d 'Print the version'
complete -c zooparallel -n 'not __zooparallel_is help' -l color -x -a 'auto always never' -d 'Whether to colour'
complete -c zooparallel -n 'not __zooparallel_is help' -s h -l help -d 'Explain it'
complete -c zooparallel -n 'not __zooparallel_is help' -l json -d 'Print JSON'
complete -c zooparallel -n 'not __zooparallel_is help' -l socket -r -F -d 'The control socket of the daemon'

complete -c zooparallel -n __zooparallel_needs_command -a run -d 'Run one job spec here and now'
complete -c zooparallel -n __zooparallel_needs_command -a submit -d 'Hand job specs to the daemon'
complete -c zooparallel -n __zooparallel_needs_command -a validate -d 'Check job specs'
complete -c zooparallel -n __zooparallel_needs_command -a ls -d 'List jobs'
complete -c zooparallel -n __zooparallel_needs_command -a top -d 'Watch the daemon and its jobs live'
complete -c zooparallel -n __zooparallel_needs_command -a show -d 'Show everything about one job'
complete -c zooparallel -n __zooparallel_needs_command -a wait -d 'Wait until jobs have ended'
complete -c zooparallel -n __zooparallel_needs_command -a cancel -d 'Abort jobs'
complete -c zooparallel -n __zooparallel_needs_command -a rejects -d 'Show the first rejected rows of a job'
complete -c zooparallel -n __zooparallel_needs_command -a logs -d 'Show what the daemon has logged'
complete -c zooparallel -n __zooparallel_needs_command -a doctor -d 'Look at the whole installation'
complete -c zooparallel -n __zooparallel_needs_command -a stats -d 'Read the stats file of a worker'
complete -c zooparallel -n __zooparallel_needs_command -a help -d 'Explain a command'

complete -c zooparallel -n '__zooparallel_is run submit validate' -k -a '(__fish_complete_suffix .json)'
complete -c zooparallel -n '__zooparallel_is stats' -k -a '(__fish_complete_suffix .stats)'
complete -c zooparallel -n '__zooparallel_is show rejects logs' -k -a '(__zooparallel_jobs)'
complete -c zooparallel -n '__zooparallel_is wait cancel' -k -a '(__zooparallel_live_jobs)'
complete -c zooparallel -n '__zooparallel_is help' -a "$__zooparallel_commands"

complete -c zooparallel -n '__zooparallel_is run' -l data-root -x -a '(__fish_complete_directories)' -d 'Where relative paths begin'
complete -c zooparallel -n '__zooparallel_is run doctor' -l set -x -a '(__zooparallel_keys)' -d 'A setting of the daemon'
complete -c zooparallel -n '__zooparallel_is run submit wait' -l strict -d 'Exit 3 if rows were rejected'
complete -c zooparallel -n '__zooparallel_is run submit wait cancel' -l timeout -x -d 'Give up after this time'
complete -c zooparallel -n '__zooparallel_is run submit wait doctor' -l quiet -d 'Say less'
complete -c zooparallel -n '__zooparallel_is submit cancel' -l wait -d 'Wait until they have ended'
complete -c zooparallel -n '__zooparallel_is ls top' -l state -x -a 'pending running completed failed aborted' -d 'Jobs in this state'
complete -c zooparallel -n '__zooparallel_is ls top' -l name -x -a '(__zooparallel_names)' -d 'Jobs of this name'
complete -c zooparallel -n '__zooparallel_is ls rejects' -l limit -x -d 'At most so many'
complete -c zooparallel -n '__zooparallel_is ls' -l after -x -k -a '(__zooparallel_jobs)' -d 'Older than this job'
complete -c zooparallel -n '__zooparallel_is rejects' -l skip -x -d 'Pass over so many'
complete -c zooparallel -n '__zooparallel_is top' -s d -l interval -x -d 'Look this often'
complete -c zooparallel -n '__zooparallel_is top' -s n -l iterations -x -d 'End after so many looks'
complete -c zooparallel -n '__zooparallel_is top' -l once -d 'Print one table and end'
complete -c zooparallel -n '__zooparallel_is top' -l sort -x -a 'name state rate rows rejects ram progress age' -d 'The order'
complete -c zooparallel -n '__zooparallel_is top' -l reverse -d 'The other way round'
complete -c zooparallel -n '__zooparallel_is logs' -s f -l follow -d 'Go on with what comes'
complete -c zooparallel -n '__zooparallel_is logs' -s n -l lines -x -d 'The last lines'
complete -c zooparallel -n '__zooparallel_is logs' -l since -x -d 'Not before'
complete -c zooparallel -n '__zooparallel_is logs' -l until -x -d 'Not after'
complete -c zooparallel -n '__zooparallel_is logs' -l unit -x -d 'Of this unit'
complete -c zooparallel -n '__zooparallel_is doctor' -l config -r -F -d 'The configuration of the daemon'
