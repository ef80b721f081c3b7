//! Codes of sinks.

use super::Code;

/// Sorted by code.
pub(super) const CODES: &[Code] = &[
    Code {
        code: "sink-ended",
        title: "a sink ended before it answered",
        means: "The sink's thread has ended, so a question to it has no answer. The reason was \
                reported by the sink itself.",
        mend: "Look for the sink's own error, just before this one, and mend that.",
    },
    Code {
        code: "sink-exactly-once",
        title: "this sink cannot deliver exactly once",
        means: "Exactly-once needs a sink that can be brought back to where the last checkpoint \
                stands. What was written to standard output cannot be taken back.",
        mend: "Leave `delivery` out of the sink, or set it to \"at_least_once\"; for exactly-once \
               use a sink of kind \"file\".",
    },
    Code {
        code: "sink-kind",
        title: "this build has no sink of that kind",
        means: "The configuration names a kind of sink that this build does not have.",
        mend: "Use one of the kinds that `penstock check` names.",
    },
    Code {
        code: "sink-panicked",
        title: "a sink's thread panicked",
        means: "This is a bug in Penstock. The pipeline of that sink stops; the process and its \
                other pipelines go on. Nothing is lost: what was not acknowledged is delivered \
                again.",
        mend: "Start the pipeline again: delivery goes on at the last checkpoint. Please report the \
               panic message, which stands before this error.",
    },
    Code {
        code: "sink-stdout-closed",
        title: "the reader of standard output has gone away",
        means: "Records go to standard output, and the process that read them has ended or closed \
                its end of the pipe. The records it did not take are not acknowledged.",
        mend: "Start again with a reader: delivery goes on at the last checkpoint.",
    },
    Code {
        code: "sink-stdout-failed",
        title: "standard output cannot be written",
        means: "The operating system refused a write to standard output, for example because it \
                leads to a file on a full disk.",
        mend: "Mend what standard output leads to, then start again: delivery goes on at the last \
               checkpoint.",
    },
    Code {
        code: "sink-thread",
        title: "no thread for a sink",
        means: "Every sink runs on a thread of its own, and the operating system gave none.",
        mend: "Raise the limit on threads (`ulimit -u`, the cgroup's `pids.max`).",
    },
];
