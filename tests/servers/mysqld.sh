# mysqld.sh - what mysql.sh and mariadb.sh do alike. They source it last, with `install`, `template`,
# `base_opts`, `server_opts` and `sql` defined; `install` sets TREE, CLIENTS (the folder of the
# client programs) and SERVER (the server's program).
prepare() { # DIR PORT
	install
	template
	DATA=$DIR/data SOCK=$(sock_dir "$DIR")/mysql.sock
	if [ ! -e "$DIR/ready" ]; then
		rm -rf "$DATA"
		cp -a --sparse=always "$TREE/template/data" "$DATA" || die "cannot copy the template to $DATA"
		mkdir -p "$DIR/tmp"
		: >"$DIR/ready"
	fi
	echo "$PORT" >"$DIR/port"
}
cmd=${1:-help}; [ $# -gt 0 ] && shift
case $cmd in
install) install; template ;;
path) install; echo "$CLIENTS" ;;
tool) install; t=${1:?missing NAME}; shift; [ -x "$CLIENTS/$t" ] || die "no program $t in $CLIENTS"; exec "$CLIENTS/$t" "$@" ;;
start | run)
	DIR=$(abs_dir "${1:-}") || exit 1; PORT=${2:-}; check_port "$PORT"; shift 2; [ "${1:-}" = -- ] && shift
	if pid=$(our_pid "$DIR/pid" "$DIR"); then
		[ "$cmd" = start ] && [ "$(cat "$DIR/port")" = "$PORT" ] && { say "already running: pid $pid port $PORT"; exit 0; }
		die "already running in $DIR: pid $pid port $(cat "$DIR/port")"
	fi
	need_port "$PORT"
	prepare
	IFS='
'
	set -f
	set -- $(server_opts) "$@"
	set +f
	unset IFS
	[ "$cmd" = run ] && exec "$SERVER" "$@"
	rm -f "$DIR/pid"
	setsid "$SERVER" "$@" </dev/null >>"$DIR/log" 2>&1 &
	child=$!
	i=0
	until [ -s "$DIR/pid" ] && sql -e 'select 1' >/dev/null 2>&1; do
		[ -d "/proc/$child" ] || { tail -n 15 "$DIR/log" >&2; die "${SERVER##*/} ended at once (see $DIR/log)"; }
		i=$((i + 1)); [ $i -gt 600 ] && die "${SERVER##*/} does not answer after 60 s (pid $child, see $DIR/log)"
		sleep 0.1
	done
	say "started: pid $(cat "$DIR/pid") port $PORT socket $SOCK" ;;
stop | crash)
	DIR=$(abs_dir "${1:-}") || exit 1
	pid=$(our_pid "$DIR/pid" "$DIR") || { say "not running"; exit 0; }
	if [ "$cmd" = stop ]; then end_pid "$pid" TERM 60 || die "pid $pid did not stop within 60 s"
	else end_pid "$pid" KILL 10 || die "pid $pid did not die"; rm -f "$DIR/pid" "$(sock_dir "$DIR")/mysql.sock.lock"; fi
	say "stopped: pid $pid" ;;
status)
	DIR=$(abs_dir "${1:-}") || exit 1
	pid=$(our_pid "$DIR/pid" "$DIR") || die "not running in $DIR"
	echo "pid=$pid port=$(cat "$DIR/port") socket=$(sock_dir "$DIR")/mysql.sock" ;;
sql) DIR=$(abs_dir "${1:-}") || exit 1; shift; install; sql "$@" ;;
help | -h | --help) sed -n '2,/^set -u/p' "$0" | sed '$d; s/^# \{0,1\}//' ;;
*) die "unknown command '$cmd' (try: $PROG help)" ;;
esac
