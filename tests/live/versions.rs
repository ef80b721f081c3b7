//! Every server version that is supported and not in CI, put through the main job and kill -9:
//! `tests/versions`. Minutes and a gigabyte of downloads, hence a command of its own.

#[allow(dead_code)]
mod jobs;
#[allow(dead_code)]
mod pipe;
#[allow(dead_code)]
mod records;
#[allow(dead_code)]
mod server;
#[allow(dead_code)]
mod workload;

use jobs::{kill9, rolled_back, snapshot_then_stream};
use server::Family;

/// Goal: a version does what the versions in CI do. Method: the jobs of `jobs.rs`, in turn.
macro_rules! version {
    ($($test:ident $family:ident)*) => {$(
        #[test]
        fn $test() {
            snapshot_then_stream(Family::$family);
            kill9(Family::$family);
            if Family::$family.kind() != "postgres" {
                rolled_back(Family::$family);
            }
        }
    )*};
}

version! {
    mysql57 MySql57
    mysql80 MySql80
    mysql97 MySql97
    mariadb105 MariaDb105
    mariadb1011 MariaDb1011
    mariadb114 MariaDb114
    mariadb118 MariaDb118
    postgres13 Postgres13
    postgres14 Postgres14
    postgres15 Postgres15
    postgres16 Postgres16
    postgres17 Postgres17
    postgres18 Postgres18
}
