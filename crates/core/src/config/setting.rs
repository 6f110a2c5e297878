//! What is said of one setting, as plain constants. The table of all of them
//! is [`super::table::SETTINGS`].

use super::wire::{SettingSpec, SettingType, SettingValue};

/// A value that can stand in a constant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Constant {
    Switch(bool),
    Whole(i64),
    Number(f64),
    Text(&'static str),
    List(&'static [&'static str]),
}

/// What a setting accepts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Accepts {
    Switch,
    Whole {
        min: i64,
        max: i64,
    },
    /// A whole number, or a word that stands for one.
    WholeOr {
        min: i64,
        max: i64,
        words: &'static [&'static str],
    },
    Number {
        min: f64,
        max: f64,
    },
    Text {
        max_length: u32,
    },
    Choice(&'static [&'static str]),
    Path,
    List {
        max_items: u32,
        of: Items,
    },
}

/// What the texts of a list are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Items {
    /// `module=level` each.
    Modules,
    /// Words of a command.
    Arguments,
    /// `NAME=value` each; the values may be secrets.
    Variables,
    /// `IP:port` each.
    Addresses,
    /// Names of hosts, without a port.
    Hosts,
    /// `scheme://host[:port]` each, as a browser says it.
    Origins,
    /// Kinds of questions: see [`super::table::QUESTIONS`].
    Questions,
    /// Names of models; in patterns a `*` stands for any characters.
    Models,
    /// Ids of services, each perhaps with `=weight`.
    Backends,
}

/// One setting, declared once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// Dotted; a segment `*` stands for any id of `[a-z0-9-]{1,32}`.
    pub key: &'static str,
    pub section: &'static str,
    pub label: &'static str,
    pub meaning: &'static str,
    pub accepts: Accepts,
    pub unit: Option<&'static str>,
    pub default: Constant,
    /// Costs less, or is safer.
    pub conservative: Option<Constant>,
    /// Shows or keeps more, and costs more.
    pub aggressive: Option<Constant>,
    pub live: bool,
}

/// Names a setting; its type and default follow by [`Named::switch`] and its siblings.
#[derive(Clone, Copy)]
pub struct Named {
    pub section: &'static str,
    pub key: &'static str,
    pub label: &'static str,
    pub meaning: &'static str,
}

// === impl Named ===

impl Named {
    const fn with(self, accepts: Accepts, default: Constant) -> Setting {
        Setting {
            key: self.key,
            section: self.section,
            label: self.label,
            meaning: self.meaning,
            accepts,
            unit: None,
            default,
            conservative: None,
            aggressive: None,
            live: true,
        }
    }

    pub const fn switch(self, default: bool) -> Setting {
        self.with(Accepts::Switch, Constant::Switch(default))
    }

    pub const fn whole(self, default: i64, min: i64, max: i64) -> Setting {
        self.with(Accepts::Whole { min, max }, Constant::Whole(default))
    }

    pub const fn number(self, default: f64, min: f64, max: f64) -> Setting {
        self.with(Accepts::Number { min, max }, Constant::Number(default))
    }

    pub const fn text(self, default: &'static str, max_length: u32) -> Setting {
        self.with(Accepts::Text { max_length }, Constant::Text(default))
    }

    pub const fn choice(self, default: &'static str, of: &'static [&'static str]) -> Setting {
        self.with(Accepts::Choice(of), Constant::Text(default))
    }

    pub const fn path(self) -> Setting {
        self.with(Accepts::Path, Constant::Text(""))
    }

    pub const fn list(self, max_items: u32, of: Items) -> Setting {
        self.with(Accepts::List { max_items, of }, Constant::List(&[]))
    }

    /// A whole number or one of the words, the first of which is the default.
    pub const fn whole_or(self, words: &'static [&'static str], min: i64, max: i64) -> Setting {
        self.with(Accepts::WholeOr { min, max, words }, Constant::Text(words[0]))
    }
}

// === impl Setting ===

impl Setting {
    pub const fn unit(mut self, unit: &'static str) -> Self {
        self.unit = Some(unit);
        self
    }

    /// A conservative and an aggressive alternative to a whole number.
    pub const fn between(mut self, conservative: i64, aggressive: i64) -> Self {
        self.conservative = Some(Constant::Whole(conservative));
        self.aggressive = Some(Constant::Whole(aggressive));
        self
    }

    /// Not an empty list.
    pub const fn filled(mut self, with: &'static [&'static str]) -> Self {
        self.default = Constant::List(with);
        self
    }

    /// A conservative and an aggressive choice.
    pub const fn choices(mut self, conservative: &'static str, aggressive: &'static str) -> Self {
        self.conservative = Some(Constant::Text(conservative));
        self.aggressive = Some(Constant::Text(aggressive));
        self
    }

    /// Takes effect only when Plimsoll starts again.
    pub const fn at_restart(mut self) -> Self {
        self.live = false;
        self
    }

    /// True where the key holds a `*`.
    pub fn is_pattern(&self) -> bool {
        self.key.contains('*')
    }

    pub fn spec(&self) -> SettingSpec {
        SettingSpec {
            key: self.key.into(),
            section: self.section.into(),
            label: self.label.into(),
            meaning: self.meaning.into(),
            accepts: self.accepts.on_the_wire(),
            unit: self.unit.map(Into::into),
            default: self.default.value(),
            conservative: self.conservative.map(Constant::value),
            aggressive: self.aggressive.map(Constant::value),
            live: self.live,
        }
    }
}

// === impl Constant ===

impl Constant {
    pub fn value(self) -> SettingValue {
        match self {
            Constant::Switch(v) => SettingValue::Switch(v),
            Constant::Whole(v) => SettingValue::Integer(v),
            Constant::Number(v) => SettingValue::Number(v),
            Constant::Text(v) => SettingValue::Text(v.into()),
            Constant::List(v) => SettingValue::List(v.iter().map(|&text| text.into()).collect()),
        }
    }
}

// === impl Accepts ===

impl Accepts {
    fn on_the_wire(self) -> SettingType {
        match self {
            Accepts::Switch => SettingType::Switch,
            Accepts::Whole { min, max } => SettingType::Integer { min, max },
            Accepts::WholeOr { min, max, words } => SettingType::IntegerOr {
                min,
                max,
                words: words.iter().map(|&word| word.into()).collect(),
            },
            Accepts::Number { min, max } => SettingType::Number { min, max },
            Accepts::Text { max_length } => SettingType::Text { max_length },
            Accepts::Choice(options) => {
                SettingType::Choice { options: options.iter().map(|&o| o.into()).collect() }
            }
            Accepts::Path => SettingType::Path,
            Accepts::List { max_items, .. } => SettingType::List { max_items },
        }
    }
}
