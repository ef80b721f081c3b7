//! Codes of cores, event loops, pipelines and commands.

use super::Code;

/// Sorted by code.
pub(super) const CODES: &[Code] = &[
    Code {
        code: "runtime-core-start",
        title: "a core's event loop did not start",
        means: "The thread or its executor could not be made; the message has the system's words.",
        mend: "Limits of threads, descriptors or locked memory are the usual causes: see \
               `ulimit -a`, and what `penstock check` says about io_uring.",
    },
    Code {
        code: "runtime-cores",
        title: "the list of cores does not fit this machine",
        means: "`runtime.cores` names a CPU twice, or one that this process may not use (its \
                affinity mask or its cgroup's cpuset leaves it out).",
        mend: "`penstock topology` prints the CPUs that may be used; or leave `cores` at \"auto\".",
    },
    Code {
        code: "runtime-io-uring-refused",
        title: "io_uring is configured and does not serve here",
        means: "`runtime.backend` asks for io_uring, and the kernel, a seccomp filter or the limit \
                of locked memory refuses it; the message says which.",
        mend: "Do what the hint says, or leave `runtime.backend` out: epoll serves as well.",
    },
];
