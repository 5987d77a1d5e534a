//! `ccf.tcbHexToPolicy`: the components of an AMD TCB version.
//!
//! The eight bytes of a TCB version are, from the most significant (AMD SEV-SNP ABI, `TCB_VERSION`):
//!
//! ```text
//! Milan, Genoa: microcode | snp | 4 reserved bytes | tee | boot_loader
//! Turin:        microcode | 3 reserved bytes | snp | tee | boot_loader | fmc
//! ```

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TcbError {
    #[error("CPUID {got} is not 8 hexadecimal digits")]
    Cpuid { got: String },
    #[error("TCB version {got} is not 16 hexadecimal digits")]
    Tcb { got: String },
    #[error("SEV-SNP: unsupported CPUID family {family} model {model}")]
    Product { family: u8, model: u8 },
}

/// Component names and values of `tcb` on the processor `cpuid`, both hexadecimal.
pub(crate) fn policy(cpuid: &str, tcb: &str) -> Result<Vec<(&'static str, u8)>, TcbError> {
    let cpuid = <[u8; 4] as hex::FromHex>::from_hex(cpuid).map_err(|_| TcbError::Cpuid {
        got: cpuid.to_owned(),
    })?;
    let [microcode, a, b, c, d, e, f, g] =
        <[u8; 8] as hex::FromHex>::from_hex(tcb).map_err(|_| TcbError::Tcb {
            got: tcb.to_owned(),
        })?;
    // CPUID Fn0000_0001_EAX: extended family 27:20, extended model 19:16, family 11:8, model 7:4.
    let eax = u32::from_be_bytes(cpuid);
    let family = (((eax >> 8) & 0xf) + ((eax >> 20) & 0xff)) as u8;
    let model = (((eax >> 12) & 0xf0) | ((eax >> 4) & 0xf)) as u8;
    match (family, model) {
        (0x19, 0x01 | 0x11) => Ok(vec![
            ("microcode", microcode),
            ("snp", a),
            ("tee", f),
            ("boot_loader", g),
        ]),
        (0x1a, 0x01) => Ok(vec![
            ("microcode", microcode),
            ("snp", d),
            ("tee", e),
            ("boot_loader", f),
            ("fmc", g),
        ]),
        _ => {
            let _reserved = (b, c);
            Err(TcbError::Product { family, model })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_by_product() {
        let milan = policy("00a00f11", "db18000000000004").unwrap();
        assert_eq!(
            milan,
            [
                ("microcode", 0xdb),
                ("snp", 0x18),
                ("tee", 0),
                ("boot_loader", 4)
            ]
        );
        let turin = policy("00b00f11", "5100000004000101").unwrap();
        assert_eq!(
            turin,
            [
                ("microcode", 0x51),
                ("snp", 4),
                ("tee", 0),
                ("boot_loader", 1),
                ("fmc", 1)
            ]
        );
        assert!(policy("00a00f1", "db18000000000004").is_err());
        assert!(policy("00a00f11", "db180000000000").is_err());
        assert!(policy("ffffffff", "db18000000000004").is_err());
    }
}
