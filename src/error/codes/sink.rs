//! Codes of sinks.

use super::Code;

/// Sorted by code.
pub(super) const CODES: &[Code] = &[
    Code {
        code: "sink-disk",
        title: "space on the disk of the output folder",
        means: "The files of this sink grow with every change. A full disk stops the pipeline; \
                nothing is lost, and it goes on when there is space again.",
        mend: "Free some space, or move the folder: path in [sink]. rotate_bytes parts files so \
               that old ones can be taken away.",
    },
    Code {
        code: "sink-disk-full",
        title: "no room for a sink's files",
        means: "The file system of the output folder, or a quota, is full. Delivery waits and \
                tries again after 1, 2, 4, 8, 15, 15 … seconds, with a line in the log each time; \
                reading the source waits with it. No half line is left. If the pipeline is stopped \
                meanwhile, what was not written is delivered again at the next start.",
        mend: "Make room on that file system: delivery goes on by itself.",
    },
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
        code: "sink-file-changed",
        title: "an output file is not as the checkpoint left it",
        means: "With exactly-once delivery every file is cut back, at start, to the length that \
                the checkpoint holds. This file is gone, is shorter, or has no line that ends \
                there: it was changed by something else than Penstock, and cutting it would not \
                give what was delivered.",
        mend: "Put the file back as Penstock left it. Or, to begin anew, move the output folder \
               away and remove the state with `penstock offsets delete`.",
    },
    Code {
        code: "sink-file-too-large",
        title: "an output file is larger than allowed",
        means: "The operating system or the file system limits the size of a file.",
        mend: "Set `rotate_bytes` in the sink, or raise the limit (`ulimit -f`).",
    },
    Code {
        code: "sink-files-without-checkpoint",
        title: "output files that no checkpoint knows",
        means: "Topic files are in the output folder, but the state has no checkpoint that \
                accounts for them: the state folder was lost or changed, or the files are \
                another's. Going on could lose, repeat or destroy records.",
        mend: "Put the state folder back that belongs to these files. Or move the files and the \
               folder `.penstock-NAME` away to begin anew.",
    },
    Code {
        code: "sink-folder",
        title: "the output folder",
        means: "The files of this sink are written to this folder. The user that runs penstock \
                must be able to make files there.",
        mend: "Make the folder for that user: install -d -o USER FOLDER.",
    },
    Code {
        code: "sink-foreign-file",
        title: "a file of that name is there already",
        means: "A topic needs a file whose name is taken by a file that this pipeline did not \
                make. Penstock never writes to, cuts or removes such a file.",
        mend: "Move that file away, or point the sink's `path` at an empty folder.",
    },
    Code {
        code: "sink-fsync-failed",
        title: "records could not be made durable",
        means: "The disk did not take what was written. After a failed fsync the kernel forgets \
                what was not written, so that a second one would succeed over lost data: it is \
                never tried again, the pipeline stops. Nothing that was not durable has been \
                acknowledged.",
        mend: "Check the disk (kernel log, SMART). Then start again: delivery goes on at the last \
               checkpoint.",
    },
    Code {
        code: "sink-io",
        title: "an output file cannot be used",
        means: "The operating system reported an error about a file or folder of the sink.",
        mend: "Mend the disk or the file system. Then start again: delivery goes on at the last \
               checkpoint.",
    },
    Code {
        code: "sink-locked",
        title: "another process has this output folder",
        means: "One process at a time writes a pipeline's files. The lock is the operating \
                system's and ends with the process that holds it, however it ends; the message \
                names that process.",
        mend: "Stop that process first, or give this pipeline another `name` or its sink another \
               `path`.",
    },
    Code {
        code: "sink-manifest",
        title: "the list of output files cannot be used",
        means: "The manifest in `.penstock-NAME` says which files in the output folder are this \
                pipeline's. It is damaged, or a newer version of Penstock wrote it.",
        mend: "Restore it from a copy, or run the newer Penstock. Or move the output folder away \
               and begin anew.",
    },
    Code {
        code: "sink-other-output",
        title: "the output folder belongs to another state",
        means: "The checkpoint and the output folder name different sets of files: one of them was \
                exchanged.",
        mend: "Point the sink's `path` at the folder that belongs to this state, or move the files \
               and the folder `.penstock-NAME` away.",
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
        code: "sink-state",
        title: "the checkpoint's part for this sink cannot be read",
        means: "The checkpoint holds something that this kind of sink did not write, for example \
                because the sink was of another kind when it was written.",
        mend: "Give the sink its former kind back, or start the new one with a new pipeline \
               `name`.",
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
    Code {
        code: "sink-topic-name",
        title: "a topic cannot be the name of a file",
        means: "The file sink names a file after each topic.",
        mend: "Give the pipeline a `name` of letters, digits, `_`, `-` and `.` that does not begin \
               with `.`.",
    },
    Code {
        code: "sink-topic-shared",
        title: "two tables share a topic",
        means: "Characters that a topic may not have are replaced by `_`, so that two tables can \
                get the same topic. Their rows are written by different cores and mix in its file, \
                so that no length divides what a checkpoint has passed from what it has not: \
                exactly-once is not possible for it.",
        mend: "Leave one of the tables out with `exclude_tables`, or set `delivery` to \
               `at_least_once`.",
    },
    Code {
        code: "sink-unwritable",
        title: "the output folder cannot be written",
        means: "The user that runs Penstock may not write there, the file system is read-only, or \
                something on the way is no folder.",
        mend: "Let that user write there, or point the sink's `path` elsewhere.",
    },
];
