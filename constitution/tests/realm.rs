//! What scripts find in their realm (CCF interface, sections 4.5 to 4.7), in process and through a worker.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::engines;
use constitution::{Engine, EngineError, Kv, Limits, MemoryKv, NoEffects, Phase};

/// Runs `body` as `validate` and gives back what it returns as text.
fn evaluate(engine: &mut dyn Engine, body: &str, kv: &mut dyn Kv) -> Result<String, EngineError> {
    let module = format!(
        "function body() {{ {body} }}
         export function validate(input) {{ return {{valid: true, description: String(body())}}; }}"
    );
    Ok(engine.validate(&module, "{}", kv)?.description.unwrap())
}

/// Runs `body` as `apply`.
fn apply(engine: &mut dyn Engine, body: &str, kv: &mut dyn Kv) -> Result<(), EngineError> {
    let module = format!("export function apply(proposal, proposalId) {{ {body} }}");
    engine.apply(&module, "{}", "id", kv, &mut NoEffects)
}

fn thrown(error: &EngineError) -> String {
    error.failure(Phase::Vote).unwrap().reason
}

/// Each body on each engine; what it returns, or throws.
fn all(cases: &[(&str, &str)]) {
    for (name, mut engine) in engines(Limits::default()) {
        for (body, want) in cases {
            let got = evaluate(&mut *engine, body, &mut MemoryKv::default())
                .unwrap_or_else(|error| thrown(&error));
            assert_eq!(&got, want, "{name}: {body}");
        }
    }
}

/// The whole of `ccf` as a governance script sees it, so that nothing is missing and nothing slips in.
#[test]
fn d30_the_ccf_object_has_these_members_and_no_others() {
    const READ: &str = "bufToJsonCompatible bufToStr crypto enableMetricsLogging enableUntrustedDateTime gov \
                        jsonCompatibleToBuf kv pemToId strToBuf tcbHexToPolicy";
    const APPLY: &str = "bufToJsonCompatible bufToStr crypto enableMetricsLogging enableUntrustedDateTime gov \
                         jsonCompatibleToBuf kv network node pemToId refreshAppBytecodeCache \
                         removeJwtPublicSigningKeys setJwtPublicSigningKeys strToBuf tcbHexToPolicy";
    const CRYPTO: &str = "digest eddsaJwkToPem eddsaPemToJwk generateAesKey generateEcdsaKeyPair \
                          generateEddsaKeyPair generateRsaKeyPair isValidX509CertBundle isValidX509CertChain \
                          jwkToPem pemToJwk pubEddsaJwkToPem pubEddsaPemToJwk pubJwkToPem pubPemToJwk \
                          pubRsaJwkToPem pubRsaPemToJwk rsaJwkToPem rsaPemToJwk sign unwrapKey verifySignature \
                          wrapKey";
    const NODE: &str = "transitionServiceToOpen triggerLedgerChunk triggerLedgerRekey \
                        triggerRecoverySharesRefresh triggerSnapshot";
    const NETWORK: &str =
        "generateEndorsedCertificate generateNetworkCertificate getLatestLedgerSecretSeqno";
    let list = |object: &str| format!("return Object.keys({object}).sort().join(' ')");
    all(&[
        (&list("ccf"), READ),
        (&list("ccf.crypto"), CRYPTO),
        (&list("ccf.gov"), "validateConstitution"),
        (&list("snp_attestation"), "verifySnpAttestation"),
        (&list("console"), "error info log warn"),
        (
            "return Object.values(ccf.crypto).every((f) => typeof f === 'function')",
            "true",
        ),
        // Not for governance (CCF interface, section 4.5).
        (
            "return [ccf.rpc, ccf.consensus, ccf.historical, ccf.historicalState, ccf.host, ccf.digest].join()",
            ",,,,,",
        ),
    ]);
    for (name, mut engine) in engines(Limits::default()) {
        for (object, want) in [("ccf", APPLY), ("ccf.node", NODE), ("ccf.network", NETWORK)] {
            let body = format!(
                "const got = Object.keys({object}).sort().join(' ');
                 if (got !== '{want}') throw new Error(got);"
            );
            let applied = apply(&mut *engine, &body, &mut MemoryKv::default());
            applied.unwrap_or_else(|error| panic!("{name} {object}: {}", thrown(&error)));
        }
    }
}

#[test]
fn d30_texts_and_buffers() {
    all(&[
        ("return ccf.bufToStr(ccf.strToBuf('grüße'))", "grüße"),
        ("return ccf.strToBuf('grüße').byteLength", "7"),
        ("return ccf.strToBuf('a\\0b').byteLength", "1"),
        (
            "return ccf.bufToStr(ccf.jsonCompatibleToBuf({b: [1], a: null}))",
            "{\"b\":[1],\"a\":null}",
        ),
        (
            "return ccf.bufToJsonCompatible(ccf.strToBuf('{\"a\":7}')).a",
            "7",
        ),
        (
            "return ccf.strToBuf(7)",
            "TypeError: Argument must be a string",
        ),
        (
            "return ccf.bufToStr('x')",
            "TypeError: Argument must be an ArrayBuffer",
        ),
        (
            "return ccf.strToBuf('a', 'b')",
            "TypeError: Passed 2 arguments, but expected 1",
        ),
        (
            "return ccf.bufToStr()",
            "TypeError: Passed 0 arguments, but expected 1",
        ),
        (
            "try { ccf.bufToJsonCompatible(ccf.strToBuf('{')) } catch (e) { return e.name }",
            "SyntaxError",
        ),
        ("return ccf.enableUntrustedDateTime(true)", "true"),
        (
            "return [ccf.enableMetricsLogging(true), ccf.enableMetricsLogging(false)]",
            "false,true",
        ),
        (
            "return ccf.tcbHexToPolicy('00a00f11', 'db18000000000004').microcode",
            "219",
        ),
        (
            "return new Date().getTime() > 1600000000000 && Math.random() !== Math.random()",
            "true",
        ),
    ]);
}

#[test]
fn d30_cryptography_from_scripts() {
    let data = "const data = ccf.strToBuf('data'), c = ccf.crypto;";
    let script = |rest: &str| format!("{data} {rest}");
    let cases = [
        (
            "const hex = (b) => [...new Uint8Array(b)].map((x) => x.toString(16).padStart(2, '0')).join('');
             return hex(c.digest('SHA-256', ccf.strToBuf('abc')))",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ),
        (
            "const {privateKey, publicKey} = c.generateEcdsaKeyPair('secp256r1');
             const by = {name: 'ECDSA', hash: 'SHA-256'};
             const s = c.sign(by, privateKey, data);
             return [s.byteLength, c.verifySignature(by, publicKey, s, data), c.verifySignature(by, publicKey, s, s)]",
            "64,true,false",
        ),
        (
            "const {privateKey, publicKey} = c.generateEddsaKeyPair('curve25519');
             return c.verifySignature({name: 'EdDSA'}, publicKey, c.sign({name: 'EdDSA'}, privateKey, data), data)",
            "true",
        ),
        (
            "const {privateKey, publicKey} = c.generateRsaKeyPair(2048);
             const by = {name: 'RSA-OAEP-AES-KWP', aesKeySize: 256, label: ccf.strToBuf('l')};
             const wrapped = c.wrapKey(data, ccf.strToBuf(publicKey), by);
             return ccf.bufToStr(c.unwrapKey(wrapped, ccf.strToBuf(privateKey), by))",
            "data",
        ),
        (
            "const key = c.generateAesKey(128), by = {name: 'AES-KWP'};
             return ccf.bufToStr(c.unwrapKey(c.wrapKey(data, key, by), key, by))",
            "data",
        ),
        (
            "const jwk = c.pemToJwk(c.generateEcdsaKeyPair('secp384r1').privateKey, 'k');
             return [jwk.kty, jwk.crv, jwk.kid, jwk.d.length, c.pemToJwk(c.jwkToPem(jwk)).d === jwk.d]",
            "EC,P-384,k,64,true",
        ),
        (
            "return Object.keys(c.pubEddsaPemToJwk(c.generateEddsaKeyPair('x25519').publicKey)).join()",
            "kty,crv,x",
        ),
        ("return c.isValidX509CertBundle('x')", "false"),
        ("return c.isValidX509CertChain('x', 'y')", "false"),
        (
            "return c.digest('SHA-1', data)",
            "RangeError: unsupported algorithm for digest: SHA-1",
        ),
        (
            "return c.sign({name: 'RSA', hash: 'SHA-256'}, 'key', data)",
            "RangeError: unsupported algorithm for sign: RSA",
        ),
        (
            "return c.sign({name: 'ECDSA', hash: 'SHA-256'}, 'key', data)",
            "InternalError: Failed to sign: no PEM block",
        ),
        (
            "return c.sign('ECDSA', 'key', data)",
            "TypeError: algorithm must be an object",
        ),
        (
            "return c.verifySignature({}, 'key', data)",
            "TypeError: Passed 3 arguments, but expected 4",
        ),
        (
            "return c.jwkToPem({kty: 'EC'})",
            "InternalError: Failed to convert jwk to pem: not a JWK of the kind that is needed",
        ),
    ];
    let bodies: Vec<String> = cases.iter().map(|(body, _)| script(body)).collect();
    let cases: Vec<(&str, &str)> = bodies
        .iter()
        .zip(&cases)
        .map(|(body, (_, want))| (body.as_str(), *want))
        .collect();
    all(&cases);
}

const KEY: &str =
    "const k = ccf.strToBuf('k'), v = ccf.strToBuf('v'), t = ccf.kv['public:ccf.gov.t'];";

#[test]
fn d30_handles_read_and_write() {
    let body = "
        t.set(k, v).set(ccf.strToBuf('l'), v);
        const seen = [];
        t.forEach((value, key, map) => seen.push(ccf.bufToStr(key) + ccf.bufToStr(value) + (map === t)));
        const got = [t.has(k), ccf.bufToStr(t.get(k)), t.size, t.get(v), t.has(v), seen,
                     t.getVersionOfPreviousWrite(v)];
        t.delete(k);
        got.push(t.has(k));
        t.clear();
        got.push(t.size);
        if (String(got) !== 'true,v,2,,false,kvtrue,lvtrue,,false,0') throw new Error(String(got));
        t.set(k, v);";
    for (name, mut engine) in engines(Limits::default()) {
        let mut kv = MemoryKv::default();
        apply(&mut *engine, &format!("{KEY} {body}"), &mut kv)
            .unwrap_or_else(|error| panic!("{name}: {}", thrown(&error)));
        assert_eq!(
            kv.get("public:ccf.gov.t", b"k").unwrap().as_deref(),
            Some(b"v".as_slice()),
            "{name}"
        );
    }
    let bodies = [
        "t.get('k')",
        "t.get(new Uint8Array(1))",
        "t.has()",
        "t.forEach(7)",
        "t.get.call({}, k)",
        "t.get.call(null, k)",
    ]
    .map(|body| format!("{KEY} try {{ return {body} }} catch (e) {{ return e.name }}"));
    for body in &bodies {
        all(&[(body, "TypeError")]);
    }
}

/// The table of section 4.6: what may be read and written where.
#[test]
fn d30_tables_are_closed_as_ccf_closes_them() {
    // name, readable and writable in read-only scripts, in apply
    let cases = [
        ("public:ccf.gov.x", "r-", "rw"),
        ("public:ccf.internal.x", "r-", "r-"),
        ("public:x", "--", "-w"),
        ("x", "--", "--"),
        ("ccf.gov.x", "--", "--"),
        ("ccf.internal.x", "--", "--"),
    ];
    for (table, read_only, applying) in cases {
        let methods = [
            ("has(k)", 0),
            ("get(k)", 0),
            ("getVersionOfPreviousWrite(k)", 0),
            ("forEach(() => 0)", 0),
            ("size", 0),
            ("set(k, k)", 1),
            ("delete(k)", 1),
            ("clear()", 1),
        ];
        for (method, kind) in methods {
            let call = format!("const k = ccf.strToBuf('k'); ccf.kv['{table}'].{method};");
            let name = method.split('(').next().unwrap();
            let refusal = format!("TypeError: Cannot call {name} on table named {table}.");
            for (_, mut engine) in engines(Limits::default()) {
                let mut kv = MemoryKv::default();
                let read = evaluate(&mut *engine, &call, &mut kv).map(drop);
                let applied = apply(&mut *engine, &call, &mut kv);
                for (result, rights) in [(read, read_only), (applied, applying)] {
                    let allowed = rights.as_bytes()[kind] != b'-';
                    match result {
                        Ok(()) => assert!(allowed, "{method} on {table} with {rights}"),
                        Err(error) => {
                            let text = thrown(&error);
                            assert!(!allowed && text.starts_with(&refusal), "{text}");
                        }
                    }
                }
            }
        }
    }
    for table in ["public:ccf.x", "ccf.x", "public:ccf."] {
        let body = format!("try {{ return ccf.kv['{table}'] }} catch (e) {{ return e.name }}");
        all(&[(&body, "TypeError")]);
    }
}

/// A script that changes the engine's own objects gets no more than before, and reads what is there.
#[test]
fn d30_handles_cannot_be_bent() {
    let cases = [
        // The name a handle was made for can be overwritten; the rights are those of the name it has when it is used.
        (
            "const t = ccf.kv['public:ccf.gov.t']; t._map_name = 'secrets'; return t.get(ccf.strToBuf('k'))",
            "TypeError: Cannot call get on table named secrets.",
        ),
        (
            "Object.getPrototypeOf(ccf.kv['public:ccf.gov.t']).set.call({_map_name: 'public:ccf.gov.t'}, \
             ccf.strToBuf('k'), ccf.strToBuf('v'))",
            "TypeError: Cannot call set on table named public:ccf.gov.t.",
        ),
    ];
    for (name, mut engine) in engines(Limits::default()) {
        for (body, want) in cases {
            let error = evaluate(&mut *engine, body, &mut MemoryKv::default()).unwrap_err();
            assert!(
                thrown(&error).starts_with(want),
                "{name}: {}",
                thrown(&error)
            );
        }
        let body = "Uint8Array.prototype.toBase64 = () => { throw 1 }; String.prototype.toWellFormed = () => 'x';
                    JSON.stringify = () => 'x'; return ccf.bufToStr(ccf.strToBuf('abc'))";
        assert_eq!(
            evaluate(&mut *engine, body, &mut MemoryKv::default()).unwrap(),
            "abc",
            "{name}"
        );
    }
}

#[test]
fn d31_a_constitution_exports_three_functions_of_the_right_arity() {
    let good = "export function validate(input) {} export function apply(p, id) {}";
    let cases = [
        (
            format!("{good} export function resolve(p, id, votes) {{}}"),
            "",
        ),
        (
            format!("{good} export function resolve(p, id, votes, pid) {{}}"),
            "",
        ),
        (
            format!("{good} export function resolve(p) {{}}"),
            "exports function resolve with 1 arg, expected between 3 and 4 args",
        ),
        (
            "export function validate(a, b, c) {} export function apply(p, id) {} \
             export function resolve(a, b, c) {}"
                .to_owned(),
            "exports function validate with 3 args, expected 1 arg",
        ),
        (
            "export function validate(a) {} export function resolve(a, b, c) {}".to_owned(),
            "Failed to find export 'apply'",
        ),
        (
            format!("{good} export const resolve = 7;"),
            "is not a function",
        ),
        ("export function (".to_owned(), "SyntaxError"),
        (String::new(), "constitution is empty"),
        // The top level runs without `ccf`, and what it throws is not looked at.
        (
            format!("ccf.kv.x; {good} export function resolve(a, b, c) {{}}"),
            "",
        ),
    ];
    for (name, mut engine) in engines(Limits::default()) {
        for (text, want) in &cases {
            let from_host = engine.validate_constitution(text);
            let quoted = serde_json::to_string(text).unwrap();
            let body = format!("return ccf.gov.validateConstitution({quoted})");
            let from_script = evaluate(&mut *engine, &body, &mut MemoryKv::default());
            if want.is_empty() {
                from_host.unwrap();
                assert_eq!(from_script.unwrap(), "true", "{name}: {text}");
                continue;
            }
            for error in [from_host.unwrap_err(), from_script.unwrap_err()] {
                let reason = thrown(&error);
                assert!(
                    reason.starts_with("TypeError") && reason.contains(want),
                    "{name}: {reason}"
                );
            }
        }
        let body = "return ccf.gov.validateConstitution(7)";
        let error = evaluate(&mut *engine, body, &mut MemoryKv::default()).unwrap_err();
        assert_eq!(
            thrown(&error),
            "TypeError: constitution is not a string",
            "{name}"
        );
    }
}

/// A constitution that is being checked runs within the limits of the script that checks it.
#[test]
fn d31_checking_a_constitution_is_bounded_too() {
    for (name, mut engine) in engines(common::tight()) {
        let error = engine.validate_constitution("while (true) {}").unwrap_err();
        assert_eq!(error.code(), "TimedOut", "{name}");
        let body = "return ccf.gov.validateConstitution('while (true) {}')";
        let error = evaluate(&mut *engine, body, &mut MemoryKv::default()).unwrap_err();
        assert_eq!(error.code(), "TimedOut", "{name}");
        let deep = format!(
            "export const a = {}1{}",
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        let error = engine.validate_constitution(&deep).unwrap_err();
        assert!(
            matches!(error.code(), "Threw" | "OutOfMemory"),
            "{name} {error:?}"
        );
    }
}
