-- Rows of the other tables that the snapshot reads.
insert into k_composite values (1, 'a', 1), (2, 'a', 2), (1, 'b', 3);
insert into k_none values (1, 'a'), (1, 'a'), (null, null);
insert into k_unique values (1, 1, 1), (null, 2, 2);
insert into k_unique_null values (1, 1), (null, 2);
insert into k_change values (1, 'one'), (2, 'two'), (3, 'three');
insert into k_prefix values ('abcdefghijklm', 1);
insert into k_invisible values (1, 1, 1);
insert into k_text values ('é', 1), ('', 2);
insert into k_unsigned values (1, 1), (18446744073709551615, 2);
insert into k_date values ('2020-02-29', '01:02:03.004', '2020-02-29 01:02:03', '2020-02-29 01:02:03.004', 1);
insert into k_bin values (x'01', 1), (x'00ff00ff', 2);
insert into `odd name-1.x` values (1, 2, 3);
insert into s_multi values (1, 1), (2, 2), (3, 3);
insert into s_other values (1, 1);
insert into s_truncate values (1, 1), (2, 2);
insert into s_ddl values (1, 1, 'x');
insert into s_same values (1, 1, 'x');
insert into s_mask values (1, 'secret', 'a long text é😀 that is cut', 'hash me', null);
