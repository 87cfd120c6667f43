//! network-get and unit-get.

use super::call::{Call, Stop, failed, no_more, usage};
use super::flags::{Flag, OUTPUT, RELATION, SMART};
use crate::go::{Value, quote};
use crate::state::{BindAddress, Interface, Network};

const SELECTORS: [&str; 3] = ["bind-address", "ingress-address", "egress-subnets"];

fn strings(texts: &[String]) -> Value {
    Value::Strings(Some(texts.to_vec()))
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

pub(super) fn network_get(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[
        SMART,
        OUTPUT,
        RELATION,
        Flag::bool(&["primary-address"]),
        Flag::bool(&["bind-address"]),
        Flag::bool(&["ingress-address"]),
        Flag::bool(&["egress-subnets"]),
    ])?;
    let Some((binding, rest)) = options.args.split_first() else {
        return usage("no arguments specified");
    };
    if binding.is_empty() {
        return usage("no binding name specified");
    }
    no_more(rest)?;
    if let Some(id) = options.relation
        && call
            .model
            .relations
            .get(&id)
            .is_none_or(|relation| relation.gone)
    {
        return failed(format!("relation {id} not found"));
    }
    let unit = call.model.units.get(call.context.unit());
    let network = unit
        .and_then(|unit| unit.network(binding))
        .cloned()
        .unwrap_or_default();
    let Some(first) = network.interfaces.first() else {
        return failed(format!(
            "no network config found for binding {}",
            quote(binding)
        ));
    };
    if let Some(error) = &network.error {
        return failed(error.clone());
    }
    let selected: Vec<&str> = SELECTORS
        .into_iter()
        .filter(|name| options.has(name))
        .collect();
    let primary = options.has("primary-address");
    if primary && !selected.is_empty() {
        return failed("--primary-address must be the only flag specified");
    }
    if !primary && selected.is_empty() {
        return call.print_as(
            &options,
            &display(&network, true),
            &display(&network, false),
        );
    }
    let none = || {
        Stop::Failed(format!(
            "no addresses attached to space for binding {}",
            quote(binding)
        ))
    };
    let bound = || {
        first
            .addresses
            .first()
            .map(|address| text(&address.value))
            .ok_or_else(none)
    };
    if primary {
        let value = bound()?;
        return call.print(&options, &value);
    }
    let mut values = std::collections::BTreeMap::new();
    for name in &selected {
        let value = match *name {
            "egress-subnets" => strings(&network.egress),
            "ingress-address" => match network.ingress.first() {
                Some(address) => text(address),
                None => bound()?,
            },
            _ => bound()?,
        };
        values.insert((*name).to_owned(), value);
    }
    let value = match selected.as_slice() {
        [only] => values.remove(*only).unwrap_or(Value::Null),
        _ => Value::Map(values),
    };
    call.print(&options, &value)
}

/// Everything known of a binding. YAML repeats some fields under their old names.
fn display(network: &Network, yaml: bool) -> Value {
    let address = |address: &BindAddress| {
        let mut fields = vec![
            ("hostname", text(&address.hostname)),
            ("value", text(&address.value)),
            ("cidr", text(&address.cidr)),
        ];
        if yaml {
            fields.push(("address", text(&address.value)));
        }
        Value::Struct(fields)
    };
    let interface = |interface: &Interface| {
        let addresses = interface.addresses.iter().map(address).collect();
        let mut fields = vec![
            ("mac-address", text(&interface.mac)),
            ("interface-name", text(&interface.name)),
            ("addresses", Value::List(addresses)),
        ];
        if yaml {
            fields.push(("macaddress", text(&interface.mac)));
            fields.push(("interfacename", text(&interface.name)));
        }
        Value::Struct(fields)
    };
    let mut fields = vec![(
        "bind-addresses",
        Value::List(network.interfaces.iter().map(interface).collect()),
    )];
    for (name, values) in [
        ("egress-subnets", &network.egress),
        ("ingress-addresses", &network.ingress),
    ] {
        if !values.is_empty() {
            fields.push((name, strings(values)));
        }
    }
    Value::Struct(fields)
}

pub(super) fn unit_get(call: &mut Call<'_>) -> Result<(), Stop> {
    let options = call.parse(&[SMART, OUTPUT])?;
    let Some((setting, rest)) = options.args.split_first() else {
        return usage("no setting specified");
    };
    let private = match setting.as_str() {
        "private-address" => true,
        "public-address" => false,
        other => return usage(format!("unknown setting {}", quote(other))),
    };
    no_more(rest)?;
    let address = if private {
        private_address(call)
    } else {
        call.context.public_address(call.model).to_owned()
    };
    if address.is_empty() {
        return failed(format!("{} not found", setting.replace('-', " ")));
    }
    call.print(&options, &Value::Text(address))
}

/// The first address of the default network, by name if it has one.
fn private_address(call: &Call<'_>) -> String {
    let Some(unit) = call.model.units.get(call.context.unit()) else {
        return String::new();
    };
    let interface = unit
        .network("")
        .and_then(|network| network.interfaces.first());
    match interface.and_then(|interface| interface.addresses.first()) {
        Some(address) if !address.hostname.is_empty() => address.hostname.clone(),
        Some(address) => address.value.clone(),
        None => unit.private_address.clone(),
    }
}
