//! Execution: nodes are walked and write output. As in Go, the node that was looked at last is the one that a message
//! names.

mod call;
mod eval;

pub(crate) use call::prepared;

use crate::builtin::{no_template, printed};
use crate::context::Run;
use crate::error::{Error, ErrorKind, Failure};
use crate::parse::{Branch, BranchKind, Located, Node, Nodes, Pipe, Tree};
use crate::quote::quote;
use crate::templates::Templates;
use crate::text::Text;
use crate::value::{Int, Type, Uint, Value};

/// A value as Go's reflection holds it: one that came out of an `interface {}` is told apart, for messages and nil.
#[derive(Clone)]
pub(crate) struct Slot {
    pub(crate) value: Value,
    /// Within an `interface {}`.
    pub(crate) boxed: bool,
}

impl Slot {
    pub(crate) fn plain(value: Value) -> Self {
        Self { value, boxed: false }
    }

    /// An element of a list or map whose elements are of that type.
    pub(crate) fn element(value: Value, element: &Type) -> Self {
        Self { value, boxed: *element == Type::Any }
    }

    /// No value at all, not even a nil.
    pub(crate) fn is_invalid(&self) -> bool {
        !self.boxed && matches!(self.value, Value::Nil)
    }

    /// The static type in a message.
    pub(crate) fn type_name(&self) -> String {
        if self.boxed { Type::Any.to_string() } else { self.value.type_name() }
    }
}

/// The bytes that most templates write less than.
const LIKELY: usize = 512;

/// Executes a template from the start.
pub(crate) fn execute(
    templates: &Templates,
    run: &Run<'_>,
    name: &[u8],
    data: Value,
) -> Result<Vec<u8>, Error> {
    let Some(tree) = templates.get(name) else {
        return Err(Error::new(ErrorKind::Execute, no_template(name, templates.name())));
    };
    let mut out = Vec::with_capacity(tree.text.len().min(LIKELY));
    let dot = Slot::plain(data);
    let mut executor = Executor::new(templates, run, tree, &mut out, dot.clone());
    executor.in_template(|executor| executor.list(&dot, &tree.root))?;
    Ok(out)
}

/// What a node asks of the loop that it is in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

/// The state of one template's execution.
struct Executor<'t> {
    templates: &'t Templates,
    run: &'t Run<'t>,
    tree: &'t Tree,
    out: &'t mut Vec<u8>,
    /// The node that was looked at last.
    node: Option<&'t dyn Located>,
    variables: Vec<(&'t [u8], Slot)>,
}

impl<'t> Executor<'t> {
    fn new(
        templates: &'t Templates,
        run: &'t Run<'t>,
        tree: &'t Tree,
        out: &'t mut Vec<u8>,
        dot: Slot,
    ) -> Self {
        Self { templates, run, tree, out, node: None, variables: vec![(b"$", dot)] }
    }

    fn at(&mut self, node: &'t dyn Located) {
        self.node = Some(node);
    }

    fn error(&self, what: impl AsRef<[u8]>) -> Error {
        self.error_of(ErrorKind::Execute, what.as_ref())
    }

    fn error_of(&self, kind: ErrorKind, what: &[u8]) -> Error {
        let name = &self.tree.name;
        let Some(node) = self.node else {
            return Error::new(kind, [b"template: ", &name[..], b": ", what].concat());
        };
        let mut text = b"template: ".to_vec();
        text.extend_from_slice(&self.tree.location(node.at()));
        text.extend_from_slice(b": executing ");
        text.extend_from_slice(&quote(name));
        text.extend_from_slice(b" at <");
        node.write(&self.tree.text, &mut text);
        text.extend_from_slice(b">: ");
        text.extend_from_slice(what);
        Error::new(kind, text)
    }

    /// A failure, here.
    fn failed(&self, failure: &Failure) -> Error {
        self.error_of(failure.kind, &failure.text)
    }

    fn deeper<T>(&mut self, inside: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        let run = self.run;
        match run.deeper(|| inside(self)) {
            Ok(result) => result,
            Err(failure) => Err(self.failed(&failure)),
        }
    }

    fn in_template<T>(&mut self, inside: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        let run = self.run;
        match run.in_template(|| inside(self)) {
            Ok(result) => result,
            Err(failure) => Err(self.failed(&failure)),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.run.write(bytes.len()).map_err(|failure| self.failed(&failure))?;
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn list(&mut self, dot: &Slot, list: &'t Nodes) -> Result<Flow, Error> {
        self.at(list);
        for node in &list.nodes {
            match self.walk(dot, node)? {
                Flow::Next => {}
                leave @ (Flow::Break | Flow::Continue) => return Ok(leave),
            }
        }
        Ok(Flow::Next)
    }

    fn walk(&mut self, dot: &Slot, node: &'t Node) -> Result<Flow, Error> {
        self.at(node);
        self.run.spend(1).map_err(|failure| self.failed(&failure))?;
        match node {
            Node::Text(text) => self.write(text.of(&self.tree.text))?,
            Node::Action { pipe, .. } => {
                let value = self.pipeline(dot, pipe)?;
                if pipe.variables.is_empty() {
                    self.at(node);
                    self.print(node, &value)?;
                }
            }
            Node::Branch(branch) => {
                let visible = self.variables.len();
                let flow = self.deeper(|executor| match branch.kind {
                    BranchKind::If | BranchKind::With => executor.if_or_with(dot, branch),
                    BranchKind::Range => executor.range(dot, branch),
                })?;
                self.variables.truncate(visible);
                return Ok(flow);
            }
            Node::Template { name, pipe, .. } => self.template(dot, name, pipe.as_deref())?,
            Node::Break { .. } => return Ok(Flow::Break),
            Node::Continue { .. } => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn print(&mut self, node: &'t Node, value: &Value) -> Result<(), Error> {
        match value {
            Value::Text(text) => self.write(text),
            Value::Function(_) => {
                let mut what = b"can't print ".to_vec();
                node.write(&self.tree.text, &mut what);
                what.extend_from_slice(format!(" of type {}", value.type_name()).as_bytes());
                Err(self.error(what))
            }
            Value::Nil
            | Value::Bool(_)
            | Value::Int(..)
            | Value::Uint(..)
            | Value::Float(..)
            | Value::List(_)
            | Value::Map(_)
            | Value::Object(_) => {
                if let Value::Object(object) = value
                    && let Some(text) = object.to_text_in_place()
                {
                    return self.write(&text);
                }
                let text = printed(value, self.run.room()).map_err(|failure| self.failed(&failure))?;
                self.write(&text)
            }
        }
    }

    fn if_or_with(&mut self, dot: &Slot, branch: &'t Branch) -> Result<Flow, Error> {
        let value = self.pipeline(dot, &branch.pipe)?;
        match (value.is_true(), &branch.otherwise) {
            (true, _) if branch.kind == BranchKind::With => self.list(&Slot::plain(value), &branch.list),
            (true, _) => self.list(dot, &branch.list),
            (false, Some(otherwise)) => self.list(dot, otherwise),
            (false, None) => Ok(Flow::Next),
        }
    }

    fn range(&mut self, dot: &Slot, branch: &'t Branch) -> Result<Flow, Error> {
        let value = self.pipeline(dot, &branch.pipe)?.underlying();
        let ran = match &value {
            Value::Int(kind, end) => {
                self.range_numbers(branch, &value, *end, |number| Value::Int(*kind, number))?
            }
            Value::Uint(kind, end) => {
                let (kind, end) = (*kind, i64::try_from(*end).unwrap_or(i64::MAX));
                self.range_numbers(branch, &value, end, |number| Value::Uint(kind, number.unsigned_abs()))?
            }
            Value::List(list) => {
                let mut index = 0;
                while let Some(item) = list.get(index) {
                    let place = Value::int(i64::try_from(index).unwrap_or(i64::MAX));
                    let item = Slot::element(item, list.type_of().element());
                    index += 1;
                    if self.iteration(branch, Slot::plain(place), &item)? == Flow::Break {
                        break;
                    }
                }
                index > 0
            }
            Value::Map(map) => {
                let entries: Vec<_> =
                    map.entries().iter().map(|(key, item)| (key.clone(), item.clone())).collect();
                let ran = !entries.is_empty();
                for (key, item) in entries {
                    let item = Slot::element(item, map.type_of().element());
                    if self.iteration(branch, Slot::plain(Value::Text(key)), &item)? == Flow::Break {
                        break;
                    }
                }
                ran
            }
            Value::Nil => false,
            Value::Bool(_) | Value::Float(..) | Value::Text(_) | Value::Object(_) | Value::Function(_) => {
                return Err(self.cannot(b"range can't iterate over ", &value, b""));
            }
        };
        match &branch.otherwise {
            Some(otherwise) if !ran => self.list(dot, otherwise),
            _ => Ok(Flow::Next),
        }
    }

    fn cannot(&self, before: &[u8], value: &Value, after: &[u8]) -> Error {
        match crate::fmt::sprint(std::slice::from_ref(value), self.run.room()) {
            Ok(text) => self.error([before, &text, after].concat()),
            Err(failure) => self.failed(&failure),
        }
    }

    fn range_numbers(
        &mut self,
        branch: &'t Branch,
        value: &Value,
        end: i64,
        number: impl Fn(i64) -> Value,
    ) -> Result<bool, Error> {
        if branch.pipe.variables.len() > 1 {
            return Err(self.cannot(b"can't use ", value, b" to iterate over more than one variable"));
        }
        for index in 0..end {
            if self.iteration(branch, Slot::plain(Value::Nil), &Slot::plain(number(index)))? == Flow::Break {
                break;
            }
        }
        Ok(end > 0)
    }

    /// One turn of a loop, with its variables set. Never [`Flow::Continue`].
    fn iteration(&mut self, branch: &'t Branch, index: Slot, item: &Slot) -> Result<Flow, Error> {
        self.run.spend(1).map_err(|failure| self.failed(&failure))?;
        let visible = self.variables.len();
        match (&branch.pipe.variables[..], branch.pipe.assign) {
            ([], _) => {}
            ([only], true) => self.set(*only, item.clone())?,
            ([first, second, ..], true) => {
                self.set(*first, index)?;
                self.set(*second, item.clone())?;
            }
            ([_], false) => self.variables[visible - 1].1 = item.clone(),
            ([_, _, ..], false) => {
                self.variables[visible - 1].1 = item.clone();
                self.variables[visible - 2].1 = index;
            }
        }
        let flow = self.list(item, &branch.list)?;
        self.variables.truncate(visible);
        Ok(if flow == Flow::Break { Flow::Break } else { Flow::Next })
    }

    fn template(&mut self, dot: &Slot, name: &Text, pipe: Option<&'t Pipe>) -> Result<(), Error> {
        let Some(tree) = self.templates.get(name) else {
            return Err(self.error([b"template ", &quote(name)[..], b" not defined"].concat()));
        };
        let dot = match pipe {
            Some(pipe) => Slot::plain(self.pipeline(dot, pipe)?),
            None => Slot::plain(Value::Nil),
        };
        self.in_template(|executor| {
            let (templates, run) = (executor.templates, executor.run);
            let mut called = Executor::new(templates, run, tree, executor.out, dot.clone());
            called.list(&dot, &tree.root).map(|_| ())
        })
    }
}

/// The kind of an integer where it is wanted by its sign only.
pub(crate) fn integer(value: &Value) -> Option<i128> {
    match value {
        Value::Int(Int::Int | Int::Int8 | Int::Int16 | Int::Int32 | Int::Int64, number) => {
            Some((*number).into())
        }
        Value::Uint(Uint::Uint | Uint::Uint8 | Uint::Uint16 | Uint::Uint32 | Uint::Uint64, number) => {
            Some((*number).into())
        }
        _ => None,
    }
}
