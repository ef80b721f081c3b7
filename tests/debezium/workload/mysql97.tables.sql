create table t_vector (id int not null auto_increment primary key, v vector(3));
