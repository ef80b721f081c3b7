//! What only PostgreSQL's stream can meet.

use std::time::Duration;

use crate::pipe::{Config, Pipe, until};
use crate::proxy::Proxy;
use crate::records::read;
use crate::server::{Family, Server};

/// A server with a table `t (id, v)`.
fn start(family: Family, options: &[&str]) -> Server {
    let server = Server::start_with(family, options, &[]);
    server.grant_cdc();
    server.sql("create table t (id bigint primary key, v text);");
    server
}

/// Goal: a peer that is dead and closes nothing is noticed in the time that follows from
/// `wal_sender_timeout`, and nothing is lost. Method: a timeout of 2 s, a proxy that freezes, a row
/// meanwhile; silence is borne for six seconds then.
#[test]
fn h02_a_dead_peer_is_noticed() {
    let server = start(Family::Postgres15, &["-c", "wal_sender_timeout=2s"]);
    let proxy = Proxy::new(server.port);
    let config = Config::new("dead", &server, &["public.t"])
        .set("source", "port", &proxy.port.to_string())
        .set("source", "tls", "{ mode = \"off\" }");
    let pipe = Pipe::new(&config);
    let running = pipe.start(&[]);
    let rows = || read(&pipe.out(), "dead.public.t").len();
    server.sql("insert into t values (1, 'a');");
    until(Duration::from_secs(60), || (rows() == 1).then_some(()))
        .unwrap_or_else(|| panic!("no first row: {}", running.log()));
    until(Duration::from_secs(60), || running.log().contains("streaming from slot").then_some(()))
        .expect("it streams");
    proxy.freeze();
    server.sql("insert into t values (2, 'b');");
    until(Duration::from_secs(40), || {
        running.log().contains("nothing from the server for 6 s").then_some(())
    })
    .unwrap_or_else(|| panic!("the silence is not noticed: {}", running.log()));
    assert_eq!(rows(), 1);
    proxy.mend();
    until(Duration::from_secs(60), || (rows() == 2).then_some(()))
        .unwrap_or_else(|| panic!("no row after it: {}", running.log()));
    running.stop();
}
