//! secret-grant and secret-revoke.

use super::call::{Call, Stop, no_more, usage};
use super::flags::{Flag, RELATION};
use super::secret_write::uri_argument;
use crate::go::quote;
use crate::state::{application_of, is_application_name, is_unit_name};

fn check_unit(unit: &str) -> Result<Option<&str>, Stop> {
    match unit {
        "" => Ok(None),
        unit if is_unit_name(unit) => Ok(Some(unit)),
        unit => usage(format!("unit {} not valid", quote(unit))),
    }
}

pub(super) fn grant(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[Flag::text(&["unit"]), RELATION])?;
    let uri = uri_argument(&options)?;
    let Some(relation) = options.relation else {
        return usage("no relation id specified");
    };
    let application = call.context.remote_application(call.model, relation);
    let unit = check_unit(options.text("unit"))?;
    if let Some(unit) = unit.filter(|unit| application_of(unit) != application) {
        let (unit, application) = (quote(unit), quote(&application));
        return usage(format!(
            "cannot specify unit {unit} in relation to application {application}"
        ));
    }
    no_more(&options.args[1..])?;
    let granted = call
        .context
        .grant_secret(call.model, &uri.id, relation, unit);
    granted.map_err(Stop::Failed)
}

pub(super) fn revoke(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[
        Flag::text(&["app", "application"]),
        Flag::text(&["unit"]),
        RELATION,
    ])?;
    let uri = uri_argument(&options)?;
    let mut application = options.text("app").to_owned();
    if !application.is_empty() && !is_application_name(&application) {
        return usage(format!("application {} not valid", quote(&application)));
    }
    let unit = check_unit(options.text("unit"))?;
    if !application.is_empty() && unit.is_some() {
        return usage("specify only one of application or unit");
    }
    if let Some(relation) = options.relation {
        if !application.is_empty() {
            return usage("do not specify both relation and app");
        }
        application = call.context.remote_application(call.model, relation);
    }
    if application.is_empty() && unit.is_none() {
        return usage("missing relation or application or unit");
    }
    no_more(&options.args[1..])?;
    let revoked = call
        .context
        .revoke_secret(call.model, &uri.id, &application, unit);
    revoked.map_err(Stop::Failed)
}
