-- PostgreSQL: a table for each family of types, so that one type that fails does not hide the others.
create extension if not exists hstore;
create extension if not exists citext;
create extension if not exists ltree;
create extension if not exists isn;
create schema other;
create type mood as enum ('sad', 'o,k', 'hap"py');
create type pair as (a int, b text);
create domain posint as int check (value > 0);
create domain money_like as numeric(12,2);
create table t_int (id serial primary key, b boolean, i2 int2, i4 int4, i8 int8, o oid);
create table t_float (id serial primary key, f4 float4, f8 float8);
create table t_numeric (id serial primary key, n0 numeric(5,0), n2 numeric(10,2), n38 numeric(50,20));
create table t_numeric_free (id serial primary key, n numeric);
create table t_numeric_neg (id serial primary key, n numeric(5,-2));
create table t_nan (id serial primary key, n2 numeric(10,2), n numeric);
create table t_money (id serial primary key, m money);
create table t_text (id serial primary key, t text, v varchar(300), c char(5), bp bpchar, ch "char");
create table t_name (id serial primary key, n name);
create table t_citext (id serial primary key, ci citext, lt ltree, isb isbn);
create table t_search (id serial primary key, ts tsvector, tq tsquery);
create table t_xml (id serial primary key, x xml);
create table t_json (id serial primary key, j json, jb jsonb);
create table t_uuid (id serial primary key, u uuid);
create table t_net (id serial primary key, i inet, c cidr, m macaddr, m8 macaddr8);
create table t_bytea (id serial primary key, b bytea);
create table t_bit (id serial primary key, b1 bit(1), b8 bit(8), b10 bit(10), vb varbit, vb1 varbit(1), vb20 varbit(20));
create table t_date (id serial primary key, d date);
create table t_clock (id serial primary key, t time, t0 time(0), t3 time(3), t6 time(6));
create table t_timetz (id serial primary key, tz timetz, tz0 timetz(0), tz3 timetz(3));
create table t_timestamp (id serial primary key, ts timestamp, ts0 timestamp(0), ts3 timestamp(3), ts6 timestamp(6));
create table t_timestamp_inf (id serial primary key, ts timestamp, ts3 timestamp(3));
create table t_timestamptz (id serial primary key, tz timestamptz, tz0 timestamptz(0), tz3 timestamptz(3), tz6 timestamptz(6));
create table t_timestamptz_inf (id serial primary key, tz timestamptz, tz3 timestamptz(3));
create table t_date_inf (id serial primary key, d date);
create table t_interval (id serial primary key, i interval, id3 interval(3), ym interval year to month);
create table t_range (id serial primary key, i4 int4range, i8 int8range, n numrange, ts tsrange, tz tstzrange, d daterange);
create table t_hstore (id serial primary key, h hstore);
create table t_geo (id serial primary key, p point, b box, l lseg, c circle, po polygon, pa path, li line);
create table t_enum (id serial primary key, m mood);
create table t_domain (id serial primary key, d posint, ml money_like);
create table t_pair (id serial primary key, p pair);
create table t_multirange (id serial primary key, mr int4multirange);
create table t_lsn (id serial primary key, l pg_lsn);
create table t_array_int (id serial primary key, i2 int2[], i4 int4[], i8 int8[], b boolean[], f4 float4[], f8 float8[], o oid[]);
create table t_array_text (id serial primary key, t text[], v varchar(10)[], c char(3)[], u uuid[]);
create table t_array_num (id serial primary key, n2 numeric(10,2)[], n numeric[]);
create table t_array_time (id serial primary key, d date[], ts timestamp[], tz timestamptz[], t time[], tt timetz[]);
create table t_array_other (id serial primary key, j json[], jb jsonb[], by bytea[], h hstore[], m mood[], i inet[], ci citext[]);
create table t_array_range (id serial primary key, r int4range[], tr tstzrange[]);
create table t_array_none (id serial primary key, m money[], n name[], iv interval[], vb varbit[], x xml[], p point[]);
create table t_default (id serial primary key, i int default 5, inn int not null default 7, i8 bigint default 9000000000,
  n numeric(10,2) default 1.5, nf numeric default 1.50, f float4 default 1.5, d float8 default 2.25, s text default 'a''b\c', v varchar(20) default 'v',
  snn text not null default '', c char(5) default 'x', b boolean default true, da date default '2020-01-02',
  t time default '01:02:03.5', ts timestamp default '2020-01-02 03:04:05.678901', ts3 timestamp(3) default '2020-01-02 03:04:05.678',
  tz timestamptz default '2020-01-02 03:04:05+00', u uuid default '123e4567-e89b-12d3-a456-426655440000',
  j jsonb default '{"a": 1}', by bytea default '\x0102', b8 bit(8) default B'10000101', b1 bit(1) default B'1', neg int default -1, e mood default 'sad');
create table t_default_fn (id serial primary key, tz timestamptz default now(), ts timestamp default localtimestamp, d date default current_date,
  u uuid default gen_random_uuid(), i int default (1 + 2), s text default current_user, r float8 default random(), g int generated always as (id * 2) stored, sq int default nextval('t_int_id_seq'));
create table t_toast (id serial primary key, small int, big text, bigb bytea, bigj jsonb);
create table t_toast_full (id serial primary key, small int, big text, bigb bytea);
alter table t_toast_full replica identity full;
create table t_toast_default (id serial primary key, small int, big text not null default 'dflt');

-- keys and replica identities
create table k_composite (b int not null, a varchar(10) not null, v int, primary key (a, b));
create table k_none (a int, b text);
create table k_none_full (a int, b text);
alter table k_none_full replica identity full;
create table k_unique (a int, b int not null, c int not null, n text);
create unique index z_first on k_unique (c, b);
create unique index a_null on k_unique (a);
alter table k_unique replica identity using index z_first;
create table k_full (id int primary key, a int, b text not null);
alter table k_full replica identity full;
create table k_index (id int primary key, u int not null, t text not null, n int);
create unique index k_index_u on k_index (u);
alter table k_index replica identity using index k_index_u;
create table k_nothing (id int primary key, v int);
alter table k_nothing replica identity nothing;
create table k_change (id int primary key, v text);
create table k_notnull (id int primary key, i int not null, b boolean not null, t text not null, n numeric(5,2) not null, f float8 not null,
  d date not null, ti time not null, ts timestamp not null, tz timestamptz not null, u uuid not null, j jsonb not null, by bytea not null, i2 int2 not null, i8 int8 not null, f4 float4 not null, nn text);
create table k_date (d date, t time, ts timestamp(3), tz timestamptz, v int, primary key (d, t, ts, tz));
create table k_text (k text primary key, v int);
create table k_uuid (k uuid primary key, v int);
create table k_numeric (k numeric(10,2) primary key, v int);
create table "Odd name-1.x" ("A b" int primary key, "c""d" int, "é" int);
create table other.elsewhere (id int primary key, v int);
create table s_part (id int, r int, v text, primary key (id, r)) partition by range (r);
create table s_part_1 partition of s_part for values from (0) to (10);
create table s_part_2 partition of s_part for values from (10) to (20);

-- statements
create table s_multi (id int primary key, v int);
create table s_other (id int primary key, v int);
create table s_truncate (id int primary key, v int);
create table s_truncate2 (id int primary key, v int);
create table s_ddl (id int primary key, a int, b text);
create table s_same (id int primary key, a int, b text);
alter table s_same replica identity full;
create table s_mask (id int primary key, m text, t varchar(40), h text, n text);
create table z_empty (id int primary key, v int);
create table caught_up (id int primary key, n int);
