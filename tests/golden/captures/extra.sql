set names utf8mb4;
drop table if exists extra;
create table extra (id int primary key, y year, s tinyint, g bigint unsigned, /* MariaDB: uu uuid, u2 uuid, */
 c1 char(255) charset utf8mb4, v2 varchar(64) charset utf8mb4, lt longtext charset utf8mb4, mb mediumblob, lc char(5) charset latin1, lc2 text charset latin1);
insert into extra values (1, 2001, -1, 5, /* MariaDB: '123e4567-e89b-12d3-a456-426655440000','01890a5d-ac96-774b-bcce-b302099a8057', */ repeat('é',255), repeat('x',64), repeat('long "text" ',30), repeat('a',300), 'é', repeat('ü"',100));
