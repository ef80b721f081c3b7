-- PostGIS and pgvector. One statement a paragraph; run by capture.py -extensions.

CREATE EXTENSION postgis

CREATE EXTENSION vector

CREATE TABLE extensions (
  id int PRIMARY KEY, n int, g geometry, g3 geometry(PointZ, 3187), gg geography, ga geometry[], v vector(3), vn vector(2) NOT NULL, h halfvec(3), s sparsevec(20), va vector[],
  b box2d, big vector(600))

ALTER TABLE extensions ALTER COLUMN big SET STORAGE EXTERNAL

CREATE PUBLICATION golden FOR TABLE extensions
