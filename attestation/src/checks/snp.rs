use super::check_tests;
use crate::{
    Check, PlatformPolicy, TrustAnchors, UnixTime,
    checks::{Case, refused_by},
    der,
    simulated::{
        Platform,
        certificates::{Algorithm, ChainSpec, amd_name},
        keys::{Keys, ec_spki, rsa_spki},
        sign_report,
    },
    snp::{Product, TcbVersion},
};

/// Changes report bytes and signs again.
fn report(case: &mut Case, at: usize, bytes: &[u8]) {
    let mut report = case.platform.report(&case.guest);
    report[at..at + bytes.len()].copy_from_slice(bytes);
    case.evidence.report = sign_report(report).to_vec();
}

/// Changes report bytes after signing.
fn tamper(case: &mut Case, at: usize, value: u8) {
    case.evidence.report[at] ^= value;
}

fn chain(case: &mut Case, change: fn(&mut ChainSpec)) {
    let mut chain = case.platform.chain();
    change(&mut chain);
    case.evidence.endorsements = chain.to_pem();
}

fn vcek(case: &mut Case, arc: &str, value: Option<&[u8]>) {
    let oid = format!("1.3.6.1.4.1.3704.1.{arc}");
    let mut chain = case.platform.chain();
    match value {
        Some(value) => {
            for extension in chain.vcek.extensions.iter_mut().filter(|e| e.oid == oid) {
                extension.value = value.to_vec();
            }
        }
        None => chain.vcek.extensions.retain(|e| e.oid != oid),
    }
    case.evidence.endorsements = chain.to_pem();
}

fn product(case: &mut Case, product: Product) {
    *case = Case::on(Platform::new(product));
}

fn pem_text(case: &mut Case, change: fn(&str) -> String) {
    let text = String::from_utf8(case.evidence.endorsements.clone()).unwrap();
    case.evidence.endorsements = change(&text).into_bytes();
}

fn tcb(number: u64) -> TcbVersion {
    TcbVersion::from_memory(number.to_le_bytes())
}

fn unspoilt(_: &mut Case) {}

check_tests! {
    snp_01 Snp01 accepts unspoilt; refuses |c| c.evidence.report.push(0);
    snp_02 Snp02 accepts |c| report(c, 0, &[4]); refuses |c| report(c, 0, &[2]);
    snp_03 Snp03 accepts |c| report(c, 0x189, &[0x0f]); refuses |c| report(c, 0x189, &[0x50]);
    snp_04 Snp04 accepts |c| product(c, Product::Genoa);
        refuses |c| { product(c, Product::Turin); c.policy.products = PlatformPolicy::production().products; };
    snp_05 Snp05 accepts |c| pem_text(c, |t| t.replace('\n', "\r\n"));
        refuses |c| pem_text(c, |t| format!("{t}{t}"));
    snp_06 Snp06 accepts unspoilt;
        refuses |c| pem_text(c, |t| t.replacen("MII", "MIJ", 1));
    snp_07 Snp07 accepts |c| product(c, Product::Turin); refuses |c| c.anchors = TrustAnchors::production();
    snp_08 Snp08 accepts |c| chain(c, |s| s.vcek.algorithm = Algorithm::PssTrailer);
        refuses |c| chain(c, |s| s.vcek.algorithm = Algorithm::Pkcs1);
    snp_09 Snp09 accepts unspoilt; refuses |c| chain(c, |s| s.ask.extensions.clear());
    snp_10 Snp10 accepts unspoilt;
        refuses |c| {
            let mut chain = c.platform.chain();
            chain.ask.spki = rsa_spki(&Keys::get().ark);
            c.evidence.endorsements = chain.to_pem();
        };
    snp_11 Snp11 accepts |c| c.now = UnixTime::from_secs(2_366_841_600);
        refuses |c| c.now = UnixTime::from_secs(2_366_841_601);
    snp_12 Snp12 accepts |c| c.now = UnixTime::from_secs(1_577_836_800);
        refuses |c| c.now = UnixTime::from_secs(1_577_836_799);
    snp_13 Snp13 accepts unspoilt;
        refuses |c| chain(c, |s| s.vcek.spki = ec_spki("1.2.840.10045.3.1.7", &[4; 65]));
    snp_14 Snp14 accepts unspoilt; refuses |c| chain(c, |s| s.vcek.subject = amd_name("SEV-VLEK"));
    snp_15 Snp15 accepts unspoilt; refuses |c| vcek(c, "2", None);
    snp_16 Snp16 accepts |c| vcek(c, "2", Some(&der::ia5_string("Milan-B1")));
        refuses |c| vcek(c, "2", Some(&der::ia5_string("Genoa")));
    snp_17 Snp17 accepts unspoilt; refuses |c| vcek(c, "1", Some(&der::integer(&[1])));
    snp_18 Snp18 accepts unspoilt; refuses |c| report(c, 0x34, &[2]);
    snp_19 Snp19 accepts unspoilt; refuses |c| tamper(c, 0x49f, 1);
    snp_20 Snp20 accepts |c| report(c, 0x40, &[0xff; 8]); refuses |c| tamper(c, 0xc0, 1);
    snp_21 Snp21 accepts |c| report(c, 0x48, &[1]); refuses |c| report(c, 0x48, &[4]);
    snp_22 Snp22 accepts unspoilt; refuses |c| report(c, 0x48, &[2]);
    snp_23 Snp23 accepts unspoilt; refuses |c| vcek(c, "4", Some(&der::octet_string(&[1; 64])));
    snp_24 Snp24 accepts unspoilt; refuses |c| report(c, 0x1df, &[1]);
    snp_25 Snp25 accepts unspoilt; refuses |c| vcek(c, "3.8", None);
    snp_26 Snp26 accepts unspoilt; refuses |c| vcek(c, "3.3", Some(&der::integer(&[0x19])));
    snp_27 Snp27 accepts |c| c.evidence.endorsed_tcb = Some("DB18000000000004".to_owned());
        refuses |c| c.evidence.endorsed_tcb = Some("db18000000000003".to_owned());
    snp_28 Snp28 accepts |c| { c.policy.vmpl = [0, 1].into(); report(c, 0x30, &[1]); };
        refuses |c| report(c, 0x30, &[1]);
    snp_29 Snp29 accepts unspoilt; refuses |c| report(c, 0x0a, &[0x0b]);
    snp_30 Snp30 accepts unspoilt; refuses |c| report(c, 0x0a, &[0x07]);
    snp_31 Snp31 accepts |c| *c = Case::on(Platform::default().with_tcb(tcb(0xff19_0000_0000_0104)));
        refuses |c| *c = Case::on(Platform::default().with_tcb(tcb(0xff18_0000_0000_0003)));
    snp_32 Snp32 accepts |c| c.policy.committed_tcb = true;
        refuses |c| { c.policy.committed_tcb = true; report(c, 0x1e0, &[3]); };
    snp_33 Snp33 accepts |c| c.policy.intermediates = Some([crate::Sha256Digest::of(&Keys::get().ask_spki)].into());
        refuses |c| c.policy.intermediates = PlatformPolicy::production().intermediates;
    snp_34 Snp34 accepts unspoilt;
        refuses |c| { let chip = c.verify().unwrap().report().chip_id; c.policy.denied_chips.insert(chip); };
    snp_35 Snp35 accepts |c| c.policy.platform_info = 0x20; refuses |c| c.policy.platform_info = 0x40;
    snp_36 Snp36 accepts |c| c.policy.id_keys = Some([[0; 48].into()].into());
        refuses |c| c.policy.id_keys = Some([[1; 48].into()].into());
}

/// Everything that can outdate a cached result is looked at again.
#[test]
fn cached_results_meet_time_and_policy_on_every_call() {
    type Change = fn(&mut Case);
    let cases: [(Change, Check); 9] = [
        (|c| c.now = UnixTime::from_secs(2_400_000_000), Check::Snp11),
        (|c| c.now = UnixTime::from_secs(0), Check::Snp12),
        (|c| c.policy.products.clear(), Check::Snp04),
        (|c| c.policy.vmpl.clear(), Check::Snp28),
        (|c| c.policy.minimum_tcb.clear(), Check::Snp31),
        (|c| c.policy.uvm_forms.clear(), Check::Uvm09),
        (|c| c.policy.uvm.clear(), Check::Uvm18),
        (|c| c.policy.uvm[0].min_svn = 104, Check::Uvm20),
        (
            |c| {
                c.policy.denied_host_data.insert([7; 32].into());
            },
            Check::Ins01,
        ),
    ];
    for (change, check) in cases {
        let mut case = Case::new();
        change(&mut case);
        assert_eq!(case.verify_after_acceptance().unwrap_err().check(), check);
        assert_eq!(refused_by(&case), check);
    }
}

/// On Turin the 56 bytes after the chip id are part of the comparison.
#[test]
fn turin_chip_id_is_compared_with_its_padding() {
    let mut case = Case::on(Platform::new(Product::Turin));
    assert!(case.verify().is_ok());
    report(&mut case, 0x1a8, &[1]);
    assert_eq!(refused_by(&case), Check::Snp24);
}

#[test]
fn chain_of_another_product_is_refused() {
    let mut case = Case::new();
    case.evidence.endorsements = Platform::new(Product::Genoa).endorsements().to_vec();
    // The simulated root key is the same for all products, so this meets the next rule that tells products apart.
    assert_eq!(refused_by(&case), Check::Snp16);
}
