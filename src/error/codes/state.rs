//! Codes of checkpoints, schema history, offsets.

use super::Code;

/// Sorted by code.
pub(super) const CODES: &[Code] = &[
    Code {
        code: "state-damaged",
        title: "both checkpoint files are damaged",
        means: "A pipeline keeps its last two checkpoints in two files that are written in turn, \
                so that a crash at any moment leaves one of them whole. Both were found damaged, \
                which no crash does: the disk, or another program, has changed them. Penstock does \
                not guess where to go on.",
        mend: "Restore `checkpoint.a` and `checkpoint.b` from a copy; or set the position by hand \
               with `penstock offsets set`; or remove the state with `penstock offsets delete` and \
               take a new snapshot.",
    },
    Code {
        code: "state-disk",
        title: "space on the disk of the state folder",
        means: "Checkpoints are small, but a transaction larger than memory allows waits in a \
                spill file there until it is known to be committed. A full disk stops the \
                pipeline; the last good checkpoint stays readable.",
        mend: "Free some space, or move the folder: [state] path.",
    },
    Code {
        code: "state-disk-full",
        title: "no room for the state",
        means: "The file system of the state folder, or a quota, is full. Checkpoints have their \
                room reserved ahead; the schema history, spilled transactions and a first start \
                need some.",
        mend: "Make room on that file system. The last checkpoint is safe; nothing is lost.",
    },
    Code {
        code: "state-folder",
        title: "the state folder",
        means: "Checkpoints and schema history are kept in this folder, each pipeline in its own. \
                The user that runs penstock must be able to make files there.",
        mend: "Make the folder for that user: install -d -o USER FOLDER. In a container it must \
               be a volume that outlives the container.",
    },
    Code {
        code: "state-foreign",
        title: "the checkpoint files are not Penstock's",
        means: "Files with the names of checkpoints hold something else.",
        mend: "Point `[state] path` elsewhere, or move these files away.",
    },
    Code {
        code: "state-fsync-failed",
        title: "the state could not be made durable",
        means: "The disk did not take what was written. After a failed fsync the kernel forgets \
                what was not written, so that a second one would succeed over lost data: it is \
                never tried again, the pipeline stops.",
        mend: "Check the disk (kernel log, SMART). Then start again: delivery goes on at the last \
               checkpoint that is durable.",
    },
    Code {
        code: "state-history-damaged",
        title: "the schema history is damaged",
        means: "The schema history tells what every table looked like at every position. It is \
                damaged before its end, or ends before a schema that the checkpoint depends on. A \
                table is never decoded by guess, so the pipeline does not start.",
        mend: "Restore the file `history` from a copy; or make it anew from the catalogue: \
               `snapshot.mode = \"recovery\"` for one run.",
    },
    Code {
        code: "state-io",
        title: "the state cannot be read or written",
        means: "The operating system reported an error about a file of the state.",
        mend: "Mend the disk or the file system, then start again. The last checkpoint is safe.",
    },
    Code {
        code: "state-locked",
        title: "another process has this state",
        means: "One process at a time runs a pipeline. The lock is the operating system's and ends \
                with the process that holds it, however it ends; the message names that process.",
        mend: "Stop that process first, or give this pipeline another `name` or `[state] path`.",
    },
    Code {
        code: "state-name",
        title: "the pipeline's name cannot be a folder",
        means: "The state of a pipeline is kept in a folder of its name.",
        mend: "Use letters, digits, `_`, `-` and `.` in the name; not `.` or `..` alone.",
    },
    Code {
        code: "state-newer",
        title: "the state was written by a newer version",
        means: "The format of the checkpoint is newer than what this build reads.",
        mend: "Run the newer Penstock that wrote it, or a later one.",
    },
    Code {
        code: "state-offset-unreadable",
        title: "no stored offset of Debezium was found",
        means: "`offsets set` takes Kafka Connect's offset file (offset.storage.file.filename), \
                records of its offset topic with key, tab and value on a line (kafka-console- \
                consumer --property print.key=true), the answer of GET /connectors/NAME/offsets, \
                or the offset's JSON alone. This was none of them, or held no offset for this \
                pipeline's server.",
        mend: "Stop the connector first, then give one of these forms. --server chooses among \
               several: it is Debezium's topic.prefix.",
    },
    Code {
        code: "state-other-pipeline",
        title: "the state belongs to another pipeline",
        means: "The checkpoint names another pipeline. State belongs to one source and its sinks: \
                going on from another's would lose or repeat changes.",
        mend: "Give the pipeline its own name back, or move that folder away to begin anew.",
    },
    Code {
        code: "state-position-invalid",
        title: "no source of this kind can have this position",
        means: "A position is checked before it is stored: its kind must be the source's, its \
                LSN, file, offset and GTIDs well-formed. Whether the source still has everything \
                after it is proved when the pipeline connects.",
        mend: "Give a position as `penstock offsets show` prints it, or Debezium's offset.",
    },
    Code {
        code: "state-unwritable",
        title: "the state folder cannot be written",
        means: "The user that runs Penstock may not write there, the file system is read-only, or \
                something on the way is no folder.",
        mend: "Let that user own the folder (mode 0700), or point `[state] path` at one that it \
               can write.",
    },
];
