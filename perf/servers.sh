# perf/servers.sh - what the measuring scripts do alike: the release build, private servers, pipelines
# whose first, empty snapshot is taken. They source it with `dir` set; `first_port` the first of three.
servers=$PWD/tests/servers
export CDC_QUIET=1
cargo build -q --release --bin penstock
cargo build -q --release -p penstock-perf
bin=$PWD/${CARGO_TARGET_DIR:-target}/release
case ${CARGO_TARGET_DIR:-} in /*) bin=$CARGO_TARGET_DIR/release ;; esac
columns="(id bigint primary key, v bigint not null, note varchar(200))"
note="some text to make it about a hundred bytes long, more or less, and then a few more of them"
mkdir -p "$dir"
running=
stop_servers() {
	local server
	for server in $running; do "$servers/$server" crash "$dir/$server" || true; done
}
trap stop_servers EXIT
start() { # SERVER...
	local server
	for server in "$@"; do
		running="$running $server"
		"$servers/$server" start "$dir/$server" "$(port "$server")"
	done
}
port() { # SERVER
	case $1 in mysql97) echo $((first_port)) ;; mariadb118) echo $((first_port + 1)) ;; postgres18) echo $((first_port + 2)) ;; esac
}
# Statements on standard input, or one as the argument; rows come without heads.
my() { if [ $# -gt 0 ]; then "$servers/mysql97" sql "$dir/mysql97" test -N -e "$1"; else "$servers/mysql97" sql "$dir/mysql97" test; fi; }
ma() { "$servers/mariadb118" sql "$dir/mariadb118" test -e "$1"; }
pg() { if [ $# -gt 0 ]; then "$servers/postgres18" sql "$dir/postgres18" -q -At -d test -c "$1"; else "$servers/postgres18" sql "$dir/postgres18" -q -d test >/dev/null; fi; }
grant_pg() { pg "grant create on database test to cdc; grant postgres to cdc"; }
# A pipeline in $dir/NAME. MORE: lines of [source], and sections behind it; SINK: lines of [sink].
configure() { # NAME SERVER TABLES [MORE [SINK]]
	local kind space sink=${5:-}
	[ -n "$sink" ] || sink='kind = "null"'
	case $2 in
	mysql97) kind=mysql space=test ;;
	mariadb118) kind=mariadb space=test ;;
	postgres18) kind=postgres space=public ;;
	esac
	mkdir -p "$dir/$1"
	cat >"$dir/$1/pipe.toml" <<-TOML
		name = "perf_$1"
		[source]
		kind = "$kind"
		host = "127.0.0.1"
		port = $(port "$2")
		user = "cdc"
		password = "cdc"
		$([ "$kind" = postgres ] && echo 'database = "test"')
		tables = ["$space\\\\.$3"]
		${4:-}
		[sink]
		$sink
		[state]
		path = "state"
	TOML
}
# The same, and it has taken its first snapshot.
config() {
	configure "$@"
	"$bin/penstock" run "$dir/$1/pipe.toml" --exit-when-caught-up 2>"$dir/$1/log" ||
		{ tail -n 5 "$dir/$1/log" >&2; return 1; }
}
