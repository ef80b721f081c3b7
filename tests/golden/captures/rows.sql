set names utf8mb4;
set sql_mode='NO_AUTO_VALUE_ON_ZERO';
set time_zone='+00:00';
drop table if exists types; drop table if exists keyed; drop table if exists nokey;
create table types (
 id bigint not null primary key,
 ti tinyint, tu tinyint unsigned, si smallint, su smallint unsigned, mi mediumint, mu mediumint unsigned,
 i int, iu int unsigned, b bigint, bu bigint unsigned, bo boolean,
 f float, fm float(7,3), d double, re real,
 dc decimal(12,2), dl decimal(65,30), d9 decimal(18,9), dz decimal(20,0), dy decimal(5,5),
 ch char(10), vc varchar(300), tx text, la varchar(50) charset latin1, asc_ varchar(20) charset ascii,
 bi binary(8), vb varbinary(20), bl blob,
 da date, t0 time, t3 time(3), t6 time(6), dt datetime, dt3 datetime(3), dt6 datetime(6),
 ts timestamp null, ts3 timestamp(3) null, ts6 timestamp(6) null, y year,
 js json, b1 bit(1), b10 bit(10), b64 bit(64),
 en enum('red','gr"een','blå') charset utf8mb4, se set('a','b','c"d') charset utf8mb4,
 dflt int default 5, dstr varchar(10) default 'x"y'
) charset utf8mb4;
insert into types values (1,
 -128,255,-32768,65535,-8388608,16777215,-2147483648,4294967295,-9223372036854775808,18446744073709551615,true,
 1.1,1234.567,3.141592653589793,1e100,
 -1234567890.12,12345678901234567890123456789012345.123456789012345678901234567890,-123456789.987654321,12345678901234567890,0.12345,
 'abc','va"r\\ch\nar','tëxt €😀','lätin €','ascii',
 x'0102','\0bin',x'00ff10',
 '2024-02-29','12:34:56','-12:34:56.789','838:59:59.000000','2024-02-29 12:34:56','2024-02-29 12:34:56.789','2024-02-29 12:34:56.123456',
 '2024-02-29 12:34:56','2024-02-29 12:34:56.780','2024-02-29 12:34:56.000001',2024,
 '{"k": [1, -2, 3.5, 1e20, true, false, null, "s\\"q\\u0001\\/"], "a": {"é": "x"}, "n": 12345678901234567890}',b'1',b'1000000001',b'1111111111111111111111111111111111111111111111111111111111111111',
 'gr"een','a,c"d',7,'set');
insert into types (id) values (2);
insert into types values (3,
 0,0,0,0,0,0,0,0,0,0,false, 0,0,0,-0.0, 0,0,0,0,0, '','','','','', x'','','',
 '0000-00-00','00:00:00','-00:00:00.001','-838:59:59','0000-00-00 00:00:00','1000-01-01 00:00:00','9999-12-31 23:59:59.999999',
 '0000-00-00 00:00:00','1970-01-01 00:00:01.001','2038-01-19 03:14:07.999999',0,
 '[]',b'0',b'0',b'0','','',null,null);
insert into types values (4,
 1,1,1,1,1,1,1,1,1,1,1, 16777218,0.001,1e7,0.0001, 0.01,0.000000000000000000000000000001,1e-9,-1,-0.99999,
 'trail  ','x','ÿ','ÿ','~', x'6162636465666768','a','b',
 '1969-12-31','-00:00:01','00:00:00.5','-00:00:00.000001','1969-12-31 23:59:59','2024-00-00 00:00:00','1969-12-31 23:59:59.999999',
 '2024-01-01 00:00:00','2024-01-01 00:00:00.5','2024-01-01 00:00:00.000010',1901,
 '"str"',null,b'11',b'1','red','b',5,'d');
update types set vc='changed', i=null, js='{"z": 1, "aa": 2}' where id in (1,4);
delete from types where id=2;
create table keyed (b varchar(20) not null, a int not null, v varchar(20) not null default 'dv', n decimal(8,3) not null, primary key (a, b)) charset utf8mb4;
insert into keyed values ('k"1', 1, 'v1', 1.5), ('k2', 2, 'v2', -2.125);
update keyed set a = 10 where a = 1;
update keyed set v = 'v2b' where a = 2;
update keyed set b = 'k3', v = 'v3' where a = 2;
delete from keyed;
create table nokey (a int, b text) charset utf8mb4;
insert into nokey values (1,'one'),(2,null);
update nokey set b='two' where a=2;
delete from nokey where a=1;
begin; insert into nokey values (3,'three'); insert into keyed values ('z',3,'v',0); insert into nokey values (4,'four'),(5,'five'); commit;
