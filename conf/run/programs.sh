# shellcheck shell=bash
# shellcheck disable=SC2154 # the launcher sets what is not set here
# The programs of "make run", each started and waited for until it can be used.

# For what is published: in memory alone, and bounded. Its log has advice for databases, so it is shown only if it ends.
start_redis() {
	start redis-server redis-server --port 0 --unixsocket "$run/redis.sock" --unixsocketperm 700 --dir "$run" --save '' \
		--appendonly no --maxmemory 256mb --maxmemory-policy noeviction --logfile "$run/redis.log"
	export DUPLEX_REDIS=$run/redis.sock
	wait_for_socket "$DUPLEX_REDIS" || { cat "$run/redis.log" >&2; fail "redis-server does not start"; }
}

# websocketd takes no port of the system's choice: it tries some that nobody has, until one is its own.
start_websocketd() {
	local tries what=("--dir=$run/ws")
	[ "${WEBSOCKET_ACCEPT_ALL:-}" != 1 ] || what=("$run/ws/echo")
	for ((tries = 0; tries < 20; tries++)); do
		websocketd_port=$((20000 + RANDOM % 12000))
		[ -z "$(listener "$websocketd_port")" ] || continue
		start websocketd websocketd --address=127.0.0.1 --port="$websocketd_port" --origin=https://duplex.invalid \
			--maxforks=2000 --loglevel=error \
			"--passenv=PATH,WEBSOCKET_MAX_MESSAGE,DUPLEX_REDIS,DUPLEX_REDIS_FILE,DUPLEX_MAX_PUBLISH,SSL_CERT_FILE,ASAN_OPTIONS,UBSAN_OPTIONS${PASSENV:+,$PASSENV}" "${what[@]}" > >(printable) 2>&1
		while is_running "$started"; do
			is_listening "$websocketd_port" "$started" && return
			sleep 0.02
		done
		forget "$started"
	done
	fail "websocketd does not start"
}

# What make has built of ws/, each on a socket of its own. websocketd stays for what is added later, and for other languages.
start_resident() {
	local source name
	mkdir "$run/resident"
	for source in "$root"/ws/*.c; do
		name=$(basename "$source" .c)
		[ -x "$build/ws/$name" ] || continue
		resident+=("$name")
		start_workers "the workers of $name" "$run/resident/$name.sock" "${DUPLEX_WORKERS:-$(nproc)}" "$build/ws/$name"
	done
}

is_echo_everywhere() {
	[[ $ws == resident && ${WEBSOCKET_ACCEPT_ALL:-} == 1 ]]
}

# websocketd logs what a client asked for as it came; a terminal must not take it for commands.
printable() {
	LC_ALL=C exec sed -u 's/[^[:print:][:blank:]]/?/g'
}

start_fastcgi() {
	start_workers "the FastCGI workers" "$run/fcgi.sock" 2 "$run/duplex" "--page=$run/html" "--endpoints=$run/ws"
}

# So many processes of one program on a UNIX socket that only this user may open. One that ends is replaced.
start_workers() {
	local name=$1 socket=$2 count=$3
	shift 3
	start "$name" spawn-fcgi -n -s "$socket" -M 0600 -- /usr/bin/multiwatch -f "$count" -r 1000000 -t 1 -- "$@"
	wait_for_socket "$socket" || fail "$name do not start: the reason is above"
}

# Waits until what was started last has its socket. Returns 1 if it ends before that.
wait_for_socket() {
	until [ -S "$1" ]; do
		is_running "$started" || return
		sleep 0.02
	done
}

start_server() {
	local deadline=$((SECONDS + 15)) alternatives
	printf -v alternatives '%s|' "${resident[@]}"
	alternatives=${alternatives%|}
	alternatives=${alternatives:-none}
	write_site
	export_site
	start "$server" "$site/start" "$run"
	while ((SECONDS < deadline)); do
		is_running "$started" || fail "$server ended at start: the reason is above"
		is_listening "$port" "$started" && (is_answering) 2>/dev/null && return
		sleep 0.02
	done
	fail "$server does not answer: the reason, of it or of the FastCGI workers, is above"
}

# The same for a server that takes it from the environment. A path in place of an address is that of a socket.
export_site() {
	export DUPLEX_PATHS='*' DUPLEX_WEBSOCKETD=127.0.0.1:$websocketd_port DUPLEX_RESIDENT=$alternatives
	export DUPLEX_SOCKETS=$run/resident
	! is_echo_everywhere || export DUPLEX_WEBSOCKETD=$run/resident/echo.sock DUPLEX_RESIDENT=none
}

# The site around the fragment, from its templates. A line that begins with @EACH@ is for the endpoints each at its own path,
# one that begins with @ALL@ for the resident echo at every path.
write_site() {
	local template file hosts with=EACH without=ALL
	hosts=$(host_pattern)
	! is_echo_everywhere || with=ALL without=EACH
	for template in "$site"/*.in; do
		file=$run/$(basename "$template" .in)
		sed -e "/^@$without@/d" -e "s#^@$with@##" -e "s#@RUN@#$run#g" -e "s#@ADDRESS@#$address#g" -e "s#@BIND@#$bind#g" \
			-e "s#@PORT@#$port#g" -e "s#@FILES@#$(ulimit -n)#g" -e "s#@CONNECTIONS@#$(($(ulimit -n) / 2))#g" -e "s#@WEBSOCKETD@#$websocketd_port#g" \
			-e "s#@HOSTS@#${hosts//\\/\\\\}#g" -e "s#@RESIDENT@#${resident[*]}#g" -e "s#@ALTERNATIVES@#$alternatives#g" \
			"$template" >"$file"
	done
	if [ -e "$run/fragment.sed" ]; then
		sed -f "$run/fragment.sed" "$root/conf/$(<"$site/fragment")" >"$run/duplex.conf"
	else
		ln -s "$root/conf/$(<"$site/fragment")" "$run/duplex.conf"
	fi
}

# The names that this host has for a browser, as a regular expression: the Origin of our own page. What ends with .local is a
# name of the local network (RFC 6762), of which the host does not know.
host_pattern() {
	local name addresses pattern='localhost|127\.0\.0\.1|\[::1\]|[0-9a-z-]+\.local'
	addresses=$(hostname -I)
	for name in $(hostname) $addresses $(own_names "$addresses") "$bind"; do
		name=${name//./\\.}
		[[ $name != *:* ]] || name="\\[$name\\]"
		pattern+="|$name"
	done
	echo "($pattern)(:[0-9]+)?"
}

# The names that /etc/hosts gives to this host, which has these addresses, among them its full one. No name server is asked.
own_names() {
	local own=" $1 ::1 " address names name
	while read -r address names; do
		[[ $address == 127.* || $own == *" $address "* ]] || continue
		for name in $names; do
			[[ $name =~ [^0-9A-Za-z.-] ]] || echo "$name"
		done
	done < <(getent hosts)
}

is_listening() {
	listener "$1" | grep -q "pid=$2,"
}

# What listens on a port: a line of ss, with the process if it is ours.
listener() {
	ss -Hltnp "sport = :$1"
}

# Whether the whole way to the FastCGI program and back works: a port is open before that.
is_answering() {
	local line
	exec 3<>"/dev/tcp/$bind/$port" || return
	printf 'GET /echo?message= HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
	read -r -t 5 line <&3 && [[ $line == *" 200 "* ]]
}
