-- MySQL and MariaDB: a table for each family of types, so that one type that fails does not hide
-- the others. `id` numbers the rows; the values come twice: before the snapshot and in the log.
create table t_int (id int not null auto_increment primary key,
  i8 tinyint, i8u tinyint unsigned, i16 smallint, i16u smallint unsigned, i24 mediumint,
  i24u mediumint unsigned, i32 int, i32u int unsigned, i64 bigint, i64u bigint unsigned,
  one tinyint(1), yes boolean, zf int(5) unsigned zerofill);
create table t_decimal (id int not null auto_increment primary key,
  d0 decimal(5,0), d2 decimal(10,2), d65 decimal(65,30), dd decimal, n4 numeric(9,4), du decimal(6,3) unsigned);
create table t_float (id int not null auto_increment primary key,
  f float, fmd float(7,3), d double, dmd double(12,4), f30 float(30), fu float unsigned);
create table t_real (id int not null auto_increment primary key, r real);
create table t_text (id int not null auto_increment primary key,
  c char(10), v varchar(300), tt tinytext, t text, mt mediumtext, lt longtext,
  l1 varchar(40) character set latin1, as1 varchar(40) character set ascii, u3 varchar(40) character set utf8mb3,
  bincoll varchar(20) collate utf8mb4_bin);
create table t_charset (id int not null auto_increment primary key,
  l2 varchar(40) character set latin2, cp1250 varchar(40) character set cp1250, cp1251 varchar(40) character set cp1251,
  greek varchar(40) character set greek, koi8r varchar(40) character set koi8r, hebrew varchar(40) character set hebrew);
create table t_charset_wide (id int not null auto_increment primary key,
  u16 varchar(40) character set utf16, u32 varchar(40) character set utf32, ucs varchar(40) character set ucs2,
  sj varchar(40) character set sjis, ej varchar(40) character set ujis, gb varchar(40) character set gbk,
  b5 varchar(40) character set big5, ek varchar(40) character set euckr);
create table t_binary (id int not null auto_increment primary key,
  b binary(6), vb varbinary(300), tb tinyblob, bl blob, mb mediumblob, lb longblob, cb varchar(20) character set binary);
create table t_date (id int not null auto_increment primary key, d date, y year);
create table t_time (id int not null auto_increment primary key,
  t0 time, t1 time(1), t2 time(2), t3 time(3), t4 time(4), t5 time(5), t6 time(6));
create table t_time_small (id int not null auto_increment primary key, t0 time, t3 time(3), t6 time(6));
create table t_datetime (id int not null auto_increment primary key,
  d0 datetime, d1 datetime(1), d2 datetime(2), d3 datetime(3), d4 datetime(4), d5 datetime(5), d6 datetime(6));
create table t_datetime_near (id int not null auto_increment primary key, d0 datetime, d3 datetime(3), d6 datetime(6));
create table t_timestamp (id int not null auto_increment primary key,
  t0 timestamp null, t1 timestamp(1) null, t2 timestamp(2) null, t3 timestamp(3) null, t4 timestamp(4) null,
  t5 timestamp(5) null, t6 timestamp(6) null);
create table t_year_small (id int not null auto_increment primary key, d date, d0 datetime, d6 datetime(6));
create table t_zero (id int not null auto_increment primary key,
  dn date, dnn date not null, dtn datetime, dtnn datetime(3) not null, dt6nn datetime(6) not null,
  tsn timestamp null, tsnn timestamp(6) not null default '2001-02-03 04:05:06.123456');
create table t_bit (id int not null auto_increment primary key,
  b1 bit(1), b2 bit(2), b8 bit(8), b9 bit(9), b16 bit(16), b33 bit(33), b64 bit(64));
create table t_enum (id int not null auto_increment primary key,
  e enum('a','b c','d,e','f''g','é'), s set('x','y','z','é'), el enum('é','ß') character set latin1);
create table t_json (id int not null auto_increment primary key, j json);
create table t_geometry (id int not null auto_increment primary key,
  g geometry, p point, l linestring, pg polygon, mp multipoint, ml multilinestring, mpg multipolygon, gc geometrycollection);
create table t_default (id int not null auto_increment primary key,
  i int default 5, inn int not null default 7, iz int not null, b bigint unsigned default 18446744073709551615,
  d decimal(10,2) default 1.5, f float default 1.5, db double default 2.25, s varchar(20) default 'a''b\\c',
  snn varchar(20) not null default '', c char(3) default 'x', vb varbinary(5) default 'ab', da date default '2020-01-02',
  t time default '01:02:03', t3 time(3) default '01:02:03.456', dt datetime default '2020-01-02 03:04:05',
  dt3 datetime(3) default '2020-01-02 03:04:05.678', dt6 datetime(6) default '2020-01-02 03:04:05.678901',
  ts timestamp null default '2020-01-02 03:04:05', tsc timestamp null default current_timestamp,
  tsnn timestamp not null default current_timestamp on update current_timestamp,
  dtc datetime default current_timestamp, dtc6 datetime(6) default current_timestamp(6),
  y year default 2021, e enum('a','b') default 'b', st set('x','y') default 'x,y', b1 bit(1) default b'1',
  b9 bit(9) default b'101', one tinyint(1) default 1, yes boolean default true);
create table t_default_expr (id int not null auto_increment primary key,
  i int default (1 + 2), s varchar(40) default (concat('a', 'b')), j json default (json_object()), t text default ('x'),
  g int generated always as (i * 2) virtual, gs int generated always as (i * 3) stored);

-- keys
create table k_composite (b int not null, a varchar(10) not null, v int, primary key (a, b));
create table k_none (a int, b varchar(10));
create table k_unique (a int, b int not null, c int not null, unique key u_null (a), unique key u_bc (c, b));
create table k_unique_null (a int, b int, unique key u (a));
create table k_change (id int not null primary key, v varchar(20));
create table k_prefix (s varchar(50) not null, v int, primary key (s(10)));
create table k_invisible (id int not null primary key, a int, b int, unique key (b));
create table k_text (k varchar(20) character set latin1 not null primary key, v int);
create table k_unsigned (k bigint unsigned not null primary key, v int);
create table k_date (d date not null, t time(3) not null, dt datetime not null, ts timestamp(3) not null default '2020-01-01 00:00:00', v int, primary key (d, t, dt, ts));
create table k_bin (k binary(4) not null primary key, v int);
create table `odd name-1.x` (`a b` int not null primary key, `c"d` int, `é` int);

-- statements
create table s_multi (id int not null primary key, v int);
create table s_other (id int not null primary key, v int);
create table s_xa (id int not null primary key, v int);
create table s_truncate (id int not null primary key, v int);
create table s_ddl (id int not null primary key, a int, b varchar(10));
create table s_same (id int not null primary key, a int, b varchar(10));
create table s_mask (id int not null primary key, m varchar(40), t varchar(40), h varchar(40), n varchar(40));
create table z_empty (id int not null primary key, v int);
create table z_empty2 (id int not null primary key, v int);
create table caught_up (id int not null primary key, n int);
