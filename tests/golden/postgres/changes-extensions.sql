-- One transaction a paragraph; run by capture.py -extensions.

INSERT INTO extensions (id, vn) VALUES (1, '[0,0]')

INSERT INTO extensions SELECT 2, 1, 'SRID=3187;POINT(174.9479 -36.7208)', 'SRID=3187;POINT Z (1 2 3)', 'MULTILINESTRING((169.1321 -44.7032, 167.8974 -44.6414))',
  ARRAY['GEOMETRYCOLLECTION EMPTY'::geometry, NULL, 'POLYGON((0 0, 1 0, 1 1, 0 0))'], '[1,2.5,-1e-5]', '[3e38,-0]', '[1,0.1,-65504]', '{1:1,3:2,17:0.1}/20',
  ARRAY['[1,2]', '[3]']::vector[], 'BOX(0 0,1 1)', (SELECT array_agg(i)::vector FROM generate_series(1, 600) i)

INSERT INTO extensions (id, vn, s, ga) VALUES (3, '[1,1]', '{}/20', '{}')

UPDATE extensions SET n = 2 WHERE id = 2

DELETE FROM extensions WHERE id = 3

UPDATE extensions SET n = 3 WHERE id = 1
