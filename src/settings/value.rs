//! What a row of the table knows, and how typed values travel through it.
//!
//! Files, flags and forms all hand over a [`toml::Value`]; a row converts it to the field's type
//! and checks its limits. Everything a message or a form needs (kind, limits, unit, help) is
//! plain data, so no front end has to know a setting by name.

use super::table::Settings;

/// The form of a setting's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bool,
    /// A whole number, not negative.
    Whole,
    Number,
    Text,
    /// One of these names.
    Choice(&'static [&'static str]),
    /// One or more numbers.
    List,
    /// `[low, high]`, the lower first.
    Interval,
    /// Red, green, blue.
    Triple,
}

/// One setting.
pub struct Row {
    /// `group.name`.
    pub key: &'static str,
    pub group: &'static str,
    pub name: &'static str,
    pub kind: Kind,
    /// Lowest and highest number allowed, both included; `None` where the kind says it all.
    pub limits: Option<(f64, f64)>,
    /// Empty where the value has no unit.
    pub unit: &'static str,
    pub help: &'static str,
    /// Whether a running session takes a new value without a restart.
    pub live: bool,
    pub(super) get: fn(&Settings) -> toml::Value,
    pub(super) put: fn(&mut Settings, &toml::Value) -> bool,
}

impl Row {
    /// The row of `key`, if there is such a setting.
    pub fn find(key: &str) -> Option<&'static Row> {
        super::table::ROWS.iter().find(|row| row.key == key)
    }

    pub fn get(&self, settings: &Settings) -> toml::Value {
        (self.get)(settings)
    }

    pub fn default_value(&self) -> toml::Value {
        (self.get)(&Settings::default())
    }

    /// Stores `value`; the error says what is allowed instead, and leaves `settings` unchanged.
    pub fn put(&self, settings: &mut Settings, value: &toml::Value) -> Result<(), String> {
        if self.within_limits(value) && (self.put)(settings, value) {
            Ok(())
        } else {
            Err(format!(
                "{} = {value} is not allowed: give {}",
                self.key,
                self.allowed()
            ))
        }
    }

    /// Reads a value as a person types it on a command line or in a form: `0.3`, `0,0.3`,
    /// `[0, 0.3]`, `block`, `yes`. What cannot be read stays text, which [`Row::put`] then refuses.
    pub fn parse(&self, text: &str) -> toml::Value {
        let text = text.trim();
        let number = |part: &str| part.parse::<f64>().ok().map(toml::Value::Float);
        let read = match self.kind {
            Kind::Bool => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => Some(toml::Value::Boolean(true)),
                "false" | "no" | "off" | "0" => Some(toml::Value::Boolean(false)),
                _ => None,
            },
            Kind::Whole => text.replace('_', "").parse().ok().map(toml::Value::Integer),
            Kind::Number => number(text),
            Kind::Text | Kind::Choice(_) => None,
            Kind::List | Kind::Interval | Kind::Triple => text
                .trim_start_matches('[')
                .trim_end_matches(']')
                .split([',', ' '])
                .filter(|part| !part.is_empty())
                .map(number)
                .collect::<Option<Vec<_>>>()
                .map(toml::Value::Array),
        };
        read.unwrap_or_else(|| toml::Value::String(text.to_owned()))
    }

    /// What may be given, in words: `a number from 0 to 1`.
    pub fn allowed(&self) -> String {
        let what = match self.kind {
            Kind::Bool => "true or false",
            Kind::Whole => "a whole number",
            Kind::Number => "a number",
            Kind::Text => "text, not empty",
            Kind::Choice(names) => return format!("one of {}", names.join(", ")),
            Kind::List => "a list of one or more numbers, each",
            Kind::Interval => "two numbers, the lower first, each",
            Kind::Triple => "three numbers (red, green, blue), each",
        };
        match self.limits {
            Some((low, high)) => format!("{what} from {} to {}", short(low), short(high)),
            None => what.to_owned(),
        }
    }

    fn within_limits(&self, value: &toml::Value) -> bool {
        let Some((low, high)) = self.limits else {
            return true;
        };
        match value {
            toml::Value::Array(values) => values.iter().all(|value| self.within_limits(value)),
            value => number(value).is_some_and(|x| (low..=high).contains(&x)),
        }
    }
}

/// A type that a setting may have.
pub trait Value: Sized {
    const KIND: Kind;
    /// `None` where `value` has another form.
    fn from_toml(value: &toml::Value) -> Option<Self>;
    fn to_toml(&self) -> toml::Value;
}

/// `1e-9` and `1e9` where zeros would have to be counted.
fn short(x: f64) -> String {
    if x != 0.0 && !(1e-4..1e6).contains(&x.abs()) {
        format!("{x:e}")
    } else {
        x.to_string()
    }
}

/// Whole numbers serve as numbers too, so that `clip = 3` reads like `clip = 3.0`.
fn number(value: &toml::Value) -> Option<f64> {
    match value {
        toml::Value::Float(x) => Some(*x),
        toml::Value::Integer(x) => Some(*x as f64),
        _ => None,
    }
}

fn numbers(value: &toml::Value) -> Option<Vec<f64>> {
    value.as_array()?.iter().map(number).collect()
}

fn array(values: &[f64]) -> toml::Value {
    toml::Value::Array(values.iter().map(|&x| toml::Value::Float(x)).collect())
}

impl Value for bool {
    const KIND: Kind = Kind::Bool;
    fn from_toml(value: &toml::Value) -> Option<Self> {
        value.as_bool()
    }
    fn to_toml(&self) -> toml::Value {
        toml::Value::Boolean(*self)
    }
}

impl Value for usize {
    const KIND: Kind = Kind::Whole;
    fn from_toml(value: &toml::Value) -> Option<Self> {
        value.as_integer().and_then(|x| x.try_into().ok())
    }
    fn to_toml(&self) -> toml::Value {
        toml::Value::Integer(i64::try_from(*self).unwrap_or(i64::MAX))
    }
}

impl Value for u64 {
    const KIND: Kind = Kind::Whole;
    fn from_toml(value: &toml::Value) -> Option<Self> {
        value.as_integer().and_then(|x| x.try_into().ok())
    }
    fn to_toml(&self) -> toml::Value {
        toml::Value::Integer(i64::try_from(*self).unwrap_or(i64::MAX))
    }
}

impl Value for f64 {
    const KIND: Kind = Kind::Number;
    fn from_toml(value: &toml::Value) -> Option<Self> {
        number(value)
    }
    fn to_toml(&self) -> toml::Value {
        toml::Value::Float(*self)
    }
}

impl Value for String {
    const KIND: Kind = Kind::Text;
    fn from_toml(value: &toml::Value) -> Option<Self> {
        value
            .as_str()
            .filter(|text| !text.trim().is_empty())
            .map(str::to_owned)
    }
    fn to_toml(&self) -> toml::Value {
        toml::Value::String(self.clone())
    }
}

impl Value for Vec<f64> {
    const KIND: Kind = Kind::List;
    fn from_toml(value: &toml::Value) -> Option<Self> {
        numbers(value).filter(|values| !values.is_empty())
    }
    fn to_toml(&self) -> toml::Value {
        array(self)
    }
}

impl Value for Vec<usize> {
    const KIND: Kind = Kind::List;
    fn from_toml(value: &toml::Value) -> Option<Self> {
        let whole = |x: &f64| (x.fract() == 0.0 && *x >= 0.0).then_some(*x as usize);
        let values = numbers(value)?
            .iter()
            .map(whole)
            .collect::<Option<Vec<_>>>()?;
        (!values.is_empty()).then_some(values)
    }
    fn to_toml(&self) -> toml::Value {
        toml::Value::Array(self.iter().map(Value::to_toml).collect())
    }
}

impl Value for [f64; 2] {
    const KIND: Kind = Kind::Interval;
    fn from_toml(value: &toml::Value) -> Option<Self> {
        let interval: [f64; 2] = numbers(value)?.try_into().ok()?;
        (interval[0] <= interval[1]).then_some(interval)
    }
    fn to_toml(&self) -> toml::Value {
        array(self)
    }
}

impl Value for [f64; 3] {
    const KIND: Kind = Kind::Triple;
    fn from_toml(value: &toml::Value) -> Option<Self> {
        numbers(value)?.try_into().ok()
    }
    fn to_toml(&self) -> toml::Value {
        array(self)
    }
}
