-- Row images of every kind, set by the session; MariaDB's FULL_NODUP.
set names utf8mb4;
set sql_mode = '';
set time_zone = '+00:00';
set timestamp = 1795560000;
drop table if exists img;
create table img (
 id int primary key, a int not null default 7, b varchar(10) default 'd"d', ts timestamp null default current_timestamp,
 e varchar(40) default (concat('x', 'y')), n int, c int not null, t text, j int generated always as (a + 1) stored,
 bl blob, r datetime(3) default null, u int, en enum('p','q') default 'q', de decimal(6,2) default 1.5, unique key (u)
) charset utf8mb4;
set session binlog_row_image = minimal;
insert into img (id, t, u) values (1, 'x', 1);
insert into img (id, a, c, u) values (2, default, 3, 2);
update img set n = 5 where id = 1;
update img set t = 'y', n = null where id = 2;
update img set id = 3 where id = 2;
delete from img where id = 3;
replace into img (id, u) values (4, 1);
set session binlog_row_image = noblob;
insert into img (id, c, t) values (20, 4, 'x');
update img set n = 5 where id = 20;
update img set t = 'z"z', bl = x'00ff' where id = 20;
update img set id = 21 where id = 20;
delete from img where id = 21;
/*M! set session binlog_row_image = full_nodup */;
/*M! insert into img (id, c, t, bl) values (30, 1, 'a', 'b') */;
/*M! update img set n = 6 where id = 30 */;
/*M! update img set n = null, t = 'c' where id = 30 */;
/*M! update img set id = 31 where id = 30 */;
/*M! delete from img where id = 31 */;
set session binlog_row_image = full;
insert into img (id, c) values (40, 1);
