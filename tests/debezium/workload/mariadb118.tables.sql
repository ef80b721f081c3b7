-- MariaDB alone. INET4 and INET6 are missing, Debezium cannot parse their DDL; and so are
-- COMPRESSED columns, it cannot read their table map: it stops.
create table t_uuid (id int not null auto_increment primary key, u uuid);
create table t_vector (id int not null auto_increment primary key, v vector(3));
