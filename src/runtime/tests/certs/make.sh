#!/bin/sh
# Makes the certificates of the TLS tests anew (OpenSSL 3). They are for tests only: their keys are
# public. Valid for a hundred years, but for expired.pem.
set -eu
cd "$(dirname "$0")"
key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key" 2>/dev/null; }
# sign NAME SUBJECT EXTENSIONS DAYS CA
sign() {
    openssl req -new -key "$1.key" -subj "/CN=$2" -out request.tmp
    printf '%b' "$3" > extensions.tmp
    openssl x509 -req -in request.tmp -CA "$5.pem" -CAkey "$5.key" -days "$4" \
        -extfile extensions.tmp -out "$1.pem" 2>/dev/null
}
key ca
openssl req -x509 -key ca.key -subj "/CN=Penstock test CA" -days 36500 -out ca.pem
key other
openssl req -x509 -key other.key -subj "/CN=Another CA" -days 36500 -out other.pem
key server
sign server server "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n" 36500 ca
key wrongname
sign wrongname wrongname "subjectAltName=DNS:db.example\nbasicConstraints=CA:FALSE\n" 36500 ca
key client
sign client cdc "basicConstraints=CA:FALSE\n" 36500 ca
# As the manuals of databases make them: self-signed and a CA; and of version 1.
key selfsigned
openssl req -x509 -key selfsigned.key -subj "/CN=localhost" \
    -addext "subjectAltName=DNS:localhost" -days 36500 -out selfsigned.pem
key version1
openssl req -new -key version1.key -subj "/CN=localhost" -out request.tmp
openssl x509 -req -in request.tmp -CA ca.pem -CAkey ca.key -days 36500 -out version1.pem 2>/dev/null
key expired
openssl req -new -key expired.key -subj "/CN=localhost" -out request.tmp
printf 'subjectAltName=DNS:localhost\n' > extensions.tmp
: > index.tmp
cat > ca.tmp <<'CONF'
[ca]
default_ca = this
[this]
database = index.tmp
serial = serial.tmp
new_certs_dir = .
default_md = sha256
policy = any
[any]
commonName = supplied
CONF
echo 77 > serial.tmp
openssl ca -batch -config ca.tmp -cert ca.pem -keyfile ca.key -in request.tmp -out expired.pem \
    -extfile extensions.tmp -startdate 20200101000000Z -enddate 20210101000000Z -notext 2>/dev/null
openssl pkey -in client.key -aes256 -passout pass:secret -out encrypted.key
rm -f ./*.tmp ./*.tmp.* 77.pem ca.key other.key expired.csr
