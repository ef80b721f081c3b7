#!/usr/bin/env python3
"""Captures what a PostgreSQL server sends for tables.sql and changes.sql.

    capture.py SOCKET_FOLDER PORT [-extensions] > pgNN.capture

With `-extensions`: of tables-extensions.sql and changes-extensions.sql (PostGIS, pgvector).

Lines: `T oid name typtype base base_typmod element delimiter labels` (types of columns and what they
are made of; element of an array, else 0; labels of an enum as a JSON list), `C schema table column
not-null default` (columns; the default is a JSON string or null), `K schema table column…` (primary
keys), `L lsn hex` (a message of pgoutput, protocol 1), `S schema table hex` (a DataRow body of a
snapshot query, its columns in the order of the log, taken after all changes but the last three).
"""
import json
import pathlib
import socket
import struct
import sys

folder, port, suffix = sys.argv[1], sys.argv[2], (sys.argv + [""])[3]
here = pathlib.Path(__file__).parent


class Server:
    def __init__(self, database):
        self.wire = socket.socket(socket.AF_UNIX)
        self.wire.connect(f"{folder}/.s.PGSQL.{port}")
        options = "-c TimeZone=UTC -c DateStyle=ISO -c IntervalStyle=postgres -c extra_float_digits=3 -c bytea_output=hex -c synchronous_commit=on"
        body = struct.pack("!I", 3 << 16)
        for word in ["user", "postgres", "database", database, "client_encoding", "UTF8", "options", options, ""]:
            body += word.encode() + b"\0"
        self.wire.sendall(struct.pack("!I", len(body) + 4) + body)
        self.rows()

    def read(self, count):
        data = b""
        while len(data) < count:
            data += self.wire.recv(count - len(data)) or sys.exit("server closed the connection")
        return data

    def rows(self):
        """DataRow bodies up to ReadyForQuery."""
        rows, error = [], None
        while True:
            kind, length = struct.unpack("!cI", self.read(5))
            body = self.read(length - 4)
            if kind == b"D":
                rows.append(body)
            elif kind == b"E":
                error = body
            elif kind == b"Z":
                if error:
                    sys.exit(error.decode(errors="replace"))
                return rows

    def query(self, sql):
        body = sql.encode() + b"\0"
        self.wire.sendall(b"Q" + struct.pack("!I", len(body) + 4) + body)
        return self.rows()

    def cells(self, sql):
        result = []
        for body in self.query(sql):
            at, row = 2, []
            for _ in range(struct.unpack_from("!H", body)[0]):
                (length,) = struct.unpack_from("!i", body, at)
                at += 4
                row.append(None if length < 0 else body[at : at + length].decode())
                at += max(length, 0)
            result.append(row)
        return result


def paragraphs(name):
    text = "\n".join(line for line in (here / name).read_text().splitlines() if not line.startswith("--"))
    return [part.strip() for part in text.split("\n\n") if part.strip()]


admin = Server("postgres")
admin.query("DROP DATABASE IF EXISTS golden WITH (FORCE)")
admin.query("CREATE DATABASE golden ENCODING 'UTF8' TEMPLATE template0")
server = Server("golden")
for statement in paragraphs(f"tables{suffix}.sql"):
    server.query(statement)
server.query("SELECT pg_create_logical_replication_slot('golden', 'pgoutput')")
changes = paragraphs(f"changes{suffix}.sql")
for statement in changes[:-3]:
    server.query(statement)

catalogue = "pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid"
tables = [row[0] for row in server.cells("SELECT tablename FROM pg_publication_tables ORDER BY 1")]
used = """WITH RECURSIVE used (oid) AS (
    SELECT atttypid FROM pg_attribute JOIN pg_publication_tables p ON attrelid = format('%I.%I', schemaname, tablename)::regclass
        WHERE attnum > 0 AND NOT attisdropped
    UNION SELECT part FROM used JOIN pg_type t ON t.oid = used.oid, unnest(ARRAY[typelem, typbasetype]) part WHERE part <> 0)
  SELECT t.oid, typname, typtype, typbasetype, typtypmod, CASE WHEN typcategory = 'A' THEN typelem ELSE 0 END, typdelim,
    coalesce((SELECT json_agg(enumlabel ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid), '[]')
  FROM pg_type t JOIN used ON used.oid = t.oid ORDER BY t.oid"""
for row in server.cells(used):
    print("T", *row)
for table in tables:
    columns = server.cells(
        f"SELECT s.nspname, relname, attname, attnotnull, pg_get_expr(adbin, adrelid) FROM {catalogue}"
        " LEFT JOIN pg_attrdef d ON adrelid = attrelid AND adnum = attnum"
        f" WHERE relname = '{table}' AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
    )
    for schema, name, column, not_null, default in columns:
        print("C", schema, name, column, not_null, json.dumps(default))
    key = server.cells(
        f"SELECT attname FROM {catalogue} JOIN pg_index ON indrelid = c.oid AND indisprimary"
        f" WHERE relname = '{table}' AND attnum = ANY (indkey) ORDER BY array_position(indkey::int[], attnum::int)"
    )
    print("K", "public", table, *(column for (column,) in key))
    order = " ORDER BY 1" if table in ("all_types", "keyed", "rare_types", "arrays", "toasted") else ""
    for body in server.query(f"SELECT * FROM ONLY {table}{order}"):
        print("S", "public", table, body.hex())
for statement in changes[-3:]:
    server.query(statement)
stream = "pg_logical_slot_peek_binary_changes('golden', NULL, NULL, 'proto_version', '1', 'publication_names', 'golden')"
for lsn, data in server.cells(f"SELECT lsn, encode(data, 'hex') FROM {stream}"):
    print("L", lsn, data)
server.query("SELECT pg_drop_replication_slot('golden')")
