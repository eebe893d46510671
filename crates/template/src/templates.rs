//! Templates that know each other by their names, with the functions that they can call.

use crate::builtin::Builtin;
use crate::context::{Budget, Limits, Run};
use crate::error::Error;
use crate::exec;
use crate::function::{Fnv, Function, Functions};
use crate::parse::{self, Delimiters, Tree};
use crate::text::Text;
use crate::value::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::BuildHasherDefault;
use std::rc::Rc;
use std::sync::Arc;

/// What a map's missing key gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissingKey {
    /// No value: fields of it have no value either.
    #[default]
    Invalid,
    /// The zero value of the map's elements, whose fields cannot be asked for.
    Zero,
    /// An error.
    Error,
}

/// Trees above others that are shared with copies of the set.
#[derive(Default)]
struct Layer {
    trees: HashMap<Text, Arc<Tree>>,
    below: Option<Rc<Layer>>,
}

impl Layer {
    fn get(&self, name: &[u8]) -> Option<&Arc<Tree>> {
        let mut layer = self;
        loop {
            match (layer.trees.get(name), &layer.below) {
                (Some(tree), _) => return Some(tree),
                (None, Some(below)) => layer = below,
                (None, None) => return None,
            }
        }
    }
}

/// What parses texts for a set of templates: it knows the functions that they may call.
#[derive(Debug, Clone)]
pub struct Parser {
    functions: HashSet<Box<[u8]>, BuildHasherDefault<Fnv>>,
    delimiters: Delimiters,
}

/// A text that was parsed: the template that it is, and those that it defines.
#[derive(Debug)]
pub struct Parsed(BTreeMap<Text, Arc<Tree>>);

impl Parser {
    /// Reads the text of the template of that name.
    pub fn parse(&self, name: impl Into<Text>, text: impl AsRef<[u8]>) -> Result<Parsed, Error> {
        let defined =
            |function: &[u8]| self.functions.contains(function) || Builtin::named(function).is_some();
        parse::parse(&name.into(), text.as_ref(), &self.delimiters, &defined).map(Parsed)
    }
}

/// A set of templates. A clone is cheap: it shares what was parsed until then, and what it parses later is its own.
#[derive(Clone)]
pub struct Templates {
    name: Text,
    layer: Rc<Layer>,
    functions: Rc<Functions>,
    missing_key: MissingKey,
    delimiters: Delimiters,
}

impl Templates {
    /// No templates. The name is the one that stands in the message that a template is missing.
    pub fn new(name: impl Into<Text>) -> Self {
        Self {
            name: name.into(),
            layer: Rc::default(),
            functions: Rc::default(),
            missing_key: MissingKey::default(),
            delimiters: Delimiters::default(),
        }
    }

    /// Gives the templates these functions beside Go's own. They must be known before a text is parsed.
    #[must_use]
    pub fn with_functions(mut self, functions: Functions) -> Self {
        self.functions = Rc::new(functions);
        self
    }

    /// Says what a map's missing key gives.
    #[must_use]
    pub fn with_missing_key(mut self, missing_key: MissingKey) -> Self {
        self.missing_key = missing_key;
        self
    }

    /// Says what actions stand between; an empty delimiter is Go's own.
    #[must_use]
    pub fn with_delimiters(mut self, left: &str, right: &str) -> Self {
        let own = Delimiters::default();
        let or = |given: &str, own: Text| if given.is_empty() { own } else { given.into() };
        self.delimiters = Delimiters { left: or(left, own.left), right: or(right, own.right) };
        self
    }

    /// The name given to [`new`](Self::new).
    pub fn name(&self) -> &Text {
        &self.name
    }

    /// Adds the template of that text, and those that it defines, in the place of earlier ones with their names. A template
    /// that has nothing in it but space and definitions replaces none.
    pub fn parse(&mut self, name: impl Into<Text>, text: impl AsRef<[u8]>) -> Result<(), Error> {
        let defined =
            |function: &[u8]| self.functions.contains(function) || Builtin::named(function).is_some();
        let trees = parse::parse(&name.into(), text.as_ref(), &self.delimiters, &defined)?;
        self.add(Parsed(trees));
        Ok(())
    }

    /// What parses texts for these templates without changing them, on as many threads as one likes.
    pub fn parser(&self) -> Parser {
        let functions = self.functions.names().map(|name| name.as_bytes().into()).collect();
        Parser { functions, delimiters: self.delimiters.clone() }
    }

    /// Adds what a [`Parser`] of these templates read, as [`parse`](Self::parse) does.
    pub fn add(&mut self, parsed: Parsed) {
        let trees = parsed.0.into_iter();
        let trees: Vec<_> = trees
            .filter(|(name, tree)| !tree.root.is_empty(&tree.text) || self.get(name).is_none())
            .collect();
        if let Some(layer) = Rc::get_mut(&mut self.layer) {
            layer.trees.extend(trees);
        } else {
            self.layer =
                Rc::new(Layer { trees: trees.into_iter().collect(), below: Some(Rc::clone(&self.layer)) });
        }
    }

    /// Whether there is a template of that name.
    pub fn contains(&self, name: &[u8]) -> bool {
        self.get(name).is_some()
    }

    /// The names of all templates, in their order.
    pub fn names(&self) -> BTreeSet<Text> {
        let mut names = BTreeSet::new();
        let mut layer = Some(&self.layer);
        while let Some(here) = layer {
            names.extend(here.trees.keys().cloned());
            layer = here.below.as_ref();
        }
        names
    }

    /// Executes the template of that name.
    pub fn execute(&self, name: &str, data: Value, limits: &Limits<'_>) -> Result<Vec<u8>, Error> {
        exec::execute(self, &Run::new(limits), name.as_bytes(), data)
    }

    /// As [`execute`](Self::execute), for several executions that may together use up no more than the budget.
    pub fn execute_within(&self, name: &str, data: Value, budget: &Budget<'_>) -> Result<Vec<u8>, Error> {
        exec::execute(self, &budget.0, name.as_bytes(), data)
    }

    pub(crate) fn get(&self, name: &[u8]) -> Option<&Arc<Tree>> {
        self.layer.get(name)
    }

    pub(crate) fn function(&self, name: &[u8]) -> Option<&Function> {
        self.functions.get(name)
    }

    pub(crate) fn missing_key(&self) -> MissingKey {
        self.missing_key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_copy_parses_is_its_own() {
        let mut all = Templates::new("all");
        all.parse("a", "{{define `b`}}first{{end}}").unwrap();
        let mut copy = all.clone();
        copy.parse("c", "{{define `b`}}second{{end}}").unwrap();
        let run = |templates: &Templates| templates.execute("b", Value::Nil, &Limits::default()).unwrap();
        assert_eq!((run(&all), run(&copy)), (b"first".to_vec(), b"second".to_vec()));
        assert!(!all.contains(b"c") && copy.names().len() == 3);
    }

    #[test]
    fn what_is_parsed_on_another_thread_is_as_if_it_had_been_here() {
        let templates = || {
            let mut functions = Functions::new();
            functions.insert("one", Function::new("func() int", |_, _| Ok(Value::int(1))).unwrap());
            Templates::new("all").with_functions(functions)
        };
        let mut all = templates();
        let parser = all.parser();
        let read =
            |name, text| std::thread::scope(|scope| scope.spawn(|| parser.parse(name, text)).join().unwrap());
        all.add(read("a", "{{define `b`}}{{one}}{{end}}").unwrap());
        assert_eq!(all.execute("b", Value::Nil, &Limits::default()).unwrap(), b"1");
        let told = |error: Result<(), Error>| error.unwrap_err().to_string();
        assert_eq!(told(read("c", "{{two}}").map(drop)), told(templates().parse("c", "{{two}}")));
    }

    #[test]
    fn an_empty_template_replaces_none() {
        let mut all = Templates::new("all");
        all.parse("a", "one").unwrap();
        all.parse("a", "  \n").unwrap();
        assert_eq!(all.execute("a", Value::Nil, &Limits::default()).unwrap(), b"one");
    }
}
