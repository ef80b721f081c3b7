//! Answers to the servers' challenges.
//!
//! Enters: a plugin's name, its challenge, the password. Leaves: bytes for the server. Keeps: the
//! password itself leaves only through a channel that nobody can read (TLS, a Unix socket) or
//! encrypted with the server's public key.
//!
//! | plugin | answer |
//! |---|---|
//! | `mysql_native_password` | SHA1(p) ^ SHA1(nonce, SHA1(SHA1(p))) |
//! | `caching_sha2_password` | SHA256(p) ^ SHA256(SHA256(SHA256(p)), nonce); if the server's cache does not know it: the password |
//! | `sha256_password` | the password, under TLS or encrypted; servers ask unknown users for it |
//! | `client_ed25519` (MariaDB) | Ed25519 signature of the nonce; the key's seed hash is SHA512(p) |
//! | `mysql_clear_password` | the password, under TLS alone |

use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::{Scalar, clamp_integer};
use rsa::pkcs8::DecodePublicKey;
use sha1::{Digest, Sha1};
use sha2::{Sha256, Sha512};

use crate::error::{Error, Result};

/// How the bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Anybody on the way can read.
    Open,
    /// A socket of this host.
    Local,
    /// TLS.
    Tls,
}

/// The first answer to a challenge.
///
/// # Errors
/// A plugin that we do not have, or one that would send the password in the clear.
pub fn answer(plugin: &str, password: &str, nonce: &[u8], channel: Channel) -> Result<Vec<u8>> {
    match plugin {
        _ if password.is_empty() => Ok(Vec::new()),
        "mysql_native_password" => Ok(native(password.as_bytes(), nonce).to_vec()),
        "caching_sha2_password" => Ok(caching_sha2(password.as_bytes(), nonce).to_vec()),
        "sha256_password" if channel == Channel::Tls => Ok(with_nul(password)),
        // Asks for the public key.
        "sha256_password" => Ok(vec![1]),
        "client_ed25519" => Ok(ed25519(password.as_bytes(), nonce).to_vec()),
        "mysql_clear_password" if channel == Channel::Tls => Ok(with_nul(password)),
        "mysql_clear_password" => Err(Error::fatal(
            "my-cleartext-refused",
            "the server asks for the password in clear text and the connection is not encrypted",
        )
        .hint("set tls.mode to require, verify-ca or verify-full")),
        _ => Err(Error::fatal(
            "my-auth-plugin",
            format!(
                "the server asks for the authentication plugin {plugin:?}, which is not supported"
            ),
        )
        .hint(
            "give the user another one, for example: ALTER USER … IDENTIFIED WITH \
             caching_sha2_password BY '…' (MariaDB: VIA ed25519 USING PASSWORD('…'))",
        )),
    }
}

/// The password as the full path of caching_sha2_password wants it on a safe channel.
pub fn with_nul(password: &str) -> Vec<u8> {
    let mut out = password.as_bytes().to_vec();
    out.push(0);
    out
}

/// The password for the full path on an open channel: masked with the nonce, then encrypted with
/// the server's public key (RSA, OAEP with SHA-1).
pub fn encrypted(password: &str, nonce: &[u8], pem: &[u8]) -> Result<Vec<u8>> {
    let bad_key = || {
        Error::fatal("my-rsa-key", "the server's RSA public key cannot be used")
            .hint("use TLS (tls.mode = \"require\"), or mend caching_sha2_password_public_key_path")
    };
    let pem = std::str::from_utf8(pem).map_err(|_| bad_key())?;
    let key = rsa::RsaPublicKey::from_public_key_pem(pem.trim()).map_err(|_| bad_key())?;
    let mut masked = with_nul(password);
    for (byte, mask) in masked.iter_mut().zip(nonce.iter().cycle()) {
        *byte ^= mask;
    }
    let padding = rsa::Oaep::new::<Sha1>();
    key.encrypt(&mut rand::rngs::OsRng, padding, &masked).map_err(|_| bad_key())
}

fn native(password: &[u8], nonce: &[u8]) -> [u8; 20] {
    let stage1: [u8; 20] = Sha1::digest(password).into();
    let stage2 = Sha1::digest(stage1);
    let mask = Sha1::new().chain_update(nonce).chain_update(stage2).finalize();
    xor(stage1, &mask)
}

fn caching_sha2(password: &[u8], nonce: &[u8]) -> [u8; 32] {
    let stage1: [u8; 32] = Sha256::digest(password).into();
    let stage2 = Sha256::digest(stage1);
    let mask = Sha256::new().chain_update(stage2).chain_update(nonce).finalize();
    xor(stage1, &mask)
}

/// RFC 8032 signing, but with the password where the 32-byte seed stands.
fn ed25519(password: &[u8], nonce: &[u8]) -> [u8; 64] {
    let hash: [u8; 64] = Sha512::digest(password).into();
    let (low, prefix) = hash.split_first_chunk::<32>().expect("invariant: SHA-512 has 64 bytes");
    let secret = Scalar::from_bytes_mod_order(clamp_integer(*low));
    let public = EdwardsPoint::mul_base(&secret).compress();
    let wide = |parts: [&[u8]; 3]| {
        let mut hash = Sha512::new();
        for part in parts {
            hash.update(part);
        }
        Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
    };
    let r = wide([prefix, nonce, &[]]);
    let point = EdwardsPoint::mul_base(&r).compress();
    let s = r + wide([point.as_bytes(), public.as_bytes(), nonce]) * secret;
    let mut out = [0; 64];
    out[..32].copy_from_slice(point.as_bytes());
    out[32..].copy_from_slice(s.as_bytes());
    out
}

fn xor<const N: usize>(mut a: [u8; N], b: &[u8]) -> [u8; N] {
    for (x, y) in a.iter_mut().zip(b) {
        *x ^= y;
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_can_verify_native_and_sha2() {
        // Goal: the answers fit what a server stores. Method: the server's own check, by hand:
        // it knows the double hash, unmasks, hashes once more and compares.
        let (password, nonce) = (b"cdc".as_slice(), b"0123456789abcdefghij".as_slice());
        let stored = Sha1::digest(Sha1::digest(password));
        let mask = Sha1::new().chain_update(nonce).chain_update(stored).finalize();
        assert_eq!(Sha1::digest(xor(native(password, nonce), &mask)), stored);
        let stored = Sha256::digest(Sha256::digest(password));
        let mask = Sha256::new().chain_update(stored).chain_update(nonce).finalize();
        assert_eq!(Sha256::digest(xor(caching_sha2(password, nonce), &mask)), stored);
    }

    #[test]
    fn ed25519_signatures_verify() {
        // Goal: S·B = R + H(R,A,M)·A. Method: the verification equation of RFC 8032.
        let nonce = [7u8; 32];
        let signature = ed25519(b"secret", &nonce);
        let hash: [u8; 64] = Sha512::digest(b"secret").into();
        let low: [u8; 32] = hash[..32].try_into().unwrap();
        let public = EdwardsPoint::mul_base(&Scalar::from_bytes_mod_order(clamp_integer(low)));
        let h = Sha512::new()
            .chain_update(&signature[..32])
            .chain_update(public.compress().as_bytes())
            .chain_update(nonce)
            .finalize();
        let h = Scalar::from_bytes_mod_order_wide(&h.into());
        let s = Scalar::from_canonical_bytes(signature[32..].try_into().unwrap()).unwrap();
        let r = EdwardsPoint::mul_base(&s) - public * h;
        assert_eq!(r.compress().as_bytes()[..], signature[..32]);
    }

    #[test]
    fn passwords_never_leave_in_the_clear() {
        // Goal: clear text only under TLS; nothing of the password in the errors. Method: refuse.
        for (plugin, channel) in [
            ("mysql_clear_password", Channel::Open),
            ("mysql_clear_password", Channel::Local),
            ("dialog", Channel::Tls),
        ] {
            let error = answer(plugin, "hunter2", &[0; 20], channel).unwrap_err();
            assert!(!error.to_string().contains("hunter2"));
        }
        let clear = answer("mysql_clear_password", "pw", &[], Channel::Tls).unwrap();
        assert_eq!(clear, b"pw\0");
        assert_eq!(encrypted("pw", &[1; 20], b"no key").unwrap_err().code, "my-rsa-key");
    }
}
