-- Edge values of each type; run before the snapshot and again in the log.
set timezone = 'Europe/Paris';
insert into t_int (b, i2, i4, i8, o) values (false, 0, 0, 0, 0), (true, -32768, -2147483648, -9223372036854775808, 1), (true, 32767, 2147483647, 9223372036854775807, 4294967295), (null, null, null, null, null);
insert into t_float (f4, f8) values (0, 0), ('-0', '-0'), (1.1, 1.1), (3.4028235e38, 1.7976931348623157e308), (1.17549435e-38, 2.2250738585072014e-308), (1e-45, 5e-324),
 (16777216, 1e7), (9999999, 9999999), (0.001, 0.001), (0.0001, 0.0001), (123456.789, 123456789012345680), ('NaN', 'NaN'), ('Infinity', 'Infinity'), ('-Infinity', '-Infinity'), (1e21, 1e21), (null, null);
insert into t_numeric (n0, n2, n38) values (0, 0, 0), (1, 1.1, 1.1), (-99999, -12345678.91, -123456789012345678901234567890.12345678901234567890), (127, 1.27, 1e-20), (128, 1.28, 1), (-128, -1.28, -0.5), (-129, -1.29, 9), (null, null, null);
insert into t_numeric_free (n) values (0), (0.00), (1), (1.1), (1.10), (100), (1e20), (-12345.6789), (1e-20), (123456789012345678901234567890.123456789), (-0.5), (null);
insert into t_numeric_neg (n) values (0), (1200), (-99900), (null);
insert into t_money (m) values (0), (1.5), (-1234567.89), (92233720368547758.07), (null);
insert into t_text (t, v, c, bp, ch) values ('', '', '', '', ''), (E'a"b\\c\n\r\t\b\f\x01\x1f\x7f/', 'é€', 'ab', 'abc  ', 'a'), ('😀中文', repeat('é', 300), 'é', ' x ', '1'), (repeat('x', 3000), '  ', '     ', '', 'z'), (null, null, null, null, null);
insert into t_name (n) values ('abc'), (repeat('n', 63)), (null);
insert into t_citext (ci, lt, isb) values ('AbC', 'Top.Science.Astronomy', '978-0-393-04002-9'), ('', '', null), (null, null, null);
insert into t_search (ts, tq) values ('a fat cat:3A', 'fat & (rat | cat)'), ('', ''), (null, null);
insert into t_xml (x) values ('<a b="1">x<c/></a>'), (null);
insert into t_json (j, jb) values ('{}', '{}'), ('[]', '[]'), ('null', 'null'), ('{"b":1,  "a": [1, 2.50, "x", null, true], "b": 2}', '{"b":1,  "a": [1, 2.50, "x", null, true], "b": 2}'), ('"t\u00e9"', '"t\u00e9\n"'), ('1e30', '1e30'), (null, null);
insert into t_uuid (u) values ('00000000-0000-0000-0000-000000000000'), ('123E4567-e89b-12d3-a456-426655440000'), (null);
insert into t_net (i, c, m, m8) values ('192.168.0.1', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05'), ('192.168.0.1/24', '2001:db8::/32', null, null), ('::1', '0.0.0.0/0', '00:00:00:00:00:00', null), (null, null, null, null);
insert into t_bytea (b) values (''), ('\x00'), ('\xdeadbeef'), ('\xfbfffe'), (decode(repeat('7f', 3000), 'hex')), (null);
insert into t_bit (b1, b8, b10, vb, vb1, vb20) values (B'0', B'00000000', B'0000000000', B'', B'0', B'0'), (B'1', B'10000001', B'1000000001', B'1', B'1', B'101'), (B'1', B'00000001', B'0000000001', B'1111000011110000111', B'1', B'00000000000000000001'), (B'1', B'11111111', B'1111111111', B'0000000000', null, B'11111111111111111111'), (null, null, null, null, null, null);
insert into t_date (d) values ('2017-09-15'), ('1970-01-01'), ('1969-12-31'), ('0001-01-01'), ('0001-12-31 BC'), ('4713-01-01 BC'), ('9999-12-31'), ('12345-06-07'), ('1582-10-10'), (null);
insert into t_clock (t, t0, t3, t6) values ('00:00', '00:00', '00:00', '00:00'), ('04:05:11.789012', '04:05:11', '04:05:11.789', '04:05:11.789012'), ('23:59:59.999999', '23:59:59', '23:59:59.999', '23:59:59.999999'), ('24:00:00', '24:00:00', '24:00:00', '24:00:00'), (null, null, null, null);
insert into t_timetz (tz, tz0, tz3) values ('00:00+00', '00:00+00', '00:00+00'), ('13:51:30.123789+02', '13:51:30+02', '13:51:30.120+02'), ('01:00-11:30', '01:00+15:59', '23:00:00.5-01'), ('24:00:00+00', '24:00:00+00', '24:00:00+00'), (null, null, null);
insert into t_timestamp (ts, ts0, ts3, ts6) values ('1970-01-01', '1970-01-01', '1970-01-01', '1970-01-01'), ('2019-07-09 02:28:57.123456', '2019-07-09 02:28:57', '2019-07-09 02:28:57.123', '2019-07-09 02:28:57.123456'),
 ('1969-12-31 23:59:59.999999', '1969-12-31 23:59:59', '1969-12-31 23:59:59.999', '1969-12-31 23:59:59.999999'), ('1900-01-01 00:00:00.000001', '1900-01-01', '1900-01-01 00:00:00.001', '1900-01-01'),
 ('2024-02-29 12:00:00.1', '2024-02-29 12:00:00', '2024-02-29 12:00:00.1', '2024-02-29 12:00:00.1'), (null, null, null, null);
insert into t_timestamp_inf (ts, ts3) values ('infinity', 'infinity'), ('-infinity', '-infinity'), ('0001-01-01', '0001-01-01'), ('0044-03-15 12:00:00 BC', '0044-03-15 12:00:00 BC'), ('12345-06-07 08:09:10', '12345-06-07 08:09:10'), ('1500-01-01', '1500-01-01');
insert into t_timestamptz (tz, tz0, tz3, tz6) values ('1970-01-01+00', '1970-01-01+00', '1970-01-01+00', '1970-01-01+00'), ('2020-04-01 13:51:02.123456+02', '2020-04-01 13:51:02+02', '2020-04-01 13:51:02.120+02', '2020-04-01 13:51:02.1+02'),
 ('1969-12-31 23:59:59.999999+00', '1969-12-31 23:59:59+00', '1969-12-31 23:59:59.999+00', '2020-04-01 11:51:02+00'), ('1900-01-01+00', '1900-01-01+00', '1900-01-01+00', '1900-01-01+00'), (null, null, null, null);
insert into t_timestamptz_inf (tz, tz3) values ('infinity', 'infinity'), ('-infinity', '-infinity'), ('0044-03-15 12:00:00+00 BC', '0044-03-15 12:00:00+00 BC'), ('0001-01-01+00', '0001-01-01+00'), ('12345-06-07 08:09:10+00', '12345-06-07 08:09:10+00'), ('1500-01-01+00', '1500-01-01+00');
insert into t_date_inf (d) values ('infinity'), ('-infinity');
insert into t_interval (i, id3, ym) values ('0', '0', '0'), ('1 year 2 months 3 days 4 hours 5 minutes 6.78 seconds', '1.234 seconds', '1 year 2 months'), ('-1 year -2 months +3 days -04:05:06.789', '-00:00:00.001', '-1 month'), ('100 years', '25:00:00', '100 years'), ('1 microsecond', '1 day', '13 months'), (null, null, null);
insert into t_range (i4, i8, n, ts, tz, d) values ('[1,10)', '(1,10]', '[1.5,2.50]', '[2020-01-01,2020-01-02 03:04:05.6)', '[2020-01-01 00:00+00,2020-01-02 00:00+00)', '[2020-01-01,2020-01-02]'), ('empty', '(,)', '(,1]', '(,infinity)', '[2020-01-01 00:00:00.123+00,)', '(,)'), (null, null, null, null, null, null);
insert into t_hstore (h) values ('a=>1, b=>NULL, "c d"=>"e\"f"'), (''), ('key1=>v1,key2=>v2,zz=>v3,aaa=>v4'), (null);
insert into t_geo (p, b, l, c, po, pa, li) values ('(1,2)', '(1,2),(3,4)', '[(1,2),(3,4)]', '<(1,2),3>', '((0,0),(0,1),(1,1))', '[(0,0),(1,1)]', '{1,2,3}'), ('(-1.5,1e10)', null, null, null, null, null, null), (null, null, null, null, null, null, null);
insert into t_enum (m) values ('sad'), ('o,k'), ('hap"py'), (null);
insert into t_domain (d, ml) values (1, 1.5), (2147483647, -1.25), (null, null);
insert into t_pair (p) values (row(1, 'x')), (null);
insert into t_multirange (mr) values ('{[1,3), [5,7)}'), (null);
insert into t_lsn (l) values ('16/B374D848'), (null);
insert into t_array_int (i2, i4, i8, b, f4, f8, o) values ('{}', '{}', '{}', '{}', '{}', '{}', '{}'), ('{1,-2,NULL}', '{1,NULL,-2147483648}', '{9223372036854775807,NULL}', '{t,f,NULL}', '{1.1,NULL,NaN}', '{1.1,1e10,Infinity}', '{1,4294967295}'), (null, null, null, null, null, null, null);
insert into t_array_text (t, v, c, u) values ('{}', '{}', '{}', '{}'), (array['a', null, '', 'NULL', 'a,b', 'q"q', 'b\b', '{}', 'é😀', E'\n'], '{x,"y z"}', '{a,bc}', '{123e4567-e89b-12d3-a456-426655440000,NULL}'), (null, null, null, null);
insert into t_array_num (n2, n) values ('{}', '{}'), ('{1.1,NULL,-2}', '{1,2.50,NULL,1e20}'), (null, null);
insert into t_array_time (d, ts, tz, t, tt) values ('{}', '{}', '{}', '{}', '{}'), ('{2020-01-01,NULL,1969-12-31}', '{"2020-01-01 02:03:04.5",NULL}', '{"2020-01-01 02:03:04.5+01",NULL}', '{01:02:03.000004,NULL}', '{01:02:03.5+01,NULL}'), (null, null, null, null, null);
insert into t_array_other (j, jb, by, h, m, i, ci) values ('{}', '{}', '{}', '{}', '{}', '{}', '{}'), (array['{"a": 1}'::json, null, '[1,  2]'], array['{"a":1}'::jsonb, null, '[1,  2]'], array['\x0102'::bytea, null, ''], array['a=>1'::hstore, null], array['sad'::mood, null, 'hap"py'], '{10.0.0.1,NULL}', '{Ab,NULL}'), (null, null, null, null, null, null, null);
insert into t_array_range (r, tr) values ('{}', '{}'), (array['[1,3)'::int4range, null], array['[2020-01-01 00:00+00,2020-01-02 00:00+00)'::tstzrange]), (null, null);
insert into t_array_none (m, n, iv, vb, x, p) values ('{1.5}', '{a}', '{1 day}', '{101}', array['<a/>'::xml], array['(1,2)'::point]), (null, null, null, null, null, null);
insert into t_default default values;
insert into t_default (i, inn, i8, n, nf, f, d, s, v, snn, c, b, da, t, ts, ts3, tz, u, j, by, b8, b1, neg, e) values (null, 0, null, null, null, null, null, null, null, '', null, null, null, null, null, null, null, null, null, null, null, null, null, null);
insert into t_default_fn (tz, ts, d, u, i, s, r, sq) values (null, null, null, null, null, null, null, null), ('2020-01-01+00', '2020-01-01', '2020-01-01', '123e4567-e89b-12d3-a456-426655440000', 1, 's', 0.5, 1);
insert into t_toast (small, big, bigb, bigj) values (1, (select string_agg(md5(i::text), '') from generate_series(1, 200) i), (select decode(string_agg(md5(i::text), ''), 'hex') from generate_series(1, 400) i), (select jsonb_agg(md5(i::text)) from generate_series(1, 200) i));
insert into t_toast_full (small, big, bigb) values (1, (select string_agg(md5(i::text), '') from generate_series(1, 200) i), (select decode(string_agg(md5(i::text), ''), 'hex') from generate_series(1, 400) i));
insert into t_toast_default (small, big) values (1, (select string_agg(md5(i::text), '') from generate_series(1, 200) i));
