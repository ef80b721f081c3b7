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

INSERT INTO no_key VALUES (1, 'x'), (NULL, NULL)

INSERT INTO two_keys VALUES ('k"', 1, 1)

UPDATE two_keys SET v = 2

UPDATE two_keys SET b = 'l'

DELETE FROM two_keys

TRUNCATE no_key, two_keys
