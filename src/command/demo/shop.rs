//! The demo's shop: its tables, its first rows, and customers who never sleep.

use std::time::Duration;

use super::server::Session;
use crate::error::Result;

/// Pause between two transactions.
const PAUSE: Duration = Duration::from_millis(200);

/// Tables and first rows, one transaction.
pub(super) const SCHEMA: &str = "
begin;
create table customers (
  id bigint generated always as identity primary key,
  name text not null,
  email text not null unique,
  city varchar(40),
  since date not null default current_date
);
create table products (
  id integer primary key,
  title text not null,
  price numeric(10,2) not null,
  stock integer not null check (stock >= 0),
  details jsonb
);
create table orders (
  id bigint generated always as identity primary key,
  customer_id bigint not null references customers,
  status text not null default 'new',
  placed_at timestamptz not null default now()
);
create table order_items (
  order_id bigint not null references orders on delete cascade,
  product_id integer not null references products,
  quantity smallint not null,
  price numeric(10,2) not null,
  primary key (order_id, product_id)
);
insert into customers (name, email, city)
  select n, lower(n) || '@example.com', (array['Porto', 'Turku', 'Graz', 'Gdynia'])[1 + i % 4]
  from unnest(array['Ada', 'Bela', 'Chloe', 'Dora', 'Emil', 'Finn', 'Greta', 'Hugo', 'Ines', 'Jo'])
    with ordinality as t(n, i);
insert into products
  select i, n, 2.5 * i, 1000, jsonb_build_object('weight_g', 100 * i, 'fragile', i % 2 = 0)
  from unnest(array['Teapot', 'Kettle', 'Cup', 'Saucer', 'Strainer', 'Tin', 'Tray', 'Spoon'])
    with ordinality as t(n, i);
insert into orders (customer_id) select 1 + i % 10 from generate_series(1, 12) i;
insert into order_items
  select o.id, p.id, 1 + (o.id + p.id) % 3, p.price
  from orders o join products p on p.id in (1 + o.id % 8, 1 + (o.id + 3) % 8);
commit;
";

/// What happens in a shop; each is one transaction. `$N` is the number of the transaction.
const EVENTS: &[&str] = &[
    // An order of two products, and the stock goes down with it.
    "begin; \
     insert into orders (customer_id) select id from customers order by random() limit 1; \
     insert into order_items select currval('orders_id_seq'), id, 1 + $N % 3, price \
       from products where stock > 3 order by random() limit 2; \
     update products p set stock = p.stock - i.quantity from order_items i \
       where i.order_id = currval('orders_id_seq') and i.product_id = p.id; commit;",
    "update orders set status = 'paid' \
       where id = (select max(id) from orders where status = 'new');",
    "update orders set status = 'shipped' \
       where id = (select min(id) from orders where status = 'paid');",
    "insert into customers (name, email) values ('Guest $N', 'guest$N@example.com');",
    "update customers set city = 'Riga', email = 'moved$N@example.com' \
       where id = (select id from customers order by random() limit 1);",
    "update products set price = price + 0.05, \
       details = details || jsonb_build_object('changed', $N) where id = 1 + $N % 8;",
    // A change of mind: nothing of this leaves.
    "begin; update products set price = 0; rollback;",
    // The oldest order that was delivered is forgotten, with its items.
    "delete from orders where id = (select min(id) from orders where status = 'shipped');",
    // The oldest shelf is filled up.
    "update products set stock = stock + 100 where stock < 900;",
];

/// Works until `ended`; the number of transactions.
pub(super) fn work(sql: &mut Session, ended: impl Fn() -> bool) -> Result<u64> {
    let mut number = 0;
    for event in EVENTS.iter().cycle() {
        if ended() {
            break;
        }
        number += 1;
        sql.send(&event.replace("$N", &number.to_string()))?;
        std::thread::sleep(PAUSE);
    }
    sql.finish()?;
    Ok(number)
}
