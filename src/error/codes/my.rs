//! Codes of MySQL and MariaDB sources.

use super::Code;

/// Sorted by code.
pub(super) const CODES: &[Code] = &[
    Code {
        code: "my-access-denied",
        title: "wrong user or password",
        means: "The server knows no such user from this host, or the password is another one. \
                Neither is retried.",
        mend: "Check `source.user` and `source.password`, and from which hosts the user may come: \
                `SELECT user, host FROM mysql.user`.",
    },
    Code {
        code: "my-account",
        title: "the account is locked or its password has expired",
        means: "The server knows the user, and lets nobody in before an administrator has acted.",
        mend: "`ALTER USER … IDENTIFIED BY …` renews the password, `ALTER USER … ACCOUNT UNLOCK` \
                unlocks the account.",
    },
    Code {
        code: "my-auth-plugin",
        title: "the user's authentication plugin is not supported",
        means: "Supported are caching_sha2_password, mysql_native_password, MariaDB's ed25519, and \
                mysql_clear_password under TLS.",
        mend: "Give the user another plugin: `ALTER USER … IDENTIFIED WITH caching_sha2_password \
                BY …`; on MariaDB `ALTER USER … IDENTIFIED VIA ed25519 USING PASSWORD(…)`.",
    },
    Code {
        code: "my-binlog-format",
        title: "the log may hold statements instead of rows",
        means: "With `binlog_format` STATEMENT no row is in the log; with MIXED some statements \
                are logged as text. What a captured table loses so cannot be seen.",
        mend: "`SET GLOBAL binlog_format = ROW`, then reconnect the applications: sessions keep \
                the old value.",
    },
    Code {
        code: "my-binlog-purged",
        title: "the log no longer reaches back to the pipeline's position",
        means: "The server has removed log files that the pipeline has not read yet. What they \
                held cannot be had from this server any more.",
        mend: "Take a new snapshot: `snapshot.mode = \"when_needed\"`, or remove the state folder. \
                Then raise `binlog_expire_logs_seconds`.",
    },
    Code {
        code: "my-checksum",
        title: "an event's checksum is wrong",
        means: "Bytes changed on the way, or on the server's disk. The event is read again; if the \
                error stays, the log itself is damaged.",
        mend: "`mysqlbinlog --verify-binlog-checksum FILE` on the server tells which. A damaged \
                log needs a new snapshot.",
    },
    Code {
        code: "my-cleartext-refused",
        title: "the server asks for the password in clear text without encryption",
        means: "mysql_clear_password sends the password as it is. Penstock does so under TLS \
                alone.",
        mend: "Set `tls.mode` to `require`, `verify-ca` or `verify-full`.",
    },
    Code {
        code: "my-debezium-offset",
        title: "Debezium's offset cannot be taken over",
        means: "The value is not one that a MySQL or MariaDB connector stores, or its snapshot was \
                not finished.",
        mend: "Give the value as stored: `{\"file\":…,\"pos\":…,\"gtids\":…}`.",
    },
    Code {
        code: "my-dump-ended",
        title: "the server ended the dump",
        means: "The server sent the end of its log where it should have waited: it is shutting \
                down, or somebody killed the connection.",
        mend: "Nothing: it is retried.",
    },
    Code {
        code: "my-dump-refused",
        title: "the server refuses to send its log",
        means: "The text is the server's own.",
        mend: "Look in the server's error log.",
    },
    Code {
        code: "my-event-too-large",
        title: "an event is larger than the server may send",
        means: "The server's `max_allowed_packet` is smaller than an event in its own log.",
        mend: "`SET GLOBAL max_allowed_packet = 1073741824`.",
    },
    Code {
        code: "my-grants",
        title: "privileges of the user",
        means: "The pipeline reads the log (REPLICATION SLAVE), its position (REPLICATION CLIENT, \
                on MariaDB BINLOG MONITOR), tables (SELECT), and locks for milliseconds at the \
                first snapshot (RELOAD).",
        mend: "`GRANT SELECT, RELOAD, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO …`.",
    },
    Code {
        code: "my-gtid",
        title: "GTIDs",
        means: "With GTIDs a position holds on every member of a replication group, so that a \
                failover can be followed. Files and offsets hold on one server alone.",
        mend: "MySQL: `gtid_mode = ON`, in the steps of its manual. MariaDB: `gtid_strict_mode = \
                ON`.",
    },
    Code {
        code: "my-heartbeat",
        title: "the statement of the heartbeat does not run",
        means: "`heartbeat_action_query` runs on the source with each heartbeat, in a session of its own, \
                for ten seconds at most. A failure is a warning: the stream goes on.",
        mend: "Create the table that it writes to, and grant the user what the statement needs.",
    },
    Code {
        code: "my-host-refused",
        title: "the server lets nobody in from this host",
        means: "No account of the server may come from here, or the host is blocked after too many \
                errors.",
        mend: "`CREATE USER 'name'@'host' …`; a block is lifted by `FLUSH HOSTS` or `TRUNCATE \
                performance_schema.host_cache`.",
    },
    Code {
        code: "my-incident",
        title: "the server says that its log misses events",
        means: "An INCIDENT event stands where the server could not log what it did. Going on \
                would lose those changes silently.",
        mend: "Take a new snapshot, and look for the cause in the server's error log.",
    },
    Code {
        code: "my-log-off",
        title: "the server writes no binary log",
        means: "Without `log_bin` there is nothing to capture from.",
        mend: "Set `log_bin` in the server's configuration and restart it.",
    },
    Code {
        code: "my-log-order",
        title: "transactions overlap in the log",
        means: "One begins before the one before it has ended. No server writes that: the log is \
                damaged, or a proxy drops events.",
        mend: "Connect to the server itself. If the error stays: take a new snapshot.",
    },
    Code {
        code: "my-login",
        title: "the server refused the login for now",
        means: "The server's words are in the error. It is retried.",
        mend: "Look at the server's words.",
    },
    Code {
        code: "my-missing-grant",
        title: "a privilege is missing",
        means: "The server refused a statement that the pipeline cannot do without.",
        mend: "`GRANT SELECT, RELOAD, LOCK TABLES, REPLICATION SLAVE, REPLICATION CLIENT ON *.* \
                TO …`; `penstock check` names what is missing.",
    },
    Code {
        code: "my-needs-tls",
        title: "the password cannot travel safely",
        means: "caching_sha2_password must show the server the password once. Without TLS it is \
                encrypted with the server's RSA key; this server offers neither.",
        mend: "Set `tls.mode` to `require`; or let the server make RSA keys.",
    },
    Code {
        code: "my-no-key",
        title: "a table has no key",
        means: "Neither a primary key nor a unique index without NULLs: its records have no key.",
        mend: "`ALTER TABLE … ADD PRIMARY KEY (…)`, or `message_key_columns`.",
    },
    Code {
        code: "my-no-tables",
        title: "no table is captured",
        means: "No table that the user can see fits `source.tables` and `source.exclude_tables`.",
        mend: "Check both lists, and that the user may SELECT from the tables: without a grant \
                they are invisible.",
    },
    Code {
        code: "my-no-view",
        title: "no consistent view could be opened",
        means: "Without RELOAD the view must open in a moment in which nothing commits, and \
                between two equal readings of the catalogue. There was none.",
        mend: "`GRANT RELOAD ON *.* TO …`, so that a lock of milliseconds can be taken.",
    },
    Code {
        code: "my-other-kind",
        title: "the server is of another kind than configured",
        means: "MySQL and MariaDB differ in their logs and positions.",
        mend: "Set `source.kind` to what the server is. A state folder belongs to one kind.",
    },
    Code {
        code: "my-other-past",
        title: "the server never had what the pipeline has delivered",
        means: "The position holds transactions that this server does not know: a failover lost \
                them, or it is another server. Going on would skip others silently.",
        mend: "Connect to the right server; or take a new snapshot with `snapshot.mode = \
                \"when_needed\"`.",
    },
    Code {
        code: "my-other-server",
        title: "the position is another server's",
        means: "It is a file and an offset, which mean nothing on another server.",
        mend: "Connect to the server of the position; or take a new snapshot. With GTIDs a \
                failover can be followed.",
    },
    Code {
        code: "my-position",
        title: "the position in the log",
        means: "Where the log ends now, or a stored position that cannot be read.",
        mend: "`penstock offsets show` prints the stored one, `penstock offsets set` replaces it.",
    },
    Code {
        code: "my-position-4g",
        title: "a position beyond 4 GiB",
        means: "A file and an offset can be asked for up to 4 GiB only.",
        mend: "Switch GTIDs on, or take a new snapshot. `FLUSH BINARY LOGS` and `max_binlog_size` \
                keep files small.",
    },
    Code {
        code: "my-protocol",
        title: "the server's bytes cannot be read",
        means: "What came is not the client protocol of MySQL or MariaDB. It is retried.",
        mend: "Look whether such a server listens at this address, and no proxy alters bytes.",
    },
    Code {
        code: "my-reachable",
        title: "the server answers",
        means: "The pipeline can connect and log in.",
        mend: "Nothing.",
    },
    Code {
        code: "my-recovery-without-offset",
        title: "a recovery without an offset",
        means: "`snapshot.mode = \"recovery\"` goes on at the stored offset with a schema history \
                that is made anew from the catalogue. There is no offset.",
        mend: "Remove `mode` from `[snapshot]`: the first run takes a snapshot.",
    },
    Code {
        code: "my-refused",
        title: "the server refused a statement",
        means: "The server's words are in the error.",
        mend: "Look at the server's words.",
    },
    Code {
        code: "my-retention",
        title: "how long log files are kept",
        means: "A pipeline that stands still for longer than this needs a new snapshot.",
        mend: "`SET GLOBAL binlog_expire_logs_seconds = 604800`.",
    },
    Code {
        code: "my-row-image",
        title: "row images are not whole",
        means: "With `binlog_row_image` MINIMAL or NOBLOB rows carry only some columns. In \
                `after` the rest is `unavailable_value_placeholder` where values are strings or \
                bytes, else null, also in a column that cannot be NULL; what an insert leaves out \
                has its default. In `before` it is null, in a column that cannot be NULL its \
                default or its type's fallback. A sink that upserts must leave such columns as \
                they are.",
        mend: "`SET PERSIST binlog_row_image = FULL` (MariaDB: SET GLOBAL).",
    },
    Code {
        code: "my-row-metadata",
        title: "whether the log names its columns",
        means: "With `binlog_row_metadata = FULL` names, signs, character sets and labels are in \
                the log. With MINIMAL and NO_LOG they come from the schema history, which follows \
                every statement of the log.",
        mend: "Nothing. FULL also serves a position without history: `SET PERSIST \
                binlog_row_metadata = FULL` (MariaDB: SET GLOBAL, and in its configuration).",
    },
    Code {
        code: "my-row-too-large",
        title: "a row is too large",
        means: "A row beyond 256 MiB does not fit into the pipeline's bounded memory.",
        mend: "Leave the table out with `source.exclude_tables`, or keep such values elsewhere.",
    },
    Code {
        code: "my-rows-without-table-map",
        title: "rows of a table that the log did not name",
        means: "Each row event follows a TABLE_MAP. This one does not: the log is damaged, or a \
                proxy drops events.",
        mend: "Connect to the server itself. If the error stays: take a new snapshot.",
    },
    Code {
        code: "my-rsa-key",
        title: "the server's RSA public key cannot be used",
        means: "caching_sha2_password without TLS encrypts the password with it.",
        mend: "Use TLS, or mend `caching_sha2_password_public_key_path` on the server.",
    },
    Code {
        code: "my-schema-disagrees",
        title: "log and schema history disagree on a table",
        means: "The log names no columns, and the types in it are not those that the statements \
                before it made. The row is not decoded by guess.",
        mend: "Take a new snapshot, and please report the statement. With `SET PERSIST \
                binlog_row_metadata = FULL` (MariaDB: SET GLOBAL) the log names its columns itself.",
    },
    Code {
        code: "my-schema-unknown",
        title: "a table's columns at this point of the log cannot be known",
        means: "The log names no columns, the schema history does not have the table (a position \
                set by hand, a statement that was not understood), and it was changed again since, \
                so that the catalogue does not tell either. Equal types do not prove equal columns, \
                so the row is not decoded by guess.",
        mend: "Take a new snapshot. With `SET PERSIST binlog_row_metadata = FULL` (MariaDB: SET \
                GLOBAL) the log names its columns itself.",
    },
    Code {
        code: "my-server-busy",
        title: "the server could not run a statement just now",
        means: "A lock, a shutdown, a limit: the server's words are in the error. It is retried.",
        mend: "Look at the server's words if it stays.",
    },
    Code {
        code: "my-server-id-clash",
        title: "another replica has our server id",
        means: "The server ends the older of two dumps with one id, for ever in turn. A session of \
                ours that died a moment ago is waited for.",
        mend: "Set `source.server_id` to a number that no replica and no server has.",
    },
    Code {
        code: "my-snapshot-cut",
        title: "the first snapshot was cut off",
        means: "Its view ended with the connection, and rows of two views do not fit together.",
        mend: "Nothing: the pipeline starts again by itself and takes the snapshot anew. If it is cut \
               again and again, look for what ends its connection (a timeout of a proxy, \
               net_write_timeout).",
    },
    Code {
        code: "my-spill-full",
        title: "no room to spill a transaction",
        means: "A transaction that may still roll back waits in the state folder, which is full.",
        mend: "Make room in the state folder: nothing is lost.",
    },
    Code {
        code: "my-statement-format",
        title: "a captured table was changed by a statement",
        means: "Somebody set `binlog_format` to STATEMENT or MIXED in his session: the rows that \
                changed are not in the log.",
        mend: "`SET GLOBAL binlog_format = ROW`, and take SESSION_VARIABLES_ADMIN from \
                applications; then take a new snapshot.",
    },
    Code {
        code: "my-sync-binlog",
        title: "whether the log survives a power loss",
        means: "With `sync_binlog` other than 1 a server can give the GTID of a lost transaction \
                to another one.",
        mend: "`SET GLOBAL sync_binlog = 1`.",
    },
    Code {
        code: "my-table-gone",
        title: "a table vanished while it was read",
        means: "It was dropped or renamed between the catalogue and the query. It is retried.",
        mend: "Nothing.",
    },
    Code {
        code: "my-tables",
        title: "which tables are captured",
        means: "All that fit `source.tables` and `source.exclude_tables` and that the user may \
                see.",
        mend: "Nothing.",
    },
    Code {
        code: "my-tls",
        title: "whether the connection is encrypted",
        means: "Without TLS rows travel in the clear.",
        mend: "`tls = { mode = \"require\" }` in `[source]`.",
    },
    Code {
        code: "my-tls-required",
        title: "the server wants TLS",
        means: "The user may not log in without it.",
        mend: "Set `tls.mode` to `require` or more.",
    },
    Code {
        code: "my-unknown-event",
        title: "the log holds an event of an unknown type",
        means: "The server does not say that it may be skipped, so it is not.",
        mend: "Compare the server's version with those that are supported: it may be newer.",
    },
    Code {
        code: "my-unsupported-type",
        title: "a captured table has columns that this version cannot read",
        means: "A row of it is an error, never a guess.",
        mend: "List the columns in `source.exclude_columns`, or the table in \
                `source.exclude_tables`.",
    },
    Code {
        code: "my-version",
        title: "the server's version",
        means: "Supported are MySQL 8.0 to 9.7 and MariaDB 10.5 to 11.8.",
        mend: "Upgrade the server.",
    },
    Code {
        code: "my-versioned",
        title: "a system-versioned table is captured",
        means: "MariaDB logs an update of such a table as the update and an insert of the old \
                version under the same key, and a delete as an update that ends the row's period. \
                Records are those of the living rows: the old version is left out, the ended row \
                is a delete.",
        mend: "Nothing. Who wants the history keeps the records themselves.",
    },
    Code {
        code: "my-xa-prepared",
        title: "prepared XA transactions",
        means: "A first start waits until none is open: its rows would lie before the pipeline's \
                position.",
        mend: "`XA RECOVER` lists them; `XA COMMIT` or `XA ROLLBACK` ends them.",
    },
    Code {
        code: "my-xa-unknown",
        title: "an XA transaction is committed whose rows were never seen",
        means: "It was prepared before the pipeline's position.",
        mend: "Take a new snapshot, when `XA RECOVER` lists none.",
    },
];
