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

# Takes a program out of both lists again.
forget() {
	unset "names[$1]"
	sed -i "/^$1\$/d" "$run/groups"
}

is_running() {
	kill -0 "$1" 2>/dev/null
}

# Ends process groups. Their leaders are told first and get a second, since they know how to end what they have started:
# multiwatch would replace a worker that was ended behind its back. Then all processes are told, and get two.
end_groups() {
	local group
	for group; do
		kill -TERM "$group" || kill -TERM -- "-$group"
	done 2>/dev/null
	have_ended 1 "$@" && return
	signal_groups TERM "$@"
	have_ended 2 "$@" && return
	signal_groups KILL "$@"
	have_ended 1 "$@"
}

signal_groups() {
	local signal=$1 group
	shift
	for group; do
		kill "-$signal" -- "-$group"
	done 2>/dev/null
}

# Whether the groups end within so many seconds. A leader counts that does not lead its group yet, but not a zombie: that is
# for init to reap, in its own time. cat goes on after a process that ends while it is read.
have_ended() {
	local deadline=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000))
	shift
	local IFS='|'
	while cat /proc/[0-9]*/stat 2>/dev/null | grep -qE "^($*) .*\) [^ZX]|\) [^ZX] [0-9]+ ($*) "; do
		((${EPOCHREALTIME/[.,]/} < deadline)) || return 1 # a bare one takes the status from before a trap
		sleep 0.02
	done
}
