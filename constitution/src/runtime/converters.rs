//! Functions directly on `ccf`: text, JSON and PEM conversions.

use std::rc::Rc;

use rquickjs::{Ctx, Exception, Object, Value};

use crate::runtime::session::Session;
use crate::runtime::values::{self, exactly, native};
use crate::runtime::{pem, tcb};

const BUFFER: &str = "Argument must be an ArrayBuffer";

pub(crate) fn install<'js>(
    ctx: &Ctx<'js>,
    ccf: &Object<'js>,
    session: &Rc<Session>,
) -> rquickjs::Result<()> {
    ccf.set(
        "strToBuf",
        native(ctx, "strToBuf", 1, |ctx, args| {
            let [text] = exactly(&ctx, args)?;
            if !text.is_string() {
                return Err(Exception::throw_type(&ctx, "Argument must be a string"));
            }
            values::buffer(&ctx, values::to_c_text(&ctx, text)?.as_bytes())
        })?,
    )?;
    let s = Rc::clone(session);
    ccf.set(
        "bufToStr",
        native(ctx, "bufToStr", 1, move |ctx, args| {
            let [buffer] = exactly(&ctx, args)?;
            let bytes = values::bytes(&ctx, &s, &buffer, BUFFER)?;
            values::text(&ctx, &String::from_utf8_lossy(&bytes))
        })?,
    )?;
    ccf.set(
        "jsonCompatibleToBuf",
        native(ctx, "jsonCompatibleToBuf", 1, |ctx, args| {
            let [value] = exactly(&ctx, args)?;
            match values::to_json(&ctx, value)? {
                Some(json) => values::buffer(&ctx, json.as_bytes()),
                None => Err(Exception::throw_type(&ctx, "Argument must be a string")),
            }
        })?,
    )?;
    let s = Rc::clone(session);
    ccf.set(
        "bufToJsonCompatible",
        native(ctx, "bufToJsonCompatible", 1, move |ctx, args| {
            let [buffer] = exactly(&ctx, args)?;
            let bytes = values::bytes(&ctx, &s, &buffer, BUFFER)?;
            ctx.json_parse(bytes)
        })?,
    )?;
    ccf.set(
        "pemToId",
        native(ctx, "pemToId", 1, |ctx, args| {
            let [text] = exactly(&ctx, args)?;
            let text = values::to_c_text(&ctx, text)?;
            let id = pem::certificate_id(&text).map_err(|e| {
                Exception::throw_internal(&ctx, &format!("Failed to parse PEM: {e}"))
            })?;
            values::text(&ctx, &id)
        })?,
    )?;
    ccf.set(
        "tcbHexToPolicy",
        native(ctx, "tcbHexToPolicy", 2, |ctx, args| {
            let [cpuid, tcb] = exactly(&ctx, args)?;
            let cpuid = values::to_c_text(&ctx, cpuid)?;
            let tcb = values::to_c_text(&ctx, tcb)?;
            let policy = tcb::policy(&cpuid, &tcb)
                .map_err(|e| Exception::throw_type(&ctx, &e.to_string()))?;
            let object = Object::new(ctx)?;
            object.set("hexstring", tcb)?;
            for (name, value) in policy {
                object.set(name, u32::from(value))?;
            }
            Ok(object.into_value())
        })?,
    )?;
    ccf.set(
        "enableUntrustedDateTime",
        native(ctx, "enableUntrustedDateTime", 1, |ctx, args| {
            let [enable] = exactly(&ctx, args)?;
            let enable = values::is_truthy(&ctx, enable)?;
            Ok(Value::new_bool(ctx, enable))
        })?,
    )?;
    let enabled = std::cell::Cell::new(false);
    ccf.set(
        "enableMetricsLogging",
        native(ctx, "enableMetricsLogging", 1, move |ctx, args| {
            let [enable] = exactly(&ctx, args)?;
            match enable.as_bool() {
                Some(enable) => Ok(Value::new_bool(ctx, enabled.replace(enable))),
                None => Err(Exception::throw_type(
                    &ctx,
                    "First argument must be a boolean",
                )),
            }
        })?,
    )
}
