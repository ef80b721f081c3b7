//! Logging in: cleartext (under TLS or on a Unix socket only), md5, SCRAM-SHA-256 with and
//! without channel binding.
//!
//! Enters: bodies of Authentication messages. Leaves: the messages that answer them. Keeps: a
//! password in clear never leaves over an unencrypted network, and a server that cannot prove
//! that it knows the password (SCRAM's server signature) is refused.

use penstock_protocol::postgres::message::{self, Authentication};
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_cert::der::Decode;

use super::fault::malformed;
use crate::error::{Error, Result};

const PLAIN: &str = "SCRAM-SHA-256";
const PLUS: &str = "SCRAM-SHA-256-PLUS";

/// What protects the connection from those who listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secrecy {
    /// Nothing: TCP in clear.
    None,
    /// The operating system: a Unix socket.
    Local,
    /// TLS; the server's certificate, DER, if there is one.
    Tls(Option<Vec<u8>>),
}

/// A login that is going on.
pub struct Login<'a> {
    user: &'a str,
    password: &'a str,
    secrecy: Secrecy,
    scram: Option<ScramSha256>,
    proved: bool,
}

impl<'a> Login<'a> {
    /// Starts a login.
    pub fn new(user: &'a str, password: &'a str, secrecy: Secrecy) -> Self {
        Self { user, password, secrecy, scram: None, proved: false }
    }

    /// Takes the body of an Authentication message (type `R`) and appends the answer to `out`.
    /// Returns true when the server has let us in.
    pub fn handle(&mut self, body: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        let asked = message::authentication(body).map_err(|e| malformed(e, LOGGING_IN))?;
        match asked {
            Authentication::Ok if self.scram.is_some() && !self.proved => Err(unproved()),
            Authentication::Ok => return Ok(true),
            Authentication::Cleartext if self.secrecy == Secrecy::None => Err(Error::fatal(
                "pg-cleartext-password",
                "the server asks for the password in clear over an unencrypted connection",
            )
            .hint("set source.tls = { mode = \"require\" }, or scram-sha-256 in pg_hba.conf")),
            Authentication::Cleartext => {
                message::password(out, self.password()?).map_err(|_| unsendable())
            }
            Authentication::Md5 { salt } => {
                let hash = md5_hash(self.user.as_bytes(), self.password()?.as_bytes(), salt);
                message::password(out, &hash).map_err(|_| unsendable())
            }
            Authentication::Sasl { mechanisms } => self.start_scram(&mechanisms, out),
            Authentication::SaslContinue(challenge) => self.step_scram(challenge, out),
            Authentication::SaslFinal(outcome) => self.end_scram(outcome),
            Authentication::Other(method) => {
                let what = "the server asks for an authentication method that is not supported";
                Err(Error::fatal("pg-auth-method", format!("{what}: {}", method_name(method)))
                    .hint("use scram-sha-256 for this role in pg_hba.conf"))
            }
        }
        .map(|()| false)
    }

    fn password(&self) -> Result<&'a str> {
        if self.password.is_empty() {
            let what = format!("the server asks for a password for role \"{}\"", self.user);
            return Err(Error::fatal("pg-login", what).hint("set source.password"));
        }
        Ok(self.password)
    }

    fn start_scram(&mut self, mechanisms: &[&str], out: &mut Vec<u8>) -> Result<()> {
        let hash = match &self.secrecy {
            Secrecy::Tls(Some(certificate)) => end_point_hash(certificate),
            _ => None,
        };
        let (name, binding) = match hash {
            Some(hash) if mechanisms.contains(&PLUS) => {
                (PLUS, ChannelBinding::tls_server_end_point(hash))
            }
            // "y": we could bind and the server says that it cannot: a downgrade is noticed.
            Some(_) => (PLAIN, ChannelBinding::unrequested()),
            None => (PLAIN, ChannelBinding::unsupported()),
        };
        if !mechanisms.contains(&name) {
            return Err(Error::fatal("pg-auth-method", "the server offers no SCRAM-SHA-256")
                .hint("use scram-sha-256 for this role in pg_hba.conf"));
        }
        let scram = ScramSha256::new(self.password()?.as_bytes(), binding);
        message::sasl_initial(out, name, scram.message()).map_err(|_| unsendable())?;
        self.scram = Some(scram);
        Ok(())
    }

    fn step_scram(&mut self, challenge: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let scram = self.scram.as_mut().ok_or_else(out_of_order)?;
        let wrong = |_| Error::fatal("pg-login", "the server's SCRAM challenge is not valid");
        scram.update(challenge).map_err(wrong)?;
        message::sasl_response(out, scram.message());
        Ok(())
    }

    fn end_scram(&mut self, outcome: &[u8]) -> Result<()> {
        let scram = self.scram.as_mut().ok_or_else(out_of_order)?;
        self.proved = scram.finish(outcome).is_ok();
        if self.proved { Ok(()) } else { Err(unproved()) }
    }
}

fn unproved() -> Error {
    Error::fatal("pg-login", "the server did not prove that it knows the password")
        .hint("something else than the expected server may be answering at this address")
}

const LOGGING_IN: &str = "logging in";

fn out_of_order() -> Error {
    Error::fatal("pg-login", "the server sent SCRAM messages out of order")
}

fn unsendable() -> Error {
    Error::fatal("pg-login", "the user name or password holds a zero byte")
}

fn method_name(method: u32) -> &'static str {
    match method {
        2 => "Kerberos V5",
        7 | 8 => "GSSAPI",
        9 => "SSPI",
        _ => "unknown",
    }
}

/// RFC 5929, section 4.1: the certificate's hash by its signature's own hash function, where MD5
/// and SHA-1 are replaced by SHA-256. `None`: no hash is defined for it (Ed25519, PSS).
fn end_point_hash(der: &[u8]) -> Option<Vec<u8>> {
    let certificate = x509_cert::Certificate::from_der(der).ok()?;
    let oid = certificate.signature_algorithm.oid.to_string();
    match oid.as_str() {
        // md5WithRSA, sha1WithRSA, sha256WithRSA, ecdsa-with-SHA1, ecdsa-with-SHA256
        "1.2.840.113549.1.1.4"
        | "1.2.840.113549.1.1.5"
        | "1.2.840.113549.1.1.11"
        | "1.2.840.10045.4.1"
        | "1.2.840.10045.4.3.2" => Some(Sha256::digest(der).to_vec()),
        // sha384WithRSA, ecdsa-with-SHA384
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => Some(Sha384::digest(der).to_vec()),
        // sha512WithRSA, ecdsa-with-SHA512
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => Some(Sha512::digest(der).to_vec()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(code: u32, rest: &[u8]) -> Vec<u8> {
        [&code.to_be_bytes()[..], rest].concat()
    }

    #[test]
    fn cleartext_needs_secrecy() {
        // Goal: the password never leaves in clear over plain TCP. Method: the same request thrice.
        let ask = request(3, b"");
        let mut out = Vec::new();
        let error = Login::new("u", "p", Secrecy::None).handle(&ask, &mut out).err();
        assert_eq!(error.map(|error| error.code), Some("pg-cleartext-password"));
        assert!(out.is_empty());
        for secrecy in [Secrecy::Local, Secrecy::Tls(None)] {
            let mut out = Vec::new();
            let done = Login::new("u", "p", secrecy).handle(&ask, &mut out);
            assert!(matches!(done, Ok(false)));
            assert_eq!(&out[..], b"p\0\0\0\x06p\0");
        }
    }

    #[test]
    fn md5_answers_with_the_salted_hash() {
        // Goal: the md5 answer is what the server computes. Method: "md5" + md5(md5(p+u)+salt).
        use md5::Md5;
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let inner = hex(&Md5::digest(b"pu"));
        let want = format!("md5{}", hex(&Md5::digest([inner.as_bytes(), &[1, 2, 3, 4]].concat())));
        let mut out = Vec::new();
        let mut login = Login::new("u", "p", Secrecy::None);
        assert!(matches!(login.handle(&request(5, &[1, 2, 3, 4]), &mut out), Ok(false)));
        assert_eq!(&out[5..out.len() - 1], want.as_bytes());
    }

    #[test]
    fn scram_is_not_over_before_the_server_proved_itself() {
        // Goal: AuthenticationOk in the middle of SCRAM is refused. Method: skip the last step.
        let mut out = Vec::new();
        let mut login = Login::new("u", "p", Secrecy::None);
        let first = login.handle(&request(10, b"SCRAM-SHA-256\0\0"), &mut out);
        assert!(matches!(first, Ok(false)));
        let end = login.handle(&request(0, b""), &mut out).err();
        assert_eq!(end.map(|error| error.code), Some("pg-login"));
    }

    #[test]
    fn channel_binding_follows_offer_and_certificate() {
        // Goal: PLUS only if offered and possible; "y" when only we could. Method: first messages.
        let first = |secrecy: Secrecy, offer: &[u8]| {
            let mut out = Vec::new();
            let done = Login::new("u", "p", secrecy).handle(&request(10, offer), &mut out);
            assert!(matches!(done, Ok(false)));
            let name_end = out[5..].iter().position(|&b| b == 0).expect("a name") + 5;
            let flag = out[name_end + 5..].iter().position(|&b| b == b',').expect("a flag");
            let at = name_end + 5;
            (
                String::from_utf8_lossy(&out[5..name_end]).into_owned(),
                String::from_utf8_lossy(&out[at..at + flag]).into_owned(),
            )
        };
        let both = b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0";
        let plain = b"SCRAM-SHA-256\0\0";
        assert_eq!(first(Secrecy::None, plain), (PLAIN.into(), "n".into()));
        assert_eq!(first(Secrecy::Tls(None), both), (PLAIN.into(), "n".into()));
        assert_eq!(first(Secrecy::Tls(Some(vec![1, 2])), both), (PLAIN.into(), "n".into()));
    }

    #[test]
    fn malformed_requests_are_errors() {
        // Goal: no panic on any short body. Method: prefixes of each request.
        for body in [request(5, &[1, 2, 3, 4]), request(10, b"SCRAM-SHA-256\0\0")] {
            for end in 0..body.len() {
                let mut login = Login::new("u", "p", Secrecy::None);
                assert!(login.handle(&body[..end], &mut Vec::new()).is_err());
            }
        }
    }
}
