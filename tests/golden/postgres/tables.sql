-- The tables of the captures. One statement a paragraph; run by capture.py.

CREATE EXTENSION IF NOT EXISTS citext

CREATE TYPE mood AS ENUM ('sad', 'it''s "ok"', 'happy')

CREATE DOMAIN price AS numeric(12,2)

CREATE DOMAIN short_text AS varchar(20)

CREATE TABLE all_types (
  id bigint PRIMARY KEY, b bool, i2 int2, i4 int4, i8 int8, o oid, f4 float4, f8 float8,
  n numeric, n12 numeric(12,2), n30 numeric(38,10), n0 numeric(5,0), t text, v varchar(40), c char(8),
  nm name, ct citext, x xml, u uuid, j json, jb jsonb, d date, ti time, ti3 time(3), tz timetz,
  ts timestamp, ts3 timestamp(3), tstz timestamptz, tstz0 timestamptz(0), tstz3 timestamptz(3), by bytea, bit1 bit(1), bit10 bit(10),
  vb varbit, m mood, p price, st short_text, inet inet, cidr cidr, mac macaddr)

CREATE TABLE keyed (
  id int PRIMARY KEY, name text NOT NULL, n int NOT NULL, price numeric(8,2) NOT NULL, at timestamptz NOT NULL,
  note text, rank int DEFAULT 5, made timestamp DEFAULT now(), doc text)

ALTER TABLE keyed ALTER COLUMN doc SET STORAGE EXTERNAL

CREATE TABLE whole (id int PRIMARY KEY, n int, doc text)

ALTER TABLE whole ALTER COLUMN doc SET STORAGE EXTERNAL

ALTER TABLE whole REPLICA IDENTITY FULL

CREATE TABLE by_index (id int PRIMARY KEY, code text NOT NULL, n int)

CREATE UNIQUE INDEX by_index_code ON by_index (code)

ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_code

CREATE TABLE no_key (a int, b text)

CREATE TABLE two_keys (b text, a int, v int, PRIMARY KEY (a, b))

CREATE PUBLICATION golden FOR TABLE all_types, keyed, whole, by_index, no_key, two_keys
