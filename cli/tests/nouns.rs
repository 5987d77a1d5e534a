//! Every noun of the application at the command line: people and clean rooms against a node, as processes.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cleanroom");
const AGREED: &str = "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1";
const OTHER: &str = "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b";
const CONTRACT: &str = "c1";

/// A service with one member, an accepted contract and a policy that admits [`AGREED`], and folders with evidence.
struct Scene {
    scratch: tempfile::TempDir,
    node: Child,
    url: String,
}

/// What a command came to.
struct Done {
    code: i32,
    out: Value,
    err: String,
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = self.node.kill();
        let _ = self.node.wait();
    }
}

impl Scene {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let mut node = Command::new(PROGRAM)
            .args(["node", "start", "--sandbox", "--dir", "box"])
            .args(["--port", "0", "--simulated-platform"])
            .current_dir(scratch.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(node.stdout.take().unwrap());
        let mut url = String::new();
        output.read_line(&mut url).unwrap();
        // Kept open: a node whose output nobody takes any more ends.
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        let scene = Self {
            scratch,
            node,
            url: url.trim().to_owned(),
        };
        let terms = scene.file("terms.json", &json!({ "purpose": "test" }));
        let draft = scene.member(&["contract", "put", CONTRACT, &terms]);
        let version = draft["version"].as_str().unwrap();
        scene.vote(&["contract", "propose", CONTRACT, "--version", version]);
        scene.vote(&["policy", "propose", CONTRACT, "--host-data", AGREED]);
        for (host_data, folder) in [(AGREED, "room"), (OTHER, "other")] {
            scene.simulate(&["--host-data", host_data], folder);
        }
        scene
    }

    fn path(&self, name: &str) -> String {
        self.scratch.path().join(name).to_str().unwrap().to_owned()
    }

    fn file(&self, name: &str, content: &Value) -> String {
        let path = self.path(name);
        fs::write(&path, content.to_string()).unwrap();
        path
    }

    fn simulate(&self, what: &[&str], folder: &str) {
        let folder = self.path(folder);
        let arguments = [&["attest", "simulate"], what, &[&folder]].concat();
        let done = self.run(&arguments);
        assert_eq!(done.code, 0, "{}", done.err);
    }

    fn run(&self, arguments: &[&str]) -> Done {
        let output = Command::new(PROGRAM)
            .args(arguments)
            .arg("--json")
            .output()
            .unwrap();
        Done {
            code: output.status.code().unwrap(),
            out: serde_json::from_slice(&output.stdout).unwrap_or_default(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs a command at the service, as whoever `how` says.
    fn at(&self, arguments: &[&str], how: &[&str]) -> Done {
        let certificate = self.path("box/service_cert.pem");
        let service = ["--url", &self.url, "--service-cert", &certificate];
        self.run(&[arguments, &service, how].concat())
    }

    /// As the member; it must succeed.
    #[track_caller]
    fn member(&self, arguments: &[&str]) -> Value {
        let done = self.at(arguments, &["--identity", &self.path("box/member0")]);
        assert_eq!(done.code, 0, "{arguments:?}: {}", done.err);
        done.out
    }

    /// Makes a proposal as the member, who then votes for it.
    #[track_caller]
    fn vote(&self, arguments: &[&str]) {
        let mut proposal = self.member(arguments);
        if proposal["proposalState"] == "Open" {
            let id = proposal["proposalId"].as_str().unwrap().to_owned();
            proposal = self.member(&["proposal", "vote", &id, "--accept"]);
        }
        assert_eq!(proposal["proposalState"], "Accepted", "{arguments:?}");
    }

    /// As the clean room whose evidence is in a folder.
    fn try_as(&self, folder: &str, arguments: &[&str]) -> Done {
        self.at(arguments, &["--evidence", &self.path(folder)])
    }

    #[track_caller]
    fn room(&self, arguments: &[&str]) -> Value {
        let done = self.try_as("room", arguments);
        assert_eq!(done.code, 0, "{arguments:?}: {}", done.err);
        done.out
    }

    /// Stores a secret as the member: its full id.
    fn secret(&self, name: &str, more: &[&str]) -> String {
        let file = self.path("secret.txt");
        fs::write(&file, format!("the secret {name}")).unwrap();
        let stored = self.member(&[&["secret", "put", CONTRACT, name, &file], more].concat());
        stored["secretId"].as_str().unwrap().to_owned()
    }
}

/// A service that refused says its code, and the program ends with 3.
#[track_caller]
fn refused(done: &Done, code: &str) {
    assert_eq!(done.code, 3, "{}", done.err);
    let error = done.err.lines().last().unwrap();
    let error: Value = serde_json::from_str(error).unwrap();
    assert_eq!(error["error"]["code"], code, "{error}");
}

#[test]
fn tokens_signatures_and_certificates_from_the_vote_to_the_clean_room() {
    let scene = Scene::new();
    let (subject, audience) = ("reader", "api://storage");
    let token = [
        "issuer",
        "token",
        CONTRACT,
        "--subject",
        subject,
        "--audience",
        audience,
        "--tenant",
        "t",
    ];
    refused(&scene.try_as("room", &token), "SigningKeyNotAvailable");
    scene.vote(&["issuer", "enable", "--kid", "k"]);
    let key = scene.member(&["issuer", "generate-key"]);
    refused(&scene.try_as("room", &token), "IssuerUrlNotSet");
    let url = "https://issuer.example";
    scene.vote(&["issuer", "set-url", url, "--for-all"]);
    let shown = scene.member(&["issuer", "show"]);
    assert_eq!(shown, json!({ "enabled": true, "issuerUrl": url }));
    let published = scene.path("published");
    let done = scene.at(&["issuer", "documents", "--out", &published], &[]);
    assert_eq!(done.code, 0, "{}", done.err);
    let keys: Value =
        serde_json::from_slice(&fs::read(PathBuf::from(&published).join("keys")).unwrap()).unwrap();
    assert_eq!(keys["keys"][0]["kid"], key["kid"]);
    assert!(
        PathBuf::from(&published)
            .join(".well-known/openid-configuration")
            .is_file()
    );
    let issued = scene.room(&token)["value"].as_str().unwrap().to_owned();
    let claims = issued.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    for (name, want) in [
        ("sub", subject),
        ("aud", audience),
        ("iss", url),
        ("contractId", CONTRACT),
    ] {
        assert_eq!(claims[name], want, "{name}");
    }
    assert_eq!(
        claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(),
        3600
    );
    refused(&scene.try_as("other", &token), "VerifySnpAttestationFailed");

    let payload = scene.file("payload.json", &json!({ "pay": 5 }));
    scene.vote(&["signing", "enable", "--kid", "s"]);
    let key = scene.member(&["signing", "generate-key"]);
    assert_eq!(scene.member(&["signing", "show"])["kid"], key["kid"]);
    let signature = scene.room(&["signing", "sign", CONTRACT, &payload]);
    let signature = STANDARD.decode(signature["value"].as_str().unwrap());
    assert_eq!(signature.unwrap().len() % 64, 0);
    scene.vote(&["signing", "rotate"]);
    scene.member(&["signing", "generate-key"]);
    let info = scene.member(&["signing", "show"]);
    assert_eq!(info["previous"][0]["kid"], key["kid"]);

    let public = scene.path("room/pub_key.pem");
    let certify = [
        "authority",
        "certify",
        CONTRACT,
        "--public-key",
        &public,
        "--subject",
        "CN=room",
        "--name",
        "dNSName:room.example",
    ];
    refused(&scene.try_as("room", &certify), "NoCASigningKey");
    scene.vote(&["authority", "enable", CONTRACT]);
    let authority = scene.member(&["authority", "generate-key", CONTRACT]);
    assert!(
        authority["caCert"]
            .as_str()
            .unwrap()
            .contains("BEGIN CERTIFICATE")
    );
    let certificate = scene.room(&certify);
    assert!(
        certificate["cert"]
            .as_str()
            .unwrap()
            .contains("BEGIN CERTIFICATE")
    );

    let kinds = scene.member(&["secret", "releases", CONTRACT, "--outcome", "granted"]);
    let kinds: Vec<_> = kinds.as_array().unwrap().iter().collect();
    for kind in ["token", "signature", "certificate"] {
        let found = kinds.iter().any(|one| one["record"]["kind"] == kind);
        assert!(found, "{kind} is recorded: {kinds:?}");
    }
}

#[test]
fn documents_secrets_and_delegates_that_hang_on_them_and_consent() {
    let scene = Scene::new();
    let me = scene.run(&["member", "id", "--identity", &scene.path("box/member0")]);
    let approver = me.out["id"].as_str().unwrap().to_owned();
    let query = scene.file("query.json", &json!({ "sql": "select 1" }));
    let put = [
        "document",
        "put",
        CONTRACT,
        "q",
        &query,
        "--label",
        "kind:query",
        "--approver",
        &approver,
    ];
    let draft = scene.member(&put);
    let version = draft["version"].as_str().unwrap();
    let listed = scene.member(&["document", "list", CONTRACT, "--label", "kind:query"]);
    assert_eq!(listed, json!(["q"]));
    let held = scene.secret("k", &["--document", "q"]);
    let get = ["secret", "get", CONTRACT, &held];
    refused(&scene.try_as("room", &get), "DocumentNotInForce");
    let propose = [
        "document",
        "propose",
        CONTRACT,
        "q",
        "--version",
        "2.1",
        "--proposal",
        "p1",
    ];
    let done = scene.at(&propose, &["--identity", &scene.path("box/member0")]);
    assert_eq!(done.code, 1, "another version was reviewed: {}", done.err);
    let propose = [
        "document",
        "propose",
        CONTRACT,
        "q",
        "--version",
        version,
        "--proposal",
        "p1",
    ];
    assert_eq!(scene.member(&propose)["state"], "Open");
    let both = scene.member(&["document", "proposal", "p1"]);
    assert_eq!(both["content"]["args"]["documentId"], "q");
    let voted = scene.member(&["document", "vote", "p1", "--accept"]);
    assert_eq!(voted["state"], "Accepted");
    let again = scene.at(
        &["document", "withdraw", "p1"],
        &["--identity", &scene.path("box/member0")],
    );
    refused(&again, "ProposalNotOpen");
    let document = scene.room(&["document", "get", CONTRACT, "q"]);
    let document: Value = serde_json::from_str(document["value"].as_str().unwrap()).unwrap();
    assert_eq!(document["data"], json!({ "sql": "select 1" }));
    assert_eq!(scene.room(&get)["value"], "the secret k");

    // Agreed code admits other code to another secret, as long as the document stands.
    let free = scene.secret("free", &[]);
    let claims = scene.file("claims.json", &json!({ "x-ms-sevsnpvm-hostdata": [OTHER] }));
    let purpose = format!("secrets/{free}");
    scene.room(&[
        "delegate",
        "put",
        CONTRACT,
        &purpose,
        &claims,
        "--document",
        "q",
    ]);
    let shown = scene.member(&["delegate", "show", CONTRACT, &purpose]);
    assert_eq!(shown["documents"], json!(["q"]));
    let list = scene.member(&["delegate", "list", CONTRACT]);
    assert_eq!(
        list,
        json!([{ "delegateType": "secrets", "delegateId": free }])
    );
    let free = ["secret", "get", CONTRACT, &free];
    assert_eq!(scene.try_as("other", &free).code, 0);
    let off = scene.member(&["option", "consent", CONTRACT, "off", "--document", "q"]);
    assert_eq!(off["status"], "disabled");
    refused(&scene.try_as("other", &free), "DocumentNotInForce");
    refused(&scene.try_as("room", &get), "DocumentNotInForce");
    scene.member(&["option", "consent", CONTRACT, "on", "--document", "q"]);
    assert_eq!(scene.try_as("other", &free).code, 0);
    scene.member(&["option", "consent", CONTRACT, "off"]);
    refused(&scene.try_as("room", &free), "ContractDisabled");
    scene.member(&["option", "consent", CONTRACT, "on"]);

    // What the consortium accepts.
    let draft = scene.member(&["document", "put", CONTRACT, "m", &query, "--kind", "member"]);
    let version = draft["version"].as_str().unwrap();
    scene.vote(&[
        "document",
        "propose",
        CONTRACT,
        "m",
        "--kind",
        "member",
        "--version",
        version,
    ]);
    let shown = scene.member(&["document", "show", CONTRACT, "m", "--kind", "member"]);
    assert_eq!(shown["state"], "Accepted");
    assert_eq!(
        scene
            .try_as(
                "room",
                &["document", "get", CONTRACT, "m", "--kind", "member"]
            )
            .code,
        0
    );
}

#[test]
fn events_options_and_evidence_that_answers_a_challenge() {
    let scene = Scene::new();
    let event = scene.file("event.json", &json!({ "rows": 3 }));
    for _ in 0..2 {
        scene.room(&[
            "event", "write", CONTRACT, &event, "--id", "e", "--scope", "s",
        ]);
    }
    let newest = scene.member(&["event", "read", CONTRACT, "--id", "e", "--scope", "s"]);
    assert_eq!(newest.as_array().unwrap().len(), 1);
    assert_eq!(newest[0]["data"], json!({ "rows": 3 }));
    assert_eq!(newest[0]["timestampSigned"], true);
    assert_eq!(newest[0]["writer"]["hostData"], AGREED);
    let all = scene.member(&[
        "event", "read", CONTRACT, "--id", "e", "--scope", "s", "--from", "1",
    ]);
    assert_eq!(all.as_array().unwrap().len(), 2);
    let done = scene.try_as("other", &["event", "write", CONTRACT, &event]);
    refused(&done, "VerifySnpAttestationFailed");

    let status = scene.member(&["option", "show", "--contract", CONTRACT, "logging"]);
    assert_eq!(status["status"], "disabled");
    scene.vote(&["option", "propose-switch", CONTRACT, "logging", "on"]);
    let status = scene.member(&["option", "show", "--contract", CONTRACT, "logging"]);
    assert_eq!(status["status"], "enabled");
    let service = scene.member(&["option", "show", "autoapprove-jsapp-proposal"]);
    assert_eq!(service["status"], "disabled");
    let unknown = scene.at(
        &["option", "show", "nonsense"],
        &["--identity", &scene.path("box/member0")],
    );
    refused(&unknown, "InvalidOption");

    let secret = scene.secret("k", &[]);
    let get = ["secret", "get", CONTRACT, &secret];
    let options = scene.file(
        "options.json",
        &json!({ "requireChallenge": true, "requireRequestSignature": true }),
    );
    scene.vote(&["option", "propose", &options, "--contract", CONTRACT]);
    refused(&scene.try_as("room", &get), "ChallengeMissing");
    let challenge = scene.at(&["attest", "challenge", CONTRACT], &[]);
    let challenge = challenge.out["challenge"].as_str().unwrap().to_owned();
    for (what, folder) in [
        (&["--host-data", AGREED][..], "fresh"),
        (&["--host-data", OTHER], "fresh-other"),
    ] {
        scene.simulate(&[what, &["--challenge", &challenge]].concat(), folder);
    }
    let done = scene.try_as("fresh", &get);
    assert_eq!(done.code, 0, "{}", done.err);
    refused(
        &scene.try_as("fresh-other", &get),
        "VerifySnpAttestationFailed",
    );
    fs::write(scene.path("fresh/challenge"), "1.00").unwrap();
    refused(&scene.try_as("fresh", &get), "ChallengeInvalid");
}

#[test]
fn machines_are_admitted_by_what_they_booted() {
    let scene = Scene::new();
    let secret = scene.secret("k", &[]);
    let get = ["secret", "get", CONTRACT, &secret];
    scene.simulate(&["--vm"], "vm");
    refused(&scene.try_as("vm", &get), "VerifySnpAttestationFailed");
    let shown = fs::read(scene.path("vm/attestation.json")).unwrap();
    let shown: Value = serde_json::from_slice(&shown).unwrap();
    let claims = json!({ "pcr4": [shown["evidence"]["pcrs"]["4"]] });
    let claims = scene.file("machines.json", &claims);
    scene.vote(&["policy", "propose", CONTRACT, "--vm", "--claims", &claims]);
    let done = scene.try_as("vm", &get);
    assert_eq!(done.code, 0, "{}", done.err);
    assert_eq!(done.out["value"], "the secret k");
    // Container groups go on as before.
    assert_eq!(scene.try_as("room", &get).code, 0);
}

/// Somebody whose keys members believe.
struct Issuer(RsaKeyPair);

impl Issuer {
    fn keys(&self) -> Value {
        let public = self.0.public_key();
        let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({ "keys": [{
            "kid": "i1", "kty": "RSA", "alg": "RS256",
            "n": number(public.modulus().big_endian_without_leading_zero()),
            "e": number(public.exponent().big_endian_without_leading_zero()),
        }]})
    }

    fn token(&self, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": "i1" });
        let signed = format!("{}.{}", part(&header), part(claims));
        let mut signature = vec![0; self.0.public_modulus_len()];
        let random = SystemRandom::new();
        self.0
            .sign(
                &RSA_PKCS1_SHA256,
                &random,
                signed.as_bytes(),
                &mut signature,
            )
            .unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

#[test]
fn people_without_certificates_from_the_invitation_to_the_registration() {
    let scene = Scene::new();
    let issuer = Issuer(RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
    let name = "https://login.microsoftonline.com/t1/v2.0";
    let actions = json!({ "actions": [{
        "name": "set_jwt_issuer", "args": { "issuer": name, "jwks": issuer.keys() },
    }]});
    let actions = scene.file("issuer.json", &actions);
    scene.vote(&["proposal", "create", &actions]);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let token = |who: &str, file: &str| {
        let claims = json!({
            "iss": name, "tid": "t1", "sub": who, "oid": who, "email": format!("{who}@example"),
            "exp": now.as_secs() + 3600,
        });
        let path = scene.path(file);
        fs::write(&path, issuer.token(&claims) + "\n").unwrap();
        path
    };
    let (ann, bob) = (token("ann", "ann.jwt"), token("bob", "bob.jwt"));
    let as_user = |arguments: &[&str], token: &str| scene.at(arguments, &["--token", token]);
    refused(&as_user(&["user", "status"], &ann), "CallerNotAuthorized");

    let claims = scene.file("invited.json", &json!({ "email": ["ann@example"] }));
    scene.vote(&["user", "invite", "i1", &claims]);
    let unaccepted = scene.at(
        &["user", "register", "i1"],
        &["--identity", &scene.path("box/member0")],
    );
    assert_eq!(unaccepted.code, 1, "{}", unaccepted.err);
    refused(
        &as_user(&["user", "accept", "i1"], &bob),
        "TokenClaimMismatch",
    );
    let accepted = as_user(&["user", "accept", "i1"], &ann);
    assert_eq!(accepted.code, 0, "{}", accepted.err);
    assert_eq!(accepted.out["status"], "Accepted");
    refused(
        &as_user(&["user", "accept", "i1"], &ann),
        "InvitationNotOpen",
    );
    let seen = as_user(&["user", "invitations"], &bob);
    assert_eq!(seen.out, json!([]), "{}", seen.err);
    let invitations = scene.member(&["user", "invitations"]);
    assert_eq!(invitations[0]["userInfo"]["userId"], "ann");
    scene.vote(&["user", "register", "i1", "--identifier", "Ann"]);
    let known = as_user(&["user", "status"], &ann);
    assert_eq!(known.out, json!({ "active": true }), "{}", known.err);
    refused(&as_user(&["user", "status"], &bob), "CallerNotAuthorized");
    let shown = scene.member(&["user", "show", "ann"]);
    assert_eq!(
        (&shown["data"]["tenantId"], &shown["data"]["identifier"]),
        (&json!("t1"), &json!("Ann"))
    );
    let list = scene.member(&["user", "list"]);
    assert_eq!(list.as_array().unwrap().len(), 1);

    // What is open to users is open to Ann's token; what members sign is not.
    let contracts = as_user(&["contract", "list"], &ann);
    assert_eq!(contracts.out, json!([CONTRACT]), "{}", contracts.err);
    let url = "https://issuer.example/t1";
    let set = as_user(&["issuer", "set-url", url], &ann);
    assert_eq!(
        set.out["tenantData"],
        json!({ "tenantId": "t1", "issuerUrl": url }),
        "{}",
        set.err
    );
    let removed = as_user(&["issuer", "remove-url"], &ann);
    assert_eq!(removed.out.get("tenantData"), None, "{}", removed.err);
    let proposing = as_user(&["issuer", "enable", "--kid", "k"], &ann);
    assert_eq!(proposing.code, 1, "{}", proposing.err);
    let nobody = scene.at(&["user", "status"], &[]);
    assert_eq!(nobody.code, 2, "neither identity nor token");
    scene.vote(&["user", "remove", "ann"]);
    refused(&as_user(&["user", "status"], &ann), "CallerNotAuthorized");
}
