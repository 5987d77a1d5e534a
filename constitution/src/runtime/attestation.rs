//! `snp_attestation.verifySnpAttestation` (CCF interface, section 4.5).

use std::rc::Rc;

use rquickjs::{Ctx, Exception, Object, Value};

use crate::runtime::session::Session;
use crate::runtime::values::{self, native};
use crate::snp::{SnpEvidence, SnpField, SnpObject};

const NAME: &str = "verifySnpAttestation";
const DATA: &str = "Argument must be an ArrayBuffer";

pub(crate) fn install<'js>(ctx: &Ctx<'js>, session: &Rc<Session>) -> rquickjs::Result<()> {
    let snp = Object::new(ctx.clone())?;
    let s = Rc::clone(session);
    snp.set(
        NAME,
        native(ctx, NAME, 4, move |ctx, args| {
            let evidence = evidence(&ctx, &s, args)?;
            let Some(verify) = s.verify_snp else {
                let text = format!("{NAME} is not available on this host");
                return Err(Exception::throw_internal(&ctx, &text));
            };
            let verified = verify(&evidence).map_err(|text| Exception::throw_range(&ctx, &text))?;
            object(&ctx, verified)
        })?,
    )?;
    ctx.globals().set("snp_attestation", snp)
}

fn evidence<'js>(
    ctx: &Ctx<'js>,
    session: &Session,
    args: Vec<Value<'js>>,
) -> rquickjs::Result<SnpEvidence> {
    let count = args.len();
    let mut args = args.into_iter();
    let (Some(evidence), Some(endorsements), uvm, tcb, None) = (
        args.next(),
        args.next(),
        args.next(),
        args.next(),
        args.next(),
    ) else {
        return Err(Exception::throw_type(
            ctx,
            &format!("Passed {count} arguments, but expected between 2 and 4"),
        ));
    };
    let given = |value: &Value<'js>| !value.is_undefined();
    Ok(SnpEvidence {
        evidence: values::bytes(ctx, session, &evidence, DATA)?,
        endorsements: values::bytes(ctx, session, &endorsements, DATA)?,
        uvm_endorsements: uvm
            .filter(given)
            .map(|uvm| values::bytes(ctx, session, &uvm, DATA))
            .transpose()?,
        endorsed_tcb: tcb
            .filter(given)
            .map(|tcb| values::to_c_text(ctx, tcb))
            .transpose()?,
    })
}

fn object<'js>(ctx: &Ctx<'js>, fields: SnpObject) -> rquickjs::Result<Value<'js>> {
    let object = Object::new(ctx.clone())?;
    for (name, field) in fields {
        let value = match field {
            SnpField::Number(number) => Value::new_number(ctx.clone(), f64::from(number)),
            SnpField::Text(text) => values::text(ctx, &text)?,
            SnpField::Bytes(bytes) => values::buffer(ctx, &bytes)?,
            SnpField::Object(fields) => self::object(ctx, fields)?,
        };
        object.set(name, value)?;
    }
    Ok(object.into_value())
}
