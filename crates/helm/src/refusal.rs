//! Refusals of a schema as Helm's library lists them: each at its value's path, and together where they are of one part of the schema.
//!
//! In come single refusals, each with the way through the schema and through the values; out come lines.
//!
//! Source: `validator.go` and `output.go` of github.com/santhosh-tekuri/jsonschema v6. A part of a schema that refuses several things is a line of its own,
//! "validation failed", with these below it; so is each `allOf`. What has only one thing to say is that thing.

/// One refusal.
pub(crate) struct Refusal {
    /// Where the value is: a JSON pointer.
    pub(crate) at: String,
    /// The way through the schema, with the keyword that refuses at its end.
    pub(crate) way: Vec<String>,
    /// What is said.
    pub(crate) said: Said,
}

/// What is said of a value.
pub(crate) enum Said {
    /// Properties that are missing are told together.
    Missing(Vec<String>),
    /// The same, where another property asks for them.
    MissingFor(String, Vec<String>),
    /// Any other, with what it comes from.
    Other(String, Vec<Line>),
}

/// A line, and those below it.
pub(crate) struct Line {
    at: String,
    text: String,
    below: Vec<Self>,
    is_group: bool,
}

/// A part of the schema, as it is applied to one value.
#[derive(Default)]
struct Part {
    at: String,
    /// Refusals of its own, and inner parts by their keywords.
    told: Vec<Told>,
}

enum Told {
    Said(Said, String),
    Part(String, Part),
    AllOf(Vec<(String, Part)>, String),
}

/// The lines of a schema's refusals at `at`, without their common part `way` of the way.
pub(crate) fn lines(refusals: Vec<Refusal>, at: &str, way: &[String]) -> Vec<Line> {
    let mut root = Part { at: at.to_owned(), told: Vec::new() };
    for mut refusal in refusals {
        if refusal.way.starts_with(way) {
            refusal.way.drain(..way.len());
        }
        let below = refusal.at.strip_prefix(at).unwrap_or(&refusal.at).to_owned();
        let values: Vec<&str> = below.split('/').skip(1).collect();
        let way = std::mem::take(&mut refusal.way);
        root.add(&way, &values, refusal);
    }
    match root.line() {
        Some(line) if line.is_group => line.below,
        line => line.into_iter().collect(),
    }
}

/// The line of a schema that is one of several.
pub(crate) fn line(refusals: Vec<Refusal>, at: &str, way: &[String]) -> Option<Line> {
    let mut below = lines(refusals, at, way);
    if below.len() < 2 { below.pop() } else { Some(Line::group(at.to_owned(), below)) }
}

/// The lines as a text, indented.
pub(crate) fn text(lines: &[Line], indent: usize) -> String {
    let shown = |line: &Line| {
        let below = text(&line.below, indent + 1);
        let at = line.at.replace('\'', "\\'");
        format!("{}- at '{at}': {}\n{below}", "  ".repeat(indent), line.text)
    };
    lines.iter().map(shown).collect()
}

impl Line {
    pub(crate) fn new(at: String, text: String) -> Self {
        Self { at, text, below: Vec::new(), is_group: false }
    }

    fn group(at: String, below: Vec<Self>) -> Self {
        Self { at, text: "validation failed".to_owned(), below, is_group: true }
    }
}

/// How many steps of the way, and how many of the values, lead to the next part of the schema.
fn step(way: &[String]) -> Option<(usize, usize)> {
    let is_number = |at: usize| way.get(at).is_some_and(|step| step.parse::<usize>().is_ok());
    let found = match way.first()?.as_str() {
        "properties" | "patternProperties" | "prefixItems" => (2, 1),
        "items" if is_number(1) => (2, 1),
        "additionalProperties"
        | "additionalItems"
        | "unevaluatedProperties"
        | "unevaluatedItems"
        | "items" => (1, 1),
        "dependentSchemas" | "dependencies" | "allOf" => (2, 0),
        "then" | "else" | "$ref" | "$dynamicRef" | "$recursiveRef" => (1, 0),
        // `if` with `then` or `else` behind it.
        "if" if way.len() > 2 => (1, 0),
        _ => return None,
    };
    (found.0 < way.len()).then_some(found)
}

impl Part {
    fn add(&mut self, way: &[String], values: &[&str], refusal: Refusal) {
        let is_missing = matches!(refusal.said, Said::MissingFor(..));
        let Some((steps, deeper)) = step(way).filter(|(_, deeper)| *deeper <= values.len() && !is_missing)
        else {
            return self.say(refusal);
        };
        let at = values[..deeper].iter().fold(self.at.clone(), |at, value| format!("{at}/{value}"));
        let (before, inner) = way.split_at(steps);
        let (key, values) = (format!("{} {at}", before.join("/")), &values[deeper..]);
        let part = if before[0] == "allOf" { self.one_of_all(key) } else { self.inner(key, at) };
        part.add(inner, values, refusal);
    }

    /// The inner part of that key.
    fn inner(&mut self, key: String, at: String) -> &mut Self {
        let known = self.told.iter().position(|told| matches!(told, Told::Part(known, _) if *known == key));
        let index = known.unwrap_or(self.told.len());
        if known.is_none() {
            self.told.push(Told::Part(key, Self { at, told: Vec::new() }));
        }
        match &mut self.told[index] {
            Told::Part(_, part) => part,
            Told::Said(..) | Told::AllOf(..) => unreachable!("it was put there"),
        }
    }

    /// The part of `allOf` of that key.
    fn one_of_all(&mut self, key: String) -> &mut Self {
        let known = self.told.iter().position(|told| matches!(told, Told::AllOf(..)));
        let index = known.unwrap_or(self.told.len());
        if known.is_none() {
            self.told.push(Told::AllOf(Vec::new(), self.at.clone()));
        }
        let Told::AllOf(parts, at) = &mut self.told[index] else { unreachable!("it was put there") };
        let index = parts.iter().position(|(known, _)| *known == key).unwrap_or(parts.len());
        if index == parts.len() {
            parts.push((key, Self { at: at.clone(), told: Vec::new() }));
        }
        &mut parts[index].1
    }

    fn say(&mut self, refusal: Refusal) {
        for told in &mut self.told {
            match (told, &refusal.said) {
                (Told::Said(Said::Missing(all), at), Said::Missing(more)) if *at == refusal.at => {
                    return all.extend_from_slice(more);
                }
                (Told::Said(Said::MissingFor(one, all), at), Said::MissingFor(other, more))
                    if *at == refusal.at && one == other =>
                {
                    return all.extend_from_slice(more);
                }
                _ => {}
            }
        }
        self.told.push(Told::Said(refusal.said, refusal.at));
    }

    /// What it says, if anything.
    fn line(self) -> Option<Line> {
        let mut below: Vec<Line> = self.told.into_iter().filter_map(Told::line).collect();
        below.sort_by(|one, other| one.at.cmp(&other.at));
        if below.len() < 2 { below.pop() } else { Some(Line::group(self.at, below)) }
    }
}

impl Told {
    fn line(self) -> Option<Line> {
        match self {
            // What is referred to keeps its group.
            Self::Part(key, part) => {
                part.line().map(|line| Line { is_group: line.is_group && !key.starts_with('$'), ..line })
            }
            Self::AllOf(parts, at) => {
                let below = parts.into_iter().filter_map(|(_, part)| part.line()).collect();
                Some(Line { at, text: "'allOf' failed".to_owned(), below, is_group: false })
            }
            Self::Said(Said::Other(text, below), at) => Some(Line { at, text, below, is_group: false }),
            Self::Said(Said::Missing(names), at) => {
                let what = if names.len() == 1 { "property" } else { "properties" };
                Some(Line::new(at, format!("missing {what} {}", quoted(&names))))
            }
            Self::Said(Said::MissingFor(name, names), at) => Some(Line::new(
                at,
                format!("properties {} required, if {} exists", quoted(&names), quoted(&[name])),
            )),
        }
    }
}

/// The names, each in quotes.
pub(crate) fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("'{}'", name.replace('\'', "\\'"))).collect();
    names.join(", ")
}
