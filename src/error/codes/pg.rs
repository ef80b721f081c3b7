//! Codes of PostgreSQL sources.

use super::Code;

/// Sorted by code.
pub(super) const CODES: &[Code] = &[
    Code {
        code: "pg-auth-method",
        title: "the server asks for an authentication method that is not supported",
        means: "Penstock logs in with scram-sha-256 (with and without channel binding), md5, a \
                cleartext password under TLS or on a Unix socket, or by trust. The server asked \
                for something else, such as GSSAPI.",
        mend: "Give the role a line of its own in pg_hba.conf with the method scram-sha-256, then \
                SELECT pg_reload_conf().",
    },
    Code {
        code: "pg-busy",
        title: "the server cancelled a statement, or a lock was not free in time",
        means: "Penstock waits for locks only briefly, so that nobody queues behind it. It tries \
                again by itself.",
        mend: "Nothing, unless it goes on: then look for a long transaction that holds a lock on \
                the table (pg_stat_activity, pg_locks).",
    },
    Code {
        code: "pg-cleartext-password",
        title: "the server asks for the password in clear over an unencrypted connection",
        means: "A password never leaves in clear where somebody could read along.",
        mend: "Set source.tls = { mode = \"require\" } or stricter, or let the role log in with \
                scram-sha-256 in pg_hba.conf.",
    },
    Code {
        code: "pg-connection",
        title: "the connection to the server broke or did not come about in time",
        means: "It is tried again after 1, 2, 4 … 60 seconds, for ever; nothing is lost meanwhile, \
                the slot keeps the log.",
        mend: "Look at the server, the network and the firewalls between. The server's own log \
                may say why it closed the connection.",
    },
    Code {
        code: "pg-database",
        title: "the database does not exist",
        means: "A slot and a replication connection belong to one database, and the server has \
                none of this name.",
        mend: "Correct source.database.",
    },
    Code {
        code: "pg-encryption",
        title: "how the connection is protected",
        means: "Rows and queries pass over this connection.",
        mend: "Where the network is not trusted set source.tls = { mode = \"verify-full\" }.",
    },
    Code {
        code: "pg-heartbeat",
        title: "the statement of the heartbeat does not run",
        means: "`heartbeat_action_query` runs on the source with each heartbeat, in a session of its own, \
                for ten seconds at most. A failure is a warning: the stream goes on.",
        mend: "Create the table that it writes to, and grant the role what the statement needs.",
    },
    Code {
        code: "pg-log-behind",
        title: "the server's log ends before what was already delivered",
        means: "The server was restored from a backup, or lost its last writes in a crash. What it \
                writes now would take positions that are already used, and would be skipped.",
        mend: "Remove the state (penstock offsets delete CONFIG) and run again for a new \
                snapshot, or set snapshot.mode = \"when_needed\".",
    },
    Code {
        code: "pg-login",
        title: "logging in",
        means: "The server refused the role, the password or the address, or could not prove that \
                it knows the password itself.",
        mend: "Correct source.user and source.password. If pg_hba.conf has no line for this role, \
                database and address, add one: a replication connection to a database is matched \
                like an ordinary one. Then SELECT pg_reload_conf().",
    },
    Code {
        code: "pg-missing",
        title: "something that is needed does not exist on the server",
        means: "A table, column or other object that was asked for is not there.",
        mend: "penstock check CONFIG says what is missing.",
    },
    Code {
        code: "pg-no-tables",
        title: "which tables are captured",
        means: "The patterns in source.tables and source.exclude_tables leave no permanent table \
                of the database.",
        mend: "Correct the patterns: anchored regular expressions over schema.table, such as \
                \"public.orders\" or \"shop[.].*\".",
    },
    Code {
        code: "pg-offset",
        title: "this is no offset that can be taken over",
        means: "Debezium's PostgreSQL connector stores an offset as a JSON object with lsn, \
                lsn_proc, lsn_commit and others. An offset from the middle of a snapshot says \
                nothing about what is delivered.",
        mend: "Take the latest offset of the connector from the offsets topic or file; let a \
                running snapshot end first.",
    },
    Code {
        code: "pg-other-server",
        title: "this is another server than the checkpoint's",
        means: "Every cluster has a system identifier that stays with it, its replicas and its \
                physical backups. This one has another, so positions in its log mean nothing to \
                the checkpoint.",
        mend: "Connect to the old server or one of its replicas after promotion. Else remove the \
                state (penstock offsets delete CONFIG) and run again for a new snapshot, or set \
                snapshot.mode = \"when_needed\".",
    },
    Code {
        code: "pg-permission",
        title: "the rights of the role",
        means: "Capturing needs the attribute REPLICATION, and SELECT on each table for the \
                snapshot.",
        mend: "ALTER ROLE … REPLICATION; GRANT USAGE ON SCHEMA … TO …; GRANT SELECT ON … TO …; \
                penstock check CONFIG prints the statements for this server.",
    },
    Code {
        code: "pg-protocol",
        title: "the server sent what the protocol does not allow",
        means: "A message was malformed or out of order. A new connection starts again at the last \
                whole transaction; nothing is lost.",
        mend: "If it goes on, look for something between Penstock and the server that does not \
                speak replication (a connection pooler), and report it with the lines around.",
    },
    Code {
        code: "pg-publication",
        title: "what the publications tell",
        means: "The main publication tells inserts, updates, deletes and truncates of the captured \
                tables. PostgreSQL refuses UPDATE and DELETE on a published table that has no \
                replica identity.",
        mend: "The finding names the statement: a primary key, REPLICA IDENTITY FULL, or taking \
                the table out of the publication.",
    },
    Code {
        code: "pg-publication-late",
        title: "a table without replica identity came after the slot was made",
        means: "Such tables go to a second publication that tells inserts and truncates alone. It \
                must exist before the slot, because the slot decodes old log with the catalogue of \
                that time.",
        mend: "Give the table a primary key or ALTER TABLE … REPLICA IDENTITY FULL, or leave it \
                out with source.exclude_tables. Else drop the slot (penstock offsets delete \
                --drop-slot CONFIG) and run again for a new snapshot.",
    },
    Code {
        code: "pg-publication-lost",
        title: "the publication does not exist where the slot stands",
        means: "The slot decodes its log with the catalogue of that time. A publication that was \
                made after the slot, or dropped and made again, is missing there on every try.",
        mend: "Drop the slot (penstock offsets delete --drop-slot CONFIG) and run again: \
                publications, slot and a new snapshot are made in this order.",
    },
    Code {
        code: "pg-publication-missing",
        title: "the publication does not exist and is not to be made",
        means: "publication_autocreate_mode is \"disabled\" (or \"no_tables\" beside a slot that \
                exists), so somebody else makes the publication. The server publishes nothing \
                without it.",
        mend: "CREATE PUBLICATION … FOR TABLE …; before the slot is made, or set \
                publication_autocreate_mode = \"filtered\".",
    },
    Code {
        code: "pg-publication-right",
        title: "the role may not make or alter the publications",
        means: "Making a publication takes CREATE on the database and ownership of its tables.",
        mend: "Run the statements of the message as the tables' owner or a superuser, then start \
                again. Or make the role a member of the owner: GRANT owner TO role; GRANT CREATE \
                ON DATABASE … TO role.",
    },
    Code {
        code: "pg-refused",
        title: "the server refused a statement",
        means: "The message is the server's own. Another try would meet the same refusal.",
        mend: "Look at the message and the server's log; penstock check CONFIG may name the \
                cause.",
    },
    Code {
        code: "pg-replica-identity",
        title: "which tables can tell their updates and deletes",
        means: "Without a primary key or another replica identity the log does not say which row \
                an update or delete was about. Such tables are captured for inserts and truncates \
                alone, in a publication of their own.",
        mend: "Add a primary key, or ALTER TABLE … REPLICA IDENTITY FULL (the whole old row goes \
                to the log), or REPLICA IDENTITY USING INDEX ….",
    },
    Code {
        code: "pg-retention",
        title: "how long the server keeps the log for a stopped pipeline",
        means: "A slot holds the log until it is read. Without a limit that can fill the server's \
                disk; with one, a pipeline that is behind for too long loses its slot and needs a \
                new snapshot.",
        mend: "Choose max_slot_wal_keep_size for the longest stop that you want to bear, and \
                watch pg_replication_slots.",
    },
    Code {
        code: "pg-row-security",
        title: "a table has row-level security",
        means: "The session runs with row_security = off: if a policy would hide rows from the \
                role, the snapshot is refused, for hidden rows would be missing in silence.",
        mend: "ALTER ROLE … BYPASSRLS; or let the tables' owner take the snapshot.",
    },
    Code {
        code: "pg-row-too-large",
        title: "a row is larger than the bound",
        means: "Rows of up to 256 MiB are carried; a larger one cannot be.",
        mend: "Leave the table out with source.exclude_tables, or its large column out of the \
                publication with a column list.",
    },
    Code {
        code: "pg-select",
        title: "the role may not read a captured table",
        means: "The snapshot reads every captured table.",
        mend: "GRANT USAGE ON SCHEMA … TO …; GRANT SELECT ON … TO ….",
    },
    Code {
        code: "pg-senders-full",
        title: "walsenders that are left",
        means: "Each pipeline takes one walsender (max_wal_senders), two while it makes its slot.",
        mend: "ALTER SYSTEM SET max_wal_senders = …; and restart the server.",
    },
    Code {
        code: "pg-server",
        title: "the server is starting, stopping or out of resources",
        means: "It is tried again after 1, 2, 4 … 60 seconds, for ever.",
        mend: "Nothing, if the server is being restarted; else look at the server's log.",
    },
    Code {
        code: "pg-silent",
        title: "the server has sent nothing for a long time",
        means: "It is asked for a sign of life every ten seconds. The connection is given up and \
                made anew.",
        mend: "If it goes on, look for a server that is stopped or overloaded, or a network that \
                drops packets.",
    },
    Code {
        code: "pg-slot",
        title: "the replication slot",
        means: "The slot keeps the log from the last confirmed position on.",
        mend: "Start the pipeline that it belongs to, or drop it: SELECT \
                pg_drop_replication_slot('…').",
    },
    Code {
        code: "pg-slot-ahead",
        title: "the slot is confirmed beyond the checkpoint",
        means: "The slot was dropped and made again, or something else reads from it. The changes \
                between checkpoint and slot are gone from this slot, and the server would skip \
                them without a word.",
        mend: "Find out who else uses the slot. Then remove the state (penstock offsets delete \
                CONFIG) and run again for a new snapshot, or set snapshot.mode = \"when_needed\".",
    },
    Code {
        code: "pg-slot-foreign",
        title: "the slot cannot serve this pipeline",
        means: "It is physical, temporary or two-phase, belongs to another database or uses \
                another output plugin than pgoutput.",
        mend: "Choose another name in source.slot.",
    },
    Code {
        code: "pg-slot-in-use",
        title: "the slot is in use by another process",
        means: "A slot has one reader at a time. After a crash or a broken connection the server \
                may take our own old connection for alive until wal_sender_timeout; so this is \
                borne for that time and ten seconds more.",
        mend: "Stop the other reader, or give this pipeline a slot of its own (source.slot).",
    },
    Code {
        code: "pg-slot-lost",
        title: "the server has given the slot up",
        means: "It needed the log for something else (max_slot_wal_keep_size), the slot was idle \
                for too long, or its rows were removed. What was written since the last confirmed \
                position cannot be read any more.",
        mend: "Drop the slot (penstock offsets delete --drop-slot CONFIG) and run again for a new \
                snapshot, or set snapshot.mode = \"when_needed\". Raise max_slot_wal_keep_size.",
    },
    Code {
        code: "pg-slot-missing",
        title: "the slot does not exist any more",
        means: "There is a checkpoint but no slot: it was dropped, and the log since then is not \
                kept. A new slot would begin later and leave a silent gap.",
        mend: "Remove the state (penstock offsets delete CONFIG) and run again for a new \
                snapshot, or set snapshot.mode = \"when_needed\".",
    },
    Code {
        code: "pg-slots-full",
        title: "replication slots that are left",
        means: "Each pipeline needs one slot (max_replication_slots).",
        mend: "Drop a slot that nobody uses (SELECT pg_drop_replication_slot('…')), or ALTER \
                SYSTEM SET max_replication_slots = …; and restart the server.",
    },
    Code {
        code: "pg-snapshot-cut",
        title: "the connection was lost in the middle of the first snapshot",
        means: "All rows of the snapshot come from one view of the database, which ends with its \
                connection. Rows of another view cannot follow them, so the snapshot is taken \
                again from its start.",
        mend: "Nothing, if the pipeline starts again by itself; else start it again.",
    },
    Code {
        code: "pg-standby",
        title: "the server is a standby",
        means: "It takes no writes and lags behind the primary. The next host is tried, and all of \
                them again later.",
        mend: "Name the primary in source.host, or all hosts in source.hosts.",
    },
    Code {
        code: "pg-state-other-source",
        title: "the state is of another kind of source",
        means: "The checkpoint in the state folder was made by a pipeline of this name that reads \
                from another kind of database.",
        mend: "Choose another name or state.path, or remove the state: penstock offsets delete \
                CONFIG.",
    },
    Code {
        code: "pg-streaming-off",
        title: "transactions in progress are not streamed from here on",
        means: "From version 14 on the server sends large transactions while they run, and their \
                rows wait in the state folder until the commit. Here that cannot go on: the folder \
                has no room, a transaction touches very many tables, or it came from another \
                server, whose position is told of whole transactions alone. The reader connects \
                again and lets the server keep them; nothing is lost.",
        mend: "Nothing. If room was missing, make some in the state folder before the next start; \
                slot_stream_params = \"streaming=off\" switches streaming off for good.",
    },
    Code {
        code: "pg-table-rewritten",
        title: "a table was rewritten while the snapshot began",
        means: "To a view that is older than the rewrite the table looks empty. The snapshot \
                begins again under a newer view.",
        mend: "Nothing; avoid ALTER TABLE and TRUNCATE while a snapshot begins.",
    },
    Code {
        code: "pg-timeline",
        title: "the server has another past than the checkpoint",
        means: "After a failover the new primary goes on from the point that it had reached. Here \
                that point lies before what was already delivered, so changes that you have were \
                lost there, and others may stand at the same positions.",
        mend: "Remove the state (penstock offsets delete CONFIG) and run again for a new \
                snapshot, or set snapshot.mode = \"when_needed\". Synchronous replication, and \
                synchronized_standby_slots from version 17 on, prevent it.",
    },
    Code {
        code: "pg-version",
        title: "the version of the server",
        means: "PostgreSQL 13 and later are supported.",
        mend: "Upgrade the server.",
    },
    Code {
        code: "pg-wal-level",
        title: "wal_level decides whether the log holds the rows",
        means: "Only with wal_level = logical does the log hold what a reader of rows needs.",
        mend: "ALTER SYSTEM SET wal_level = 'logical'; and restart the server.",
    },
];
