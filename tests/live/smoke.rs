//! The main job on every server family: first snapshot, then the stream, then a restart.

use crate::jobs::snapshot_then_stream;
use crate::server::Family;

#[test]
fn smoke_mysql97() {
    snapshot_then_stream(Family::MySql97);
}

#[test]
fn smoke_mariadb1011() {
    snapshot_then_stream(Family::MariaDb1011);
}

#[test]
fn smoke_mariadb118() {
    snapshot_then_stream(Family::MariaDb118);
}

#[test]
fn smoke_postgres15() {
    snapshot_then_stream(Family::Postgres15);
}

#[test]
fn smoke_postgres18() {
    snapshot_then_stream(Family::Postgres18);
}
