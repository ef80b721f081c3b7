//! Codes of cores, event loops, pipelines and commands.

use super::Code;

/// Sorted by code.
pub(super) const CODES: &[Code] = &[
    Code {
        code: "runtime-backend",
        title: "which event loop serves",
        means: "The cores run on io_uring where the kernel allows it, else on epoll. Both do the \
                whole work; epoll needs some more CPU. Most containers forbid io_uring, some \
                systems switch it off, and it needs memory that may be locked.",
        mend: "Nothing has to be done. To allow io_uring: sysctl kernel.io_uring_disabled=0; in \
               containers a seccomp profile that permits io_uring_setup, io_uring_enter and \
               io_uring_register; and a memlock limit of 512 KiB a core or more (ulimit -l). To \
               choose epoll: backend = \"epoll\" in [runtime].",
    },
    Code {
        code: "runtime-clock",
        title: "the clock of this machine",
        means: "Epochs, by which late writes of a dead process are told from new ones, never \
                start below the clock. A clock that is years behind, as after a flat battery, \
                also makes every certificate invalid.",
        mend: "Set the clock and keep it right: timedatectl set-ntp true.",
    },
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
    Code {
        code: "runtime-memlock",
        title: "how much memory may be locked",
        means: "io_uring locks the memory that it shares with the kernel: about 512 KiB a core. \
                Where the limit is lower, epoll serves instead, with some more CPU.",
        mend: "Raise the limit of the user that runs penstock: ulimit -l unlimited in the shell, \
               LimitMEMLOCK=infinity in a systemd unit, --ulimit memlock=-1 for a container.",
    },
    Code {
        code: "runtime-signals",
        title: "signals cannot be handled",
        means: "The handlers of SIGTERM and SIGINT could not be installed, without which a stop \
                would not drain.",
        mend: "The process has probably no file descriptors or threads left: compare ulimit -n and \
               ulimit -u.",
    },
];
