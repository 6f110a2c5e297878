//! Configuration: one TOML file is the truth, environment variables override
//! it, every applied change is a revision.

pub mod check;
pub mod diff;
pub mod edit;
pub mod environment;
mod families;
pub mod file;
pub mod gateway;
mod gateway_checks;
pub mod ids;
mod items;
pub mod keys;
pub mod launch;
mod launch_checks;
pub mod load;
pub mod nearest;
pub mod parse;
mod place;
mod preview;
mod remove;
pub mod renamed;
pub mod render;
mod rule_checks;
pub mod rules;
mod service_checks;
pub mod setting;
pub mod spans;
pub mod table;
pub mod typed;
pub mod values;
mod walk;
pub mod wire;

pub use environment::Environment;
pub use file::{WriteError, digest};
pub use gateway::{Gateway, MaxInFlight};
pub use gateway_checks::ONE_OF_ALL;
pub use load::{Loaded, load};
pub use preview::{changed_between, needs_restart};
pub use rules::{BUILT_IN, BuiltIn, built_in};
pub use table::{SETTINGS, schema};
pub use typed::{
    Accept, Alerts, Config, Gpu, History, Keep, Log, OnClose, Power, Restart, Rule, Sampling,
    ServiceEntry, ServiceLimits, Services, Theme, Window,
};
pub use values::{OF_FOUND, Values};

/// A value as it is written in the file.
pub fn toml_value(value: &wire::SettingValue) -> String {
    to_toml(value).to_string().trim().to_string()
}

fn to_toml(value: &wire::SettingValue) -> toml_edit::Value {
    use wire::SettingValue;
    match value {
        SettingValue::Switch(v) => (*v).into(),
        SettingValue::Integer(v) => (*v).into(),
        SettingValue::Number(v) => (*v).into(),
        SettingValue::Text(v) => v.as_str().into(),
        SettingValue::List(v) => toml_edit::Value::Array(v.iter().map(String::as_str).collect()),
    }
}
