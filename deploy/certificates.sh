#!/bin/sh
# A CA of your own, and one certificate for the scheduler, the workers and the drivers of a cluster:
# FOLDER/ca.pem, cert.pem, key.pem. Who has the key may run code on the workers. Keep ca-key.pem away.
set -eu
folder=${1:?usage: certificates.sh FOLDER [DAYS]}
days=${2:-365}
umask 077
mkdir -p "$folder"
cd "$folder"
openssl ecparam -name prime256v1 -genkey -noout -out ca-key.pem
openssl req -x509 -new -key ca-key.pem -subj "/CN=lasso-jobs CA" -days "$days" -out ca.pem
openssl ecparam -name prime256v1 -genkey -noout -out key.pem
openssl req -new -key key.pem -subj "/CN=lasso-jobs" -out cert.csr
openssl x509 -req -in cert.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days "$days" -out cert.pem
rm cert.csr ca.srl
