# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034 # $run and names are the launcher's
# Process groups: one for each program that "make run" starts. For the launcher and its guard.

# Starts a program under a name for messages, and sets $started to its process id. It leads a process group of its own,
# so that the terminal's Ctrl-C reaches it only through the launcher; the kernel ends it if the launcher is killed.
# It enters its group into the guard's list before anything of it runs.
start() {
	# shellcheck disable=SC2016 # another shell expands it
	local name=$1 enter='[ "$PPID" = "$1" ] && echo $$ >>"$2" && shift 2 && exec "$@"'
	shift
	setsid setpriv --pdeathsig TERM sh -c "$enter" start $$ "$run/groups" "$@" &
	started=$!
	names[started]=$name
}

is_running() {
	kill -0 "$1" 2>/dev/null
}

# A zombie does not count: it is for init to reap, in its own time.
has_process() {
	sed 's/.*) //' /proc/[0-9]*/stat 2>/dev/null | grep -q "^[^ZX] [0-9]* $1 "
}

# The leader is told first, since it knows how to end what it has started: multiwatch would replace a worker that was
# ended behind its back. A group can outlive its leader.
end_group() {
	local tries
	kill -TERM "$1" 2>/dev/null || kill -TERM -- "-$1" 2>/dev/null
	for ((tries = 0; tries < 100; tries++)); do
		has_process "$1" || return
		((tries != 50)) || kill -TERM -- "-$1" 2>/dev/null
		sleep 0.02
	done
	kill -KILL -- "-$1" 2>/dev/null
}

end_groups() {
	local group
	for group; do
		end_group "$group"
	done
}
