insert into t_uuid (u) values ('00000000-0000-0000-0000-000000000000'), ('123e4567-e89b-12d3-a456-426655440000'), (null);
insert into t_vector (v) values (vec_fromtext('[1,2.5,-3]')), (null);
