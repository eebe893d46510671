//! Helm's own functions, beside those of Sprig.

use super::yaml::{self, Layout, Wanted};
use super::{NO_VALUE, SAID, duration, toml, without_no_value};
use crate::render::{Call, Calls, Options, Random};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use trueup_template::{
    Arguments, Context, ErrorKind, Failure, Function, Functions, InvalidSignature, Text, Value, sprig,
};

/// How often a template may be included while it is being included.
const MOST_NESTED: usize = 1000;

type Included = Rc<RefCell<HashMap<Text, usize>>>;

/// The function that asks for the address of a host.
const BY_NAME: &str = "getHostByName";

/// Functions of dates that ask what time it is, whatever they are given.
const OF_NOW: [&str; 2] = ["now", "ago"];

thread_local! {
    /// Those that need nothing of a rendering are made once a thread.
    static EVERYWHERE: Rc<Functions> = Rc::new(everywhere().unwrap_or_default());
}

fn everywhere() -> Result<Functions, InvalidSignature> {
    let mut functions = sprig::functions();
    functions.insert(BY_NAME, Function::new("func(string) string", |_, _| Ok("".into()))?);
    conversions(&mut functions)?;
    toml_functions(&mut functions)?;
    duration::add(&mut functions)?;
    functions.insert("tpl", Function::new("func(string, interface {}) (string, error)", tpl)?);
    refusals(&mut functions)?;
    Ok(functions)
}

/// All functions that templates of charts have. `current` is the path of the one that is rendered.
pub(super) fn all(options: &Options, current: &Rc<RefCell<String>>) -> Result<Functions, InvalidSignature> {
    let (mut functions, now) = (Functions::over(EVERYWHERE.with(Rc::clone)), options.now);
    let chance = chance(options, current);
    functions.insert_group(&[&sprig::CHANCE[..], &sprig::CERTIFICATES].concat(), chance.clone());
    functions.insert_group(&sprig::DATES, move || dates(now).unwrap_or_default());
    functions.insert_group(&OF_NOW, chance);
    functions.insert("include", include()?);
    if let Some(resolve) = options.resolve.clone() {
        let by_name = move |_: &mut Context<'_>, given: &Arguments| {
            let address = resolve(&given.text(0)?.to_string_lossy());
            // Helm takes one of none by chance, which Go refuses.
            Ok(address.ok_or("invalid argument to Intn")?.into())
        };
        functions.insert(BY_NAME, Function::new("func(string) string", by_name)?);
    }
    let lookup = options.lookup.clone();
    functions.insert(
        "lookup",
        Function::new(
            "func(string, string, string, string) (map[string]interface {}, error)",
            move |_, given| {
                let text = |index| Ok::<_, Failure>(given.text(index)?.to_string_lossy());
                let Some(lookup) = &lookup else { return Ok(Value::Map(crate::values::empty())) };
                let found = lookup(&text(0)?, &text(1)?, &text(2)?, &text(3)?).map_err(Failure::new)?;
                Ok(Value::Map(crate::values::map_to_template(&found)))
            },
        )?,
    );
    Ok(functions)
}

/// Makes the functions whose results are others each time. Who wants to know is told of their calls.
fn chance(options: &Options, current: &Rc<RefCell<String>>) -> impl Fn() -> Functions + Clone + use<> {
    let (random, now, calls) = (Arc::clone(&options.random), options.now, options.calls.clone());
    let current = Rc::clone(current);
    move || {
        let functions = of_chance(&random, now).unwrap_or_default();
        match &calls {
            Some(calls) => functions.into_told(|name| teller(name, calls, &current)),
            None => functions,
        }
    }
}

fn of_chance(random: &Random, now: Timestamp) -> Result<Functions, InvalidSignature> {
    let random = Arc::clone(random);
    let random: sprig::Random = Rc::new(move |bytes: &mut [u8]| random(bytes));
    let clock: sprig::Now = Rc::new(move || now);
    let mut functions = sprig::random_functions(&random)?;
    functions.extend(sprig::certificate_functions(&random, &clock)?);
    let mut dates = dates(now)?;
    for name in OF_NOW {
        if let Some(function) = dates.remove(name) {
            functions.insert(name, function);
        }
    }
    Ok(functions)
}

fn dates(now: Timestamp) -> Result<Functions, InvalidSignature> {
    let clock: sprig::Now = Rc::new(move || now);
    sprig::date_functions(&clock, &TimeZone::UTC)
}

/// Who tells of the calls of a function.
fn teller(name: &str, calls: &Calls, current: &Rc<RefCell<String>>) -> impl Fn(&Arguments) + use<> {
    let (name, calls, current) = (name.to_owned(), Arc::clone(calls), Rc::clone(current));
    move |arguments| {
        let template = current.borrow().clone();
        calls(Call { template, function: name.clone(), arguments: format!("{arguments:?}") });
    }
}

/// YAML and JSON.
fn conversions(functions: &mut Functions) -> Result<(), InvalidSignature> {
    for (name, layout) in [("toYaml", Layout::Plain), ("toYamlPretty", Layout::Pretty)] {
        functions.insert(
            name,
            Function::new("func(interface {}) string", move |context, given| {
                match yaml::written(context, given.any(0), layout) {
                    Err(failure) if failure.kind() == ErrorKind::Execute => Ok("".into()),
                    written => Ok(written?.into()),
                }
            })?,
        );
    }
    functions.insert(
        "mustToYaml",
        Function::new("func(interface {}) string", |context, given| {
            Ok(yaml::written(context, given.any(0), Layout::Plain)?.into())
        })?,
    );
    let readers = [
        ("fromYaml", "func(string) map[string]interface {}", Wanted::Map),
        ("fromYamlArray", "func(string) []interface {}", Wanted::List),
    ];
    for (name, signature, wanted) in readers {
        let body = move |context: &mut Context<'_>, given: &Arguments| {
            let text = given.text(0)?;
            context.spend(text.len() as u64)?;
            Ok(yaml::read(text, wanted))
        };
        functions.insert(name, Function::new(signature, body)?);
    }
    let readers = [
        ("fromJson", "func(string) map[string]interface {}", Wanted::Map),
        ("fromJsonArray", "func(string) []interface {}", Wanted::List),
    ];
    for (name, signature, wanted) in readers {
        let body = move |context: &mut Context<'_>, given: &Arguments| {
            let text = given.text(0)?;
            context.spend(text.len() as u64)?;
            from_json(text, wanted)
        };
        functions.insert(name, Function::new(signature, body)?);
    }
    Ok(())
}

/// TOML.
fn toml_functions(functions: &mut Functions) -> Result<(), InvalidSignature> {
    functions.insert(
        "toToml",
        Function::new("func(interface {}) string", |context, given| {
            if matches!(given.any(0), Value::Nil) {
                return Err("reflect: call of reflect.Value.Type on zero Value".into());
            }
            match toml::written(context, given.any(0)) {
                Err(failure) if failure.kind() == ErrorKind::Execute => Ok(failure.to_string().into()),
                written => Ok(written?.into()),
            }
        })?,
    );
    functions.insert(
        "mustToToml",
        Function::new("func(interface {}) string", |context, given| {
            Ok(toml::written(context, given.any(0))?.into())
        })?,
    );
    functions.insert(
        "fromToml",
        Function::new("func(string) map[string]interface {}", |context, given| {
            let text = given.text(0)?;
            context.spend(text.len() as u64)?;
            Ok(toml::read(text))
        })?,
    );
    Ok(())
}

fn from_json(text: &[u8], wanted: Wanted) -> Result<Value, Failure> {
    let value = match sprig::read_json(text) {
        Ok(value) => value,
        Err(failure) if failure.kind() == ErrorKind::Limit => return Err(failure),
        Err(failure) => return Ok(wanted.with_error(&failure.to_string())),
    };
    let found = match (&value, wanted) {
        (Value::Map(_), Wanted::Map) | (Value::List(_), Wanted::List) => return Ok(value),
        (Value::Nil, _) => return Ok(wanted.nil()),
        (Value::Map(_), Wanted::List) => "object",
        (Value::List(_), Wanted::Map) => "array",
        (Value::Text(_), _) => "string",
        (Value::Bool(_), _) => "bool",
        (_, _) => "number",
    };
    Ok(wanted.with_error(&wanted.refusal(found)))
}

/// `include`, which knows how often each template is being included.
fn include() -> Result<Function, InvalidSignature> {
    let included = Included::default();
    let include = move |context: &mut Context<'_>, given: &Arguments| {
        let name = given.text(0)?.clone();
        {
            let mut included = included.borrow_mut();
            let nested = included.entry(name.clone()).or_default();
            if *nested > MOST_NESTED {
                return Err(Failure::new(format!(
                    "rendering template has a nested reference name: {name}: unable to execute template"
                )));
            }
            *nested += 1;
        }
        let result = context.execute(&name, given.any(1).clone());
        if let Some(nested) = included.borrow_mut().get_mut(&name) {
            *nested -= 1;
        }
        Ok(result?.into())
    };
    Function::new("func(string, interface {}) (string, error)", include)
}

fn tpl(context: &mut Context<'_>, given: &Arguments) -> Result<Value, Failure> {
    let text = given.text(0)?.clone();
    let wrapped = |what: &str, failure: &dyn std::fmt::Display| {
        format!("{what} {:?}: {failure}", text.to_string_lossy())
    };
    context.spend(text.len() as u64)?;
    if !text.windows(2).any(|pair| pair == b"{{") {
        // Nothing is to be done with it: it comes out as it is.
        context.write(text.len())?;
        return Ok(match std::str::from_utf8(&text) {
            Ok(plain) if plain.contains(NO_VALUE) => plain.replace(NO_VALUE, "").into(),
            Ok(_) | Err(_) => Value::Text(text),
        });
    }
    let mut templates = context.templates().clone();
    let name = templates.name().clone();
    // Within another `tpl` there is a template of that name already, which nothing but space would not replace.
    let own = if templates.contains(&name) { [&text[..], b"{{ `` }}"].concat().into() } else { text.clone() };
    templates.parse(name.clone(), &own).map_err(|error| wrapped("cannot parse template", &error))?;
    match context.execute_in(&templates, &name, given.any(1).clone()) {
        Ok(output) => Ok(match String::from_utf8(output) {
            Ok(output) => without_no_value(output).into(),
            Err(error) => error.into_bytes().into(),
        }),
        Err(error) if error.kind() == ErrorKind::Limit => Err(error.into()),
        Err(error) => Err(wrapped("error during tpl function execution for", &error).into()),
    }
}

/// `required` and `fail`.
fn refusals(functions: &mut Functions) -> Result<(), InvalidSignature> {
    let said = |text: &[u8]| Failure::new([SAID.0.as_bytes(), text, SAID.1.as_bytes()].concat());
    functions.insert(
        "required",
        Function::new("func(string, interface {}) (interface {}, error)", move |_, given| {
            match given.any(1) {
                Value::Nil => Err(said(given.text(0)?)),
                Value::Text(text) if text.is_empty() => Err(said(given.text(0)?)),
                value => Ok(value.clone()),
            }
        })?,
    );
    functions.insert(
        "fail",
        Function::new("func(string) (string, error)", move |_, given| Err(said(given.text(0)?)))?,
    );
    Ok(())
}
