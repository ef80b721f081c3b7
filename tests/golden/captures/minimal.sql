-- Metadata MINIMAL (MySQL) and NO_LOG (MariaDB): minimal-*.bin. The log names no column; t's DDL is
-- in it, u's is not. `penstock decode` shows what can be known (tests/decode.rs).
create table t (id int unsigned not null, name varchar(20) character set latin1, e enum('a','b'), d decimal(10,2), b varbinary(10), primary key (id));
insert into t values (4000000000, 'lätin', 'b', 1.5, x'00ff');
alter table t add note text first, rename column name to title;
insert into t values ('n', 2, 'x', null, null, null);
set sql_log_bin = 0;
create table u (id bigint primary key, s varchar(10), v varbinary(10), e enum('x','y'));
set sql_log_bin = 1;
insert into u values (-5, 'é', x'ff00', 'y');
