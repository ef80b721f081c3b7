-- What rows.sql and extra.sql leave out. Lines behind `-- only FAMILY…` are for those servers alone.
set names utf8mb4;
set sql_mode='NO_AUTO_VALUE_ON_ZERO';
set time_zone='+00:00';
drop table if exists every_type, texts, old_times, keys_of;
create table every_type (
 id int primary key,
 d1 double, d2 double, f1 float, fm float(7,3), dl decimal(65,30), ds decimal(1,0), df decimal(30,30),
 y0 year, t6 time(6), t1 time(1), da date, dt datetime(6), d2y datetime, ts timestamp(6) null,
 b5 bit(5), b64 bit(64),
 en enum('да','нет') charset cp1251,
 se set('m0','m1','m2','m3','m4','m5','m6','m7','m8','m9','m10','m11','m12','m13','m14','m15','m16','m17','m18','m19','m20','m21','m22','m23','m24','m25','m26','m27','m28','m29','m30','m31','m32','m33','m34','m35','m36','m37','m38','m39','m40','m41','m42','m43','m44','m45','m46','m47','m48','m49','m50','m51','m52','m53','m54','m55','m56','m57','m58','m59','m60','m61','m62','m63'),
 po point, ps point, ge geometry, ls linestring, pg polygon, mp multipoint, ml multilinestring, mo multipolygon, gc geometrycollection,
 gv int generated always as (id + 1) virtual, gs varchar(20) generated always as (concat('g', id)) stored, iv int default 7 invisible,
-- only mysql97
 js json, ve vector(3),
-- only mariadb1011 mariadb118
 uu uuid, i6 inet6, i7 inet6, cv varchar(100) compressed charset latin1, cw varchar(300) compressed charset utf8mb4, cb mediumblob compressed, ct text compressed charset utf16, ce tinytext compressed, js json,
-- only mariadb118
 i4 inet4, vm vector(2), tl timestamp null,
-- only mysql97 mariadb1011 mariadb118
 la varchar(10) charset latin7
) charset utf8mb4;
insert into every_type (id, d1, d2, f1, fm, dl, ds, df, y0, t6, t1, da, dt, d2y, ts, b5, b64, en, se, po, ps, ge, ls, pg, mp, ml, mo, gc, iv, la,
-- only mysql97
 js, ve
-- only mariadb1011
 uu, i6, i7, cv, cw, cb, ct, ce, js
-- only mariadb118
 uu, i6, i7, cv, cw, cb, ct, ce, js, i4, vm, tl
-- only mysql97 mariadb1011 mariadb118
) values (1, 4.9e-324, 1.7976931348623157e308, 3.4028234e38, 1.1, -0.000000000000000000000000000001, -9, 0.123456789012345678901234567890,
 0, '-838:59:59.000000', '-00:00:00.1', '9999-12-31', '9999-12-31 23:59:59.999999', '0069-12-31 23:59:59', '2038-01-19 03:14:07.999999',
 b'10101', b'1000000000000000000000000000000000000000000000000000000000000001', 'нет', 'm0,m31,m32,m63',
 st_geomfromtext('POINT(1.5 -2)'), st_geomfromtext('POINT(3 4)', 3857), st_geomfromtext('LINESTRING(0 0,1 1)', 3857), st_geomfromtext('LINESTRING(0 0,1 1,2 -1.5)'),
 st_geomfromtext('POLYGON((0 0,4 0,4 4,0 0))'), st_geomfromtext('MULTIPOINT((0 0),(1 1))'), st_geomfromtext('MULTILINESTRING((0 0,1 1),(2 2,3 3))'),
 st_geomfromtext('MULTIPOLYGON(((0 0,4 0,4 4,0 0)))'), st_geomfromtext('GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))'), 8, 'ąž',
-- only mysql97
 json_object('dec', cast(1.10 as decimal(5,2)), 'date', cast('2024-02-29' as date), 'time', cast('-838:59:59.5' as time(1)), 'dt', cast('2024-02-29 01:02:03.000450' as datetime(6)), 'bin', cast(x'00ff10' as binary), 'k"\\\t', json_array(1e308, -0.0, true, null, 18446744073709551615)), to_vector('[1,-2.5,3e38]')
-- only mariadb1011
 '123e4567-e89b-12d3-a456-426655440000', '2001:db8::ff00:42:8329', '::192.0.2.1', 'é"', repeat('x', 200), repeat(x'00ff', 100), repeat('中', 30), '', '{"a": 1}'
-- only mariadb118
 '123e4567-e89b-12d3-a456-426655440000', '2001:db8::ff00:42:8329', '::192.0.2.1', 'é"', repeat('x', 200), repeat(x'00ff', 100), repeat('中', 30), '', '{"a": 1}', '10.0.0.0', vec_fromtext('[1,-2.5]'), '2106-02-07 06:28:14'
-- only mysql97 mariadb1011 mariadb118
);
insert into every_type (id) values (2);
insert into every_type (id, d1, d2, f1, fm, dl, ds, df, y0, t6, t1, da, dt, d2y, ts, b5, b64, en, se, po, ge, iv, la,
-- only mysql97
 js, ve
-- only mariadb1011 mariadb118
 i6, i7, cv, cw, cb
-- only mysql97 mariadb1011 mariadb118
) values (3, -0.0, 1e22, 1e-45, -1.1, 99999999999999999999999999999999999.999999999999999999999999999999, 0, -0.5,
 2155, '838:59:59', '24:00:00', '0070-01-01', '0000-00-00', '0099-12-31 00:00:00', '0000-00-00 00:00:00',
 b'0', b'0', '', '', st_geomfromtext('POINT(0 0)'), st_geomfromtext('POINT(-1e-7 1e10)'), null, '',
-- only mysql97
 '"plain"', to_vector('[0,1e-30,-1]')
-- only mariadb1011 mariadb118
 '::', '::ffff:1.2.3.4', '', 'a', x'00'
-- only mysql97 mariadb1011 mariadb118
);
create table texts (
 id int primary key, big5 varchar(9) charset big5, gb2312 varchar(9) charset gb2312, gbk varchar(9) charset gbk, sjis varchar(9) charset sjis, cp932 varchar(9) charset cp932,
 ujis varchar(9) charset ujis, eucjpms varchar(9) charset eucjpms, euckr varchar(9) charset euckr, ucs2 char(9) charset ucs2, utf16 text charset utf16, utf16le varchar(9) charset utf16le, utf32 char(9) charset utf32,
 ascii_ char(9) charset ascii, swe7 varchar(9) charset swe7, greek varchar(9) charset greek, hebrew varchar(9) charset hebrew, koi8u text charset koi8u, tis620 varchar(9) charset tis620, macroman varchar(9) charset macroman,
 se set('é','中') charset utf16, en enum('ä"','ö') charset swe7
);
insert into texts values (1, '中"a', '中', '丂\\', '日ｱ', '①', '丂', '～', '갂', 'é"\n', '😀"', '😀', '中', 'a"~', 'åÄ{', 'αω', 'את', 'Єє', 'กอ', 'ä€', '中,é', 'ö');
update texts set utf16 = 'x', swe7 = 'ö' where id = 1;
delete from texts;
-- only mariadb1011 mariadb118
set global mysql56_temporal_format=OFF;
create table old_times (id int primary key, o_time time, o_dt datetime, o_ts timestamp null);
set global mysql56_temporal_format=ON;
insert into old_times values (1, '-838:59:59', '9999-12-31 23:59:59', '2038-01-19 03:14:07'), (2, '12:34:56', '0000-00-00 00:00:00', '0000-00-00 00:00:00'), (3, null, '2024-02-00 00:00:00', null);
-- only mysql97 mariadb1011 mariadb118
create table keys_of (a varchar(9) charset gbk, b bit(9), c date, d enum('x','ж') charset koi8r, e varbinary(5), f decimal(9,3), g time(3), primary key (a, b, c, d, e, f, g));
insert into keys_of values ('中"', b'100000001', '2024-02-29', 'ж', x'00ff', -1.5, '-01:02:03.004');
update keys_of set a = '丂' where d = 'ж';
delete from keys_of;
