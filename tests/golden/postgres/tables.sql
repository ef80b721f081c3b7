-- The tables of the captures. One statement a paragraph; run by capture.py.

CREATE EXTENSION IF NOT EXISTS citext

CREATE EXTENSION hstore

CREATE EXTENSION ltree

CREATE EXTENSION isn

CREATE TYPE mood AS ENUM ('sad', 'it''s "ok"', 'happy')

CREATE DOMAIN price AS numeric(12,2)

CREATE DOMAIN short_text AS varchar(20)

CREATE DOMAIN net_price AS price

CREATE DOMAIN prices AS numeric(8,2)[]

CREATE TYPE pair AS (a int, b text)

CREATE TYPE span AS RANGE (subtype = float8)

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

CREATE TABLE rare_types (
  id int PRIMARY KEY, c "char", mo money, iv interval DEFAULT '1 day', hs hstore, lt ltree, isb isbn, i13 isbn13, tsv tsvector, tsq tsquery,
  r4 int4range, r8 int8range, rn numrange, rts tsrange, rtz tstzrange, rd daterange, rf span, mr int4multirange,
  mac8 macaddr8, vb1 varbit(1), vb5 varbit(5), pt point, bx box, ls lseg, pa path, po polygon, li line, ci circle,
  lsn pg_lsn, rc regclass, xi xid, sn pg_snapshot, jp jsonpath, ti tid, pr pair, np net_price, nn numeric(3,-2), nb numeric(5,9), iv2 int2vector,
  mood mood DEFAULT 'it''s "ok"')

CREATE TABLE arrays (
  id int PRIMARY KEY, b bool[], i2 int2[], i4 int4[], i8 int8[], o oid[], f4 float4[], f8 float8[], n numeric[], n2 numeric(10,2)[],
  t text[], v varchar(20)[], c char(3)[], ch "char"[], by bytea[], d date[], ti time[], ti3 time(3)[], tz timetz[], ts timestamp[],
  tstz timestamptz[], tstz3 timestamptz(3)[], u uuid[], j json[], jb jsonb[], inet inet[], cidr cidr[], mac macaddr[], mac8 macaddr8[],
  r4 int4range[], r8 int8range[], rn numrange[], rts tsrange[], rtz tstzrange[], rd daterange[], m mood[], ct citext[], hs hstore[],
  lt ltree[], isb isbn[], tsv tsvector[], mo money[], nm name[], iv interval[], vb varbit[], x xml[], pt point[], bt bit(3)[],
  bx box[], ls lseg[], lsn pg_lsn[], p price[], ps prices, pr pair[])

CREATE TABLE fallbacks (
  id int PRIMARY KEY, mo money NOT NULL, iv interval NOT NULL, hs hstore NOT NULL, lt ltree NOT NULL, pt point NOT NULL, ia int[] NOT NULL, r int4range NOT NULL)

CREATE TABLE toasted (
  id int PRIMARY KEY, n int, t text, x xml, j json, jb jsonb, by bytea, hs hstore, nu numeric, ta text[], va varchar[], ca char(200)[], ja json[],
  jba jsonb[], bya bytea[], ia int4[], da date[], la int8[], ua uuid[], fa float8[], tsv tsvector, lt ltree, vb varbit, pa path) WITH (toast_tuple_target = 128)

CREATE TABLE toasted_whole (id int PRIMARY KEY, n int, t text, hs hstore, fa float8[], nu numeric, by bytea) WITH (toast_tuple_target = 128)

ALTER TABLE toasted_whole REPLICA IDENTITY FULL

DO $$ DECLARE c record; BEGIN
  FOR c IN SELECT attrelid::regclass AS t, attname FROM pg_attribute
    WHERE attrelid IN ('toasted'::regclass, 'toasted_whole'::regclass) AND attnum > 2 LOOP
    EXECUTE format('ALTER TABLE %s ALTER %I SET STORAGE EXTERNAL', c.t, c.attname);
  END LOOP; END $$

CREATE PUBLICATION golden FOR TABLE all_types, keyed, whole, by_index, no_key, two_keys, rare_types, arrays, fallbacks, toasted, toasted_whole
