-- Partial JSON of MySQL, mixed with whole columns and MINIMAL images.
set names utf8mb4;
set sql_mode = '';
set time_zone = '+00:00';
set timestamp = 1795560000;
set session binlog_row_value_options = partial_json;
drop table if exists doc;
create table doc (id int primary key, d json, n int, e json, f json);
insert into doc values (1, '{"a": 1, "b": [1, 2, {"c": "x"}], "long key": {"q\\"r": 1.5}}', 0, '[1, 2, 3, 4, 5, 6, 7, 8]', null);
update doc set d = json_set(d, '$.a', 'new value', '$.b[1]', 20), n = 1 where id = 1;
update doc set d = json_remove(d, '$.b[2].c'), e = json_replace(e, '$[3]', cast('{"k": [true]}' as json)), f = '"whole"' where id = 1;
update doc set d = json_set(d, '$.zz', 1, '$."long key"."q\\"r"', null), e = json_array_insert(e, '$[0]', 0), f = json_set(f, '$', 2) where id = 1;
update doc set n = 2 where id = 1;
set session binlog_row_image = minimal;
update doc set d = json_set(d, '$.a', 1) where id = 1;
update doc set e = json_set(e, '$[0]', 7), n = 3 where id = 1;
set session binlog_row_image = full;
