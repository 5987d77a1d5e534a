//! Known answers for RSA, made with OpenSSL, which is what CCF signs and verifies with.

/// What is signed.
pub(super) const DATA: &[u8] = b"what is signed";

/// The key: `openssl pkey -pubout`.
pub(super) const PUBLIC_KEY: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAx4NVLtbT/Qve81CgWH+6\n\
8FkhBI73cdlIjDQkWG/K0payjcazixdvYZoluBZnm1KvHw6fNdW1vB/nTI3Kzz9T\n\
WGWogC/r740KsjGGkSihj0dgxIbqa/Bfg+FF2McS75xkdnoohv/stl/5HiGFn+KX\n\
hCNGqEyslNQVMJC9ncG8OK0/A5eE4+HFUJse8OOTCC7IdRsWon5ml2/ouZXWq6om\n\
2PBpw6cSa6EHiB9WefQSPqYYxD0u9+dIVm87gWot9L1URsmxqnPjm1vBtKSB1m63\n\
1zAJeYnpECIa2pBRXFExE/2yGsfVLmpyoD7d5MVRSrhusPdCKb6fo4CzrsFC+uum\n\
/wIDAQAB\n\
-----END PUBLIC KEY-----\n";

/// A certificate of the key: `openssl req -x509`.
pub(super) const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIDBTCCAe2gAwIBAgIUYrKzaRjin8VtDmWAmcLuk3466GswDQYJKoZIhvcNAQEL\n\
BQAwETEPMA0GA1UEAwwGc2lnbmVyMCAXDTI2MTEyNTIxMTkzN1oYDzIxMjYxMTAx\n\
MjExOTM3WjARMQ8wDQYDVQQDDAZzaWduZXIwggEiMA0GCSqGSIb3DQEBAQUAA4IB\n\
DwAwggEKAoIBAQDHg1Uu1tP9C97zUKBYf7rwWSEEjvdx2UiMNCRYb8rSlrKNxrOL\n\
F29hmiW4FmebUq8fDp811bW8H+dMjcrPP1NYZaiAL+vvjQqyMYaRKKGPR2DEhupr\n\
8F+D4UXYxxLvnGR2eiiG/+y2X/keIYWf4peEI0aoTKyU1BUwkL2dwbw4rT8Dl4Tj\n\
4cVQmx7w45MILsh1GxaifmaXb+i5ldarqibY8GnDpxJroQeIH1Z59BI+phjEPS73\n\
50hWbzuBai30vVRGybGqc+ObW8G0pIHWbrfXMAl5iekQIhrakFFcUTET/bIax9Uu\n\
anKgPt3kxVFKuG6w90Ipvp+jgLOuwUL666b/AgMBAAGjUzBRMB0GA1UdDgQWBBRc\n\
Mcy+ovzt1Jd0DESRBm5dOSABKTAfBgNVHSMEGDAWgBRcMcy+ovzt1Jd0DESRBm5d\n\
OSABKTAPBgNVHRMBAf8EBTADAQH/MA0GCSqGSIb3DQEBCwUAA4IBAQBNF3taSZS7\n\
Zd8+EFlwsi5RGN0yl5YHUmjHJ/YHM4CiCEasFmK8FtEb7nQMzkiVVoIDomdJGAjO\n\
/Dg6hJKUeNJKZC2w8udeuglcjREPyX2UwxMWAZxq9NNHO+sFQxXl3l8zN+rBj3bb\n\
TnLVIJ5vdCO9WO1YAb58VgPemn3zcXUVZGnVy7dDZw1Z2fyryWs+Cs3jUzXNwO8O\n\
5mnkLjcNk/hr/S1qVOF9SctxaXplJhhy/yYsaYUR2u7AkJ3x6IhA1ZeA/2cTYrWN\n\
bqlETfIpdoUCmZ8Ft3FFBMyXqK229ddoTlbzhmGfrk42UdJvmVqQhx5v4rgu9TiI\n\
P3+82Vdk4fZo\n\
-----END CERTIFICATE-----\n";

/// Salt length, and the signature by `openssl dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:…` in base64. 222 is
/// the longest that fits.
pub(super) const PSS: [(i64, &str); 3] = [
    (
        0,
        "\
    q9xI/Rh4DWLPxNuipXmRPScvn9VNZymWoe6T5J8F/EcotDSPbpaDtkpuqdmaMFPjYOn9Q0ArCxnCDrzHZNI2u6HPOk//PPTFd0HK\
    yQbnb0y86g9PNc0n0NWohEd5e+asOKC/dS2Cp9VMZsX/OiQGfQsiTWJWHcxLfqWrJcWeLxYTlmf19zz/QeBs6kt5nzYgNQr941ks\
    7H5OKTFK+GKFOmJlRGuvub6gLVrZoTcX0A2R7yyLGaesqzBdCflmaiOR+j83Fj3ptWU4jN5kX1ZgvcKhR1uKBJ4M8pKgTtAn14S1\
    124pqEhn8rLSWl0vvVNQPOhFBrEUz76Myy0Vz5pwSA==",
    ),
    (
        20,
        "\
    wGeHihAyfgkh6Ar/kUVHdnCQasRHpWuxTrUxKgHVP7+cgX21uiEySgzRNXSYjaB7O1o40MT6BJWj62+pAFDBMdx+Db+enq475zKS\
    +dfLiVn4UK3aDlQFqDWN/7U8M6sIaDhusEAWbgEFxZ7QpdB6cHczOTxf0ADADDPxOLdx2IfydISVYiuSZ+RtyUYTo6GckMFwRVca\
    7Vx14cBQPZYfyoN1DRHQ9zt8C9Apx6foOAzuUjtQSA3dcogvHTTjb5C7cfgb9ZYgzfZnzNsWHzODiZAcr3pfI+x0t80KQZ4vC+KH\
    VarDQwYf0A1Qeuuy6AaVfdaZiuuVUhvMbbq9PJbzbg==",
    ),
    (
        222,
        "\
    pR+Siq9Ec7G0gdWJT7QVpKq9cnwCjJ/w0jJgq2d5c24JU2drbCd6Gbg4XYglq2En/1PUiUfef0wOG/J7mniQJRViiSRpfs1XJ32C\
    A0WndGKGkl1UEQTpFfGhMxB8KD7L8FhgvLe7+B5wgb9Z+vlf9kf2YCWir2aAWtf1UKDt2H2gouDaSHGHb1KMYeixtz4bvuyor0xk\
    HxtWiMgXpWI04KR34AqaxlAhulZAUUWTIkNEfP9fB+GCadC4Ml5847KiRHO60VlKCpbLIhkII0UkBazAk4n5T05wTNGL96KxwFdq\
    CjXIatbhWrP4KLLJLVTzhs01k6MAt+edpWtzaM+B2w==",
    ),
];

/// The signature by `openssl dgst -sha256`: PKCS #1 v1.5, base64.
pub(super) const PKCS1: &str = "\
    bWWO3Gs5mHWwSuYDZVRx3xbtJgfe/2FWqlsun5kd6OMDblJzG71BBDhSuqAvvJWJoAXdvZL4xZaNCZfI6WxHTJPOHX9J8xS2K/PH\
    RUnVQ89f3iMZYUiQbrzrdROzboqaRg89D1GAIfic4qL7NRmF+6J2Lz58HDQ+zCtj78ovBRiOyLjHhGpLTlFn+kLdqL8I7jk4o3q6\
    RvkvbfydNFhxexygTSi/OhzcWR8Lrla3XrXv5TDOgjZyWb7CCqS90RSFtcfxlqrh+b0GenGbxW+TKB9LbpJkUrLqMRJkSDrAfjCd\
    8CpCNArYL0/TSPMEYzeoME+9FeFZusikiMndmJVJHQ==";
