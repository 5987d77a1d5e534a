//! People who are known by token.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::scene::{CONTRACT, Scene, refused};

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
