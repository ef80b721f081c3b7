//! Codes of TLS towards sources.

use super::Code;

/// Sorted by code.
pub(super) const CODES: &[Code] = &[
    Code {
        code: "tls-expired",
        title: "the server's certificate is not valid at this time",
        means: "The certificate, or one of the chain above it, has expired or is not valid yet by \
                this host's clock.",
        mend: "Renew the server's certificate. If it is good, set this host's clock.",
    },
    Code {
        code: "tls-file-missing",
        title: "a file of `tls` cannot be read",
        means: "The file named by `tls.ca`, `tls.cert` or `tls.key` does not exist or may not be \
                read. A relative path is relative to the configuration file.",
        mend: "Correct the path, or let the user that runs penstock read the file.",
    },
    Code {
        code: "tls-handshake",
        title: "the connection broke during the TLS handshake",
        means: "The server, or something on the way, closed the connection before both sides \
                agreed. It is tried again.",
        mend: "If it stays, read the server's log: it says why it closed the connection.",
    },
    Code {
        code: "tls-key-mismatch",
        title: "the client's certificate and key do not go together",
        means: "`tls.cert` and `tls.key` must both be given, and the key must be that of the first \
                certificate in the file.",
        mend: "Compare `openssl x509 -in CERT -noout -pubkey` with `openssl pkey -in KEY -pubout`: \
               both must print the same.",
    },
    Code {
        code: "tls-name-mismatch",
        title: "the server's certificate is for another name",
        means: "With `verify-full` the name that penstock connects to must stand in the \
                certificate's subjectAltName. The common name does not count.",
        mend: "Connect by a name in the certificate, have it issued for this name, or set \
               `tls.mode` to \"verify-ca\", which trusts every server of the CA.",
    },
    Code {
        code: "tls-no-roots",
        title: "there is no CA to trust",
        means: "`tls.ca` is absent and the system has no trusted CAs, or the file holds no \
                certificate that can be used as one.",
        mend: "Set `tls.ca` to the PEM file of the CA that signed the server's certificate, or \
               install the system's CA certificates (package ca-certificates).",
    },
    Code {
        code: "tls-not-offered",
        title: "the server does not offer TLS",
        means: "`tls.mode` asks for TLS, and the server answered that it has none.",
        mend: "Switch TLS on in the server (PostgreSQL: `ssl = on`; MySQL and MariaDB: `ssl_cert` \
               and `ssl_key`), or set `tls.mode` to \"prefer\" or \"off\".",
    },
    Code {
        code: "tls-not-pem",
        title: "a file of `tls` is not what PEM looks like",
        means: "The file holds no PEM certificate (`tls.ca`, `tls.cert`) or no PEM private key \
                without a passphrase (`tls.key`), or its PEM is damaged.",
        mend: "Convert DER with `openssl x509 -inform der -in FILE -out FILE.pem`; remove a \
               passphrase with `openssl pkey -in KEY -out KEY.pem`.",
    },
    Code {
        code: "tls-refused",
        title: "the TLS handshake failed",
        means: "The two sides could not agree: the server asks for a client certificate or does \
                not trust ours, speaks neither TLS 1.2 nor 1.3, or its answer makes no sense.",
        mend: "If the server asks for a client certificate, set `tls.cert` and `tls.key`. Else \
               read its log, and see that it speaks TLS 1.2 or later.",
    },
    Code {
        code: "tls-untrusted",
        title: "the server's certificate is not trusted",
        means: "No CA in `tls.ca` (or in the system's store) signed it, or its chain is broken.",
        mend: "Set `tls.ca` to the PEM file of the CA that signed the server's certificate; for a \
               self-signed one, to that certificate.",
    },
];
