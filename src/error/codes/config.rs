//! Codes of the configuration.

use super::Code;

/// Sorted by code.
pub(super) const CODES: &[Code] = &[
    Code {
        code: "config-bad-pattern",
        title: "a pattern of tables or columns is wrong",
        means: "Tables and columns are chosen by regular expressions that must match the whole \
                name, whatever its case: schema.table on PostgreSQL, database.table on MySQL and \
                MariaDB, with .column after it for columns. This one cannot be read, or could \
                match no name at all.",
        mend: "Correct the pattern. A dot matches any character, \\. only a dot, .* anything: \
               \"public.order_.*\" takes all tables of the schema public that begin with order_.",
    },
    Code {
        code: "config-bad-value",
        title: "a key has a value that it cannot have",
        means: "The key is known and the type is right, but the value is none of those that it \
                takes, or lies outside of its range.",
        mend: "Write one of the values that the message names. Debezium's options keep \
               Debezium's values.",
    },
    Code {
        code: "config-conflict",
        title: "two keys contradict each other",
        means: "Two keys exclude each other, or one has no effect without another. Taking one of \
                them in silence would do something else than the file says.",
        mend: "Keep one of them, or add the missing one, as the message says.",
    },
    Code {
        code: "config-delivery",
        title: "the sink cannot deliver exactly once",
        means: "Exactly once needs a sink that can cut back or skip what was written after the \
                last checkpoint. Standard output cannot take lines back, and a null sink keeps \
                none.",
        mend: "Use delivery = \"at_least_once\", or a sink of kind \"file\".",
    },
    Code {
        code: "config-duplicate",
        title: "two pipelines share what must be one's own",
        means: "The name of a pipeline keys its topics and its state; its state folder and its \
                output folders are written by it alone. Two pipelines on one of them would \
                overwrite each other's checkpoints or cut each other's files.",
        mend: "Give each pipeline its own name, [state] path and [sink] path.",
    },
    Code {
        code: "config-missing-file",
        title: "a file that the configuration names cannot be read",
        means: "A password or a certificate is to be read from a file that is not there, is not a \
                file, or may not be read by the user that runs penstock.",
        mend: "Check path and rights. Relative paths are relative to the folder of the \
               configuration file, not to the working directory.",
    },
    Code {
        code: "config-missing-key",
        title: "a key that has no default is missing",
        means: "Some things only you can know: the name of the pipeline, the kind, host and user \
                of the source, where the records go.",
        mend: "Add the key; the message shows an example.",
    },
    Code {
        code: "config-missing-variable",
        title: "a password's environment variable is not set",
        means: "The password is to come from a variable of the environment, which the process \
                does not have. An empty password is never taken instead.",
        mend: "Export the variable in the shell, or set it in the service or container that \
               starts penstock.",
    },
    Code {
        code: "config-not-yet",
        title: "the option is known, but not in this build",
        means: "Penstock or Debezium knows this option or value. This build cannot do it yet, \
                and passing it over would do something else than the file says.",
        mend: "Remove it for now, or choose one of the values that the message names.",
    },
    Code {
        code: "config-refused",
        title: "the option will not be supported",
        means: "The option runs Java classes inside of Debezium; Penstock is no Java process.",
        mend: "Choose one of the values that the message names.",
    },
    Code {
        code: "config-syntax",
        title: "the file is not valid TOML",
        means: "The file cannot be read at the line named: a quote or bracket is missing, a key \
                is there twice, or the file is not UTF-8.",
        mend: "Correct the line. TOML puts text in quotes, and everything below [section] belongs \
               to that section until the next one.",
    },
    Code {
        code: "config-unknown-key",
        title: "the configuration has a key that Penstock does not know",
        means: "A key that is not known is never passed over in silence: a misspelt option would \
                then quietly have its default.",
        mend: "Correct the key; the message names the nearest one that is known, or its place. \
               Debezium's options keep their names, with underscores instead of dots.",
    },
    Code {
        code: "config-unreadable",
        title: "the configuration cannot be read",
        means: "The file is not there or may not be read, or the folder holds no file that ends \
                in .toml.",
        mend: "Give the path of a TOML file, or of a folder that holds one for each pipeline.",
    },
    Code {
        code: "config-valid",
        title: "the configuration is valid",
        means: "Every key is known, every value is possible, every file and variable that it \
                names is there.",
        mend: "Nothing.",
    },
    Code {
        code: "config-wrong-kind",
        title: "a key means nothing for this kind of source or sink",
        means: "The key exists, but for another kind: a slot is PostgreSQL's, a server id is \
                MySQL's and MariaDB's, a path is the file sink's.",
        mend: "Remove the key, or correct the kind.",
    },
    Code {
        code: "config-wrong-type",
        title: "a key has a value of the wrong type",
        means: "TOML tells text, numbers, true and false, lists and tables apart; this key takes \
                another of them.",
        mend: "Write the value as the message says: text in quotes, numbers and true or false \
               without, lists in brackets.",
    },
];
