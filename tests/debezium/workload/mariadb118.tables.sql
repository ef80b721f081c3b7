-- MariaDB alone. INET4 and INET6 are missing: Debezium cannot parse the DDL and stops.
create table t_uuid (id int not null auto_increment primary key, u uuid);
create table t_vector (id int not null auto_increment primary key, v vector(3));
create table t_compressed (id int not null auto_increment primary key, c varchar(200) compressed, b blob compressed);
