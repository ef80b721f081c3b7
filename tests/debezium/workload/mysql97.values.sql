insert into t_vector (v) values (string_to_vector('[1,2.5,-3]')), (string_to_vector('[0,1e10,1e-10]')), (null);
-- MariaDB's driver fails on it, and with it Debezium's snapshot
insert into t_date (y) values (0);
