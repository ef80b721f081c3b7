-- The changes of the captures. One transaction a paragraph; run by capture.py.

INSERT INTO all_types (id) VALUES (1)

INSERT INTO all_types VALUES (
  2, true, -32768, -2147483648, -9223372036854775808, 0, -3.4028235e38, -1.7976931348623157e308,
  -12345678901234567890.1234567890, -9999999999.99, -1234567890123456789012345678.0123456789, -99999, '', '', '', 'name', 'CiTeXt', '<a>1</a>',
  '00000000-0000-0000-0000-000000000000', '{"b": 1,  "a" : [1, 2.50]}', '{"b": 1,  "a" : [1, 2.50]}', '4713-01-01 BC', '00:00', '00:00', '00:00:00+15:59',
  '4713-01-01 00:00:00 BC', '1969-12-31 23:59:59.999', '4713-01-01 00:00:00+00 BC', '1969-12-31 23:59:59+00', '0044-03-15 12:00:00.5+00 BC', '', '0', B'0000000000',
  '', 'sad', -0.01, 'x', '10.0.0.1', '10.0.0.0/8', '08:00:2b:01:02:03')

INSERT INTO all_types VALUES (
  3, false, 32767, 2147483647, 9223372036854775807, 4294967295, 3.4028235e38, 1.7976931348623157e308,
  100.500, 9999999999.99, 9999999999999999999999999999.9999999999, 99999, E'q" b\\ s/ \b\f\n\r\t\x01\x1f\x7f é € 𝄞', 'vär', 'ab', 'it''s', 'ß', '<b/>',
  'ffffffff-ffff-ffff-ffff-ffffffffffff', '"x\"y"', '[]', '9999-12-31', '24:00', '23:59:59.999', '23:59:59.999999-15:59',
  '294246-12-31 23:59:59.999999', '9999-12-31 23:59:59.999', '9999-12-31 23:59:59.999999+00', '10000-01-01 00:00:00+00', '2020-04-01 11:51:02.1+00', '\x00ff10', '1', B'1000000001',
  B'10110011100011110000', 'it''s "ok"', 12.5, 'short', '::1/64', '2001:db8::/32', 'ff:ff:ff:ff:ff:ff')

INSERT INTO all_types (id, f4, f8, n, n12, d, ts, ts3, tstz, tz, ti, t, by) VALUES (
  4, 'NaN', 'Infinity', 0, 0, 'infinity', 'infinity', 'infinity', 'infinity', '24:00:00+00', '12:34:56.789012', repeat('0123456789abcdef"', 9), '\x61'),
  (5, '-Infinity', 'NaN', 1e20, 0.05, '-infinity', '-infinity', '-infinity', '-infinity', '11:51:30.1+05:30', '00:00:00.000001', repeat('é', 40), '\x6162'),
  (6, 1e-3, 0.001, -0.0000000000000000000012300, 1.10, '2020-02-29', '2020-02-29 01:02:03.4', '2020-02-29 01:02:03.4', '2020-04-01 11:51:02+02', '11:51:30+00', '04:05:11.789', E'\t', '\x616263'),
  (7, 1e7, 1e7, 1000, -1, '5874897-12-31', '1970-01-01 00:00:00.001', '1970-01-01 00:00:00.001', '2020-04-01 11:51:02.123456-03:30', '01:02:03.000001+00', '00:00:01', 'x', '\xffffffffffffffff'),
  (8, 123456.7, 0.1, 0.10, 100, '0001-01-01', '0001-01-01', '0001-01-01', '0001-01-01+00', '00:00:00.5-00', '10:00', '/', '\x00'),
  (9, 0.00099, 9999999.5, 1e-20, 7, '0001-12-31 BC', '1582-10-15', '1582-10-10', '1900-01-01+00', '00:00+00', '10:00', '', '\x'),
  (10, 16777218, 1e21, 123456789012345678, 1234567890.12, '1970-01-01', '1970-01-01', '1970-01-01', '1970-01-01+00', '00:00+00', '00:00', ' ', '\x20'),
  (11, '-0', '-0', '-0.00', -0.00, '2024-12-31', '2024-12-31 23:59:59.9', '2024-12-31 23:59:59.9', '2024-12-31 23:59:59.9+00', '00:00+00', '00:00', 'a', '\x21')

INSERT INTO all_types (id, n12) VALUES (12, 'NaN')

INSERT INTO all_types (id, n) VALUES (13, 'NaN')

INSERT INTO keyed (id, name, n, price, at, doc) VALUES (1, 'a', 10, 1.5, '2020-01-01+00', repeat('d', 2100)), (2, 'b', 20, 2.5, '2020-01-01+00', NULL)

INSERT INTO keyed VALUES (3, 'c', 30, 3.5, '2020-01-01+00', 'note', NULL, NULL, repeat('e', 2100))

UPDATE keyed SET n = n + 1 WHERE id IN (1, 3)

UPDATE keyed SET id = 103 WHERE id = 3

DELETE FROM keyed WHERE id = 1

INSERT INTO whole VALUES (1, 1, repeat('w', 2100)), (2, 2, NULL)

UPDATE whole SET n = 7 WHERE id = 1

UPDATE whole SET id = 9 WHERE id = 1

UPDATE whole SET n = NULL WHERE id = 2

DELETE FROM whole

INSERT INTO by_index VALUES (1, 'one', 1), (2, 'two', 2)

UPDATE by_index SET n = 5 WHERE id = 1

UPDATE by_index SET code = 'uno' WHERE id = 1

UPDATE by_index SET id = 11 WHERE id = 1

DELETE FROM by_index WHERE code = 'two'

INSERT INTO rare_types (id, iv, mood) VALUES (1, NULL, NULL)

INSERT INTO rare_types VALUES (
  2, 'x', '$1,234.11', '1 year 2 mons 3 days 04:05:06.78', 'z=>c, "é"=>b, key1=>val1, key2=>NULL, key10=>"a\"\\"', 'Top.Science.Astronomy', '978-0-393-04002-9', '978-0-393-04002-9',
  'fat cats ate rats', 'fat & (rat | cat)', '[1,5)', '[1,5]', '(1.5,2.50]', '[2019-03-31 15:30:00, infinity)', '[2017-06-05 11:29:12.549426+00,)', '[2019-03-31, 2019-04-30)',
  '[1.5,2.5]', '{[1,3), [5,7)}', '08:00:2b:01:02:03:04:05', '1', '10101', '(1,1)', '(1,1),(0,0)', '[(0,0),(1,0.5)]', '[(0,0),(1,1)]', '((0,0),(0,1),(1,0))', '{1,-1,0}', '<(10,20),10>',
  '0/16B3748', 'pg_class', '4294967295', '10:20:10,14,15', '$.a[*] ? (@.x > 1)', '(1,2)', '(1,"q""")', 12.5, 12345, 0.000012345, '1 2 3', 'sad')

INSERT INTO rare_types VALUES (
  3, '', '-$92,233,720,368,547,758.08', '-1 years -2 mons +3 days -04:05:06.000001', '', '', '0-306-40615-2', NULL,
  '', NULL, 'empty', '(,)', 'empty', '(,)', '(,"2020-01-01 12:00:00+05:30"]', 'empty', NULL, '{}', 'ff:ff:ff:ff:ff:ff:ff:ff', '', '', '(-Infinity,NaN)', NULL, NULL, '((0,0),(1e-30,1e+30))', NULL, NULL, NULL,
  NULL, NULL, NULL, NULL, NULL, NULL, '(,)', -0.01, -500, -0.000099999, '', 'happy'),
  (4, E'\x7f', '$0.05', '00:00:01.003691', E'a=>"\t", "\\"\\""=>"", "NULL"=>NULL', NULL, NULL, NULL,
  NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '0', '00001', '(0,0)', NULL, NULL, NULL, NULL, NULL, NULL,
  NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, NULL, NULL),
  (5, NULL, '$0.00', '178000000 years', NULL, NULL, NULL, NULL,
  NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
  NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 99900, NULL, NULL, NULL),
  (6, NULL, '$0.01', '-1 days +02:03:04', NULL, NULL, NULL, NULL,
  NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
  NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)

INSERT INTO arrays (id) VALUES (1)

INSERT INTO arrays VALUES (
  2, '{t,f,NULL}', '{-32768,NULL}', '{1,NULL,-2147483648}', '{9223372036854775807}', '{4294967295,0}', '{1.5,NaN,-Infinity}', '{1e-5,0.1,1e30}', '{1.10,100,NULL}', '{1.1,-0.01}',
  '{one,"t\"w\\o",NULL,"NULL","",é}', '{vc,"a,b"}', '{ab,abc}', '{x,y}', '{"\\x00ff","\\x",NULL}', '{2016-11-04,infinity,NULL,"0044-03-15 BC"}', '{00:01:02,24:00:00,12:34:56.789012}', '{12:34:56.789}', '{12:34:56.5+02,NULL}', '{"2020-04-01 00:01:02","-infinity"}',
  '{"2020-04-01 13:51:02+02",infinity}', '{"2020-04-01 13:51:02.1+02"}', '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,NULL}', '{"{\"bar\": \"b\\\\az\"}",1}', '{"{\"a\": [1, 2.50]}",null}', '{192.168.2.0/12,::1}', '{192.168.100.128/25}', '{08:00:2b:01:02:03}', '{08:00:2b:01:02:03:04:05}',
  '{"[1,6)",empty}', '{"[5000,9000)"}', '{"[5.3,6.3)"}', '{"[2019-03-31 15:30:00,infinity)"}', '{"[2017-06-05 11:29:12.549426+00,)"}', '{"[2019-03-31,2019-04-30)"}', '{sad,"it''s \"ok\""}', '{Four,NULL}', ARRAY['k=>v, n=>NULL, "q\"\\"=>"x\""'::hstore, NULL],
  '{Ship.Frigate,Ship.Destroyer}', '{978-0-393-04002-9}', '{"''a'':1 ''b''"}', '{$1.00}', '{nm}', '{1 day}', '{101}', '{<a/>}', '{"(1,1)"}', '{101}',
  '{(1,1),(0,0);(2,2),(1,1)}', '{"[(0,0),(1,1)]"}', '{0/1,NULL}', '{1.5}', '{1.5,NULL}', '{"(1,x)"}')

INSERT INTO arrays (id, b, i4, t, n, n2, m, lt, hs, bx) VALUES
  (3, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}'),
  (4, '{{t},{f}}', '{{1,2},{3,4}}', '{{a},{"}"}}', '{{1}}', '[0:1]={1,2}', NULL, '{{a}}', NULL, NULL),
  (5, NULL, '[5:6]={5,6}', NULL, '{NaN}', '{1,NaN}', '{sad,NULL}', '{a,NULL}', '{NULL}', NULL)

INSERT INTO fallbacks VALUES (1, '$2.50', '1 day', 'a=>b', 'a.b', '(1,2)', '{1}', '[1,2)')

DELETE FROM fallbacks

INSERT INTO toasted SELECT 1, 1, repeat('t', 200), ('<a>' || repeat('x', 200) || '</a>')::xml, to_json(repeat('j', 200)), to_jsonb(repeat('b', 200)),
  convert_to(repeat('y', 200), 'UTF8'), hstore('k', repeat('h', 200)), repeat('7', 300)::numeric, ARRAY[repeat('t', 200)], ARRAY[repeat('v', 200)]::varchar[], ARRAY['c']::char(200)[],
  ARRAY[to_json(repeat('j', 200))], ARRAY[to_jsonb(repeat('b', 200))], ARRAY[convert_to(repeat('y', 200), 'UTF8')], (SELECT array_agg(i) FROM generate_series(1, 50) i),
  (SELECT array_agg('2020-01-01'::date + i) FROM generate_series(1, 50) i), (SELECT array_agg(i::int8) FROM generate_series(1, 30) i),
  (SELECT array_agg('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid) FROM generate_series(1, 15)), (SELECT array_agg(i::float8) FROM generate_series(1, 30) i),
  repeat('w ', 1)::tsvector || to_tsvector('simple', repeat('v', 250)), (repeat('l.', 100) || 'z')::ltree, repeat('10', 900)::varbit, ('(' || repeat('(0,0),', 20) || '(1,1))')::path

UPDATE toasted SET n = 2

INSERT INTO toasted_whole SELECT 1, 1, repeat('t', 700), hstore('k', repeat('h', 700)), (SELECT array_agg(i::float8) FROM generate_series(1, 100) i), repeat('7', 2000)::numeric, convert_to(repeat('y', 700), 'UTF8')

UPDATE toasted_whole SET n = 2

INSERT INTO no_key VALUES (1, 'x'), (NULL, NULL)

INSERT INTO two_keys VALUES ('k"', 1, 1)

UPDATE two_keys SET v = 2

UPDATE two_keys SET b = 'l'

DELETE FROM two_keys

TRUNCATE no_key, two_keys
