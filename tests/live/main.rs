//! Live tests: the shipped binary against real servers in private folders, stopped by pid.
//!
//! Each test owns its server, its ports and its folders, so that tests run side by side. Waiting
//! is for a condition with a deadline, never for a time.

mod beside;
mod binlog;
mod crash;
mod ddl;
mod jobs;
mod pipe;
mod postgres;
mod postgres_types;
mod proxy;
mod records;
mod refusals;
mod refusals_mysql;
mod schemas;
mod server;
mod smoke;
mod snapshots;
mod takeover;
mod workload;
